//! Documents with the same key, which a unique index does not allow.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use bson::{Bson, Document};
use docstore::{Collection, Database, Field, Filter, Find, Index, Projection, Sort, Update};
use twox_hash::XxHash3_64;

use super::entities::user;
use super::entity::Entity;
use super::row::{CREATED, SLUG, SLUG_HISTORY, VERSION, display_id};
use crate::domain::{Project, Section, Story, nth_slug, slugify};

/// The maximum number of keys of which the documents are reported.
const MAX_GROUPS: usize = 20;

/// The documents of a collection that have the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicates {
    /// The key, as it is stored.
    pub key: String,
    /// The documents, by age.
    pub documents: Vec<DuplicateDocument>,
}

/// One of several documents with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateDocument {
    /// The id.
    pub id: String,
    /// The title; empty if it has none.
    pub title: String,
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.key)?;
        for (at, DuplicateDocument { id, title }) in self.documents.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator} {id}")?;
            if !title.is_empty() {
                write!(f, " {title:?}")?;
            }
        }
        Ok(())
    }
}

/// Returns the documents that a unique index would not allow, for at most 20 keys. Reads every document of the collection.
pub async fn find(
    database: &Database,
    collection: &str,
    index: &Index,
) -> Result<Vec<Duplicates>, docstore::Error> {
    let fields: Vec<Field> = index.fields().iter().map(|(field, _)| field.clone()).collect();
    let filter = index.partial_filter().cloned().unwrap_or(Filter::All);
    let key = |document: &Document| {
        let values: Vec<_> =
            fields.iter().map(|field| field.value_in(document).unwrap_or(&Bson::Null).to_string()).collect();
        values.join(", ")
    };
    groups(&database.collection(collection), filter, &fields, key).await
}

/// Returns the users whose addresses differ in case alone, for at most 20 addresses.
pub async fn find_users(database: &Database) -> Result<Vec<Duplicates>, docstore::Error> {
    let key = |user: &Document| user.get_str("email").map(str::to_lowercase).unwrap_or_default();
    groups(&database.collection(user::COLLECTION), Filter::exists("email"), &["email".into()], key).await
}

/// A slug that [`plan_slugs`] assigns.
#[derive(Debug, Clone, PartialEq)]
pub struct SlugChange {
    /// The collection.
    pub collection: &'static str,
    /// The document.
    pub document: DuplicateDocument,
    /// Its new slug.
    pub slug: String,
    id: Bson,
    before: Bson,
}

/// Returns a free slug for each document whose slug is that of an older one; documents without a slug count as having the
/// same one. Writes nothing.
pub async fn plan_slugs(database: &Database) -> Result<Vec<SlugChange>, docstore::Error> {
    let mut changes = Vec::new();
    for collection in [Story::COLLECTION, Project::COLLECTION, Section::COLLECTION] {
        let documents = database.collection(collection);
        let mut assigned = HashSet::new();
        let duplicated = repeated(&documents, &Filter::All, &[SLUG.into()], slug_key).await?;
        for document in matching(&documents, Filter::All, &[SLUG.into()], slug_key, &duplicated).await? {
            let slug = slug_key(&document);
            // The oldest one keeps the slug.
            if assigned.insert(slug) {
                continue;
            }
            let title = document.get_str("title").unwrap_or_default();
            let base = match document.get_str(SLUG) {
                Ok(slug) if !slug.is_empty() => slug.to_owned(),
                _ if slugify(title).is_empty() => document_id(&document),
                _ => slugify(title),
            };
            let slug = free_slug(database, collection, &base, &mut assigned).await?;
            changes.push(SlugChange {
                collection,
                document: summary(&document),
                slug,
                id: document.get("_id").cloned().unwrap_or(Bson::Null),
                before: document.get(SLUG).cloned().unwrap_or(Bson::Null),
            });
        }
    }
    Ok(changes)
}

