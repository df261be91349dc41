use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Collection, Filter, Find, Index, Update};

use crate::domain::Id;
use crate::repository::Error;

/// The name of the collection.
///
/// A document says which item of a collection had a slug last: `{collection, slug, item, createdDate}`. It names the
/// item and not its next slug, so there are neither chains nor loops, however often an item is renamed.
pub(in crate::repository) const COLLECTION: &str = "slug_history";

/// The indexes of the collection.
pub(in crate::repository) fn indexes() -> Vec<Index> {
    vec![Index::on(["collection", "slug"]).unique()]
}

/// Remembers that an item had a slug.
pub(super) async fn remember(
    history: &Collection,
    collection: &str,
    slug: &str,
    item: Id,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let update = Update::new()
        .set("item", item.to_string())
        .set("createdDate", Bson::DateTime(bson::DateTime::from_chrono(now)));
    match history.upsert_one(&key(collection, slug), &update).await {
        // Somebody else inserted it at the same time; now it can be updated.
        Err(error) if error.duplicate_index().is_some() => {
            history.update_one(&key(collection, slug), &update).await?;
        }
        outcome => drop(outcome?),
    }
    Ok(())
}

/// The item that had a slug last.
pub(super) async fn holder(history: &Collection, collection: &str, slug: &str) -> Result<Option<Id>, Error> {
    let found = history.find_one(Find::new(key(collection, slug))).await?;
    Ok(found.as_ref().and_then(item))
}

/// Forgets the slugs that these items had.
pub(super) async fn forget(history: &Collection, collection: &str, items: &[Id]) -> Result<(), Error> {
    if !items.is_empty() {
        let theirs = Filter::is_in("item", items.iter().map(Id::to_string));
        history.delete_many(&Filter::eq("collection", collection).also(theirs)).await?;
    }
    Ok(())
}

fn item(document: &Document) -> Option<Id> {
    Id::parse(document.get_str("item").ok()?).ok()
}

fn key(collection: &str, slug: &str) -> Filter {
    Filter::and([Filter::eq("collection", collection), Filter::eq("slug", slug)])
}
