//! The HTML of stored items. Another program may have stored some that was never sanitized.

use bson::Bson;
use docstore::{Database, Filter, Find, Projection, Update};

use super::Entity as _;
use super::duplicates::{DuplicateDocument, summary};
use super::row::VERSION;
use crate::domain::{Page, Project, Story};

const CONTENT: &str = "content";

/// The content of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredContent {
    /// The collection.
    pub collection: &'static str,
    /// The document.
    pub document: DuplicateDocument,
    /// The HTML.
    pub html: String,
    id: Bson,
}

/// Calls `visit` with the content of every item, deleted ones too, since they can be restored. Writes nothing.
pub async fn visit_all(database: &Database, mut visit: impl FnMut(StoredContent)) -> docstore::Result<()> {
    for collection in [Story::COLLECTION, Project::COLLECTION, Page::COLLECTION] {
        let find = Find::new(Filter::exists(CONTENT)).projection(Projection::include(["title", CONTENT]));
        let mut cursor = database.collection(collection).find(find).await?;
        while let Some(document) = cursor.next_document().await? {
            if let (Some(id), Ok(html)) = (document.get("_id").cloned(), document.get_str(CONTENT)) {
                visit(StoredContent { collection, document: summary(&document), html: html.to_owned(), id });
            }
        }
    }
    Ok(())
}

/// Replaces the content of an item. Returns false if it was changed since it was read.
pub async fn replace(database: &Database, stored: &StoredContent, html: &str) -> docstore::Result<bool> {
    let unchanged = Filter::and([Filter::id(stored.id.clone()), Filter::eq(CONTENT, stored.html.clone())]);
    let update = Update::new().set(CONTENT, html).inc(VERSION, 1_i64);
    Ok(database.collection(stored.collection).update_one(&unchanged, &update).await?.matched > 0)
}