/// Assigns a planned slug. Returns `false` if the document was changed since.
pub async fn assign_slug(database: &Database, change: &SlugChange) -> Result<bool, docstore::Error> {
    // A missing slug equals null.
    let unchanged = Filter::and([Filter::id(change.id.clone()), Filter::eq(SLUG, change.before.clone())]);
    let update = Update::new().set(SLUG, change.slug.as_str()).inc(VERSION, 1_i64);
    Ok(database.collection(change.collection).update_one(&unchanged, &update).await?.matched > 0)
}

async fn free_slug(
    database: &Database,
    collection: &str,
    base: &str,
    assigned: &mut HashSet<String>,
) -> Result<String, docstore::Error> {
    let mut n = 0;
    loop {
        n += 1;
        let slug = nth_slug(base, n);
        let key = Bson::from(slug.as_str()).to_string();
        let former = Filter::and([Filter::eq("collection", collection), Filter::eq(SLUG, slug.as_str())]);
        if !assigned.contains(&key)
            && database.collection(collection).count(&Filter::eq(SLUG, slug.as_str())).await? == 0
            && database.collection(SLUG_HISTORY).count(&former).await? == 0
        {
            assigned.insert(key);
            return Ok(slug);
        }
    }
}

async fn groups(
    collection: &Collection,
    filter: Filter,
    fields: &[Field],
    key: impl Fn(&Document) -> String,
) -> Result<Vec<Duplicates>, docstore::Error> {
    let duplicated = repeated(collection, &filter, fields, &key).await?;
    let duplicated = duplicated.into_iter().take(MAX_GROUPS).collect();
    let mut groups: BTreeMap<String, Vec<DuplicateDocument>> = BTreeMap::new();
    for document in matching(collection, filter, fields, &key, &duplicated).await? {
        groups.entry(key(&document)).or_default().push(summary(&document));
    }
    Ok(groups.into_iter().map(|(key, documents)| Duplicates { key, documents }).collect())
}

/// Returns the hashes of the keys that several documents have. Eight bytes are kept for each document.
async fn repeated(
    collection: &Collection,
    filter: &Filter,
    fields: &[Field],
    key: impl Fn(&Document) -> String,
) -> Result<HashSet<u64>, docstore::Error> {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    let find = Find::new(filter.clone()).projection(Projection::include(fields.to_vec()));
    let mut cursor = collection.find(find).await?;
    while let Some(document) = cursor.next_document().await? {
        let hash = XxHash3_64::oneshot(key(&document).as_bytes());
        if !seen.insert(hash) {
            repeated.insert(hash);
        }
    }
    Ok(repeated)
}

/// Returns the documents with these keys, by age.
async fn matching(
    collection: &Collection,
    filter: Filter,
    fields: &[Field],
    key: impl Fn(&Document) -> String,
    hashes: &HashSet<u64>,
) -> Result<Vec<Document>, docstore::Error> {
    let mut documents = Vec::new();
    if hashes.is_empty() {
        return Ok(documents);
    }
    let shown = fields.iter().cloned().chain([Field::from("title"), Field::from(CREATED)]);
    let find = Find::new(filter).sort(Sort::ascending(Field::ID)).projection(Projection::include(shown));
    let mut cursor = collection.find(find).await?;
    while let Some(document) = cursor.next_document().await? {
        if hashes.contains(&XxHash3_64::oneshot(key(&document).as_bytes())) {
            documents.push(document);
        }
    }
    documents.sort_by_key(|document| document.get_datetime(CREATED).ok().copied());
    Ok(documents)
}

fn slug_key(document: &Document) -> String {
    document.get(SLUG).unwrap_or(&Bson::Null).to_string()
}

pub(super) fn summary(document: &Document) -> DuplicateDocument {
    let title = document.get_str("title").unwrap_or_default().to_owned();
    DuplicateDocument { id: document_id(document), title }
}

fn document_id(document: &Document) -> String {
    display_id(document.get("_id").unwrap_or(&Bson::Null))
}
