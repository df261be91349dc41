//! The content that refers to uploaded files.

use std::collections::BTreeSet;

use bson::{Bson, Document};
use docstore::{Database, Field, Find, Projection, Sort};

use super::duplicates::summary;
use super::media_references::ids_in;
use super::row::not_deleted;
use super::{Entity as _, Error, duplicates::DuplicateDocument};
use crate::domain::{Page, Project, Referrer, ReferrerType, Section, Story};

/// The fields in which an item of any type refers to files, and those that describe it.
const FIELDS: [&str; 11] = [
    "title",
    "user_id",
    "section_id",
    "is_published",
    "content",
    "description",
    "icon",
    "image_url",
    "cover_image_url",
    "cover_image_srcset",
    "photos",
];

/// An item that refers to files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferringItem {
    /// The item.
    pub referrer: Referrer,
    /// The ids in the names of these files.
    pub asset_ids: BTreeSet<String>,
}

/// Finds the items that refer to files. Cheap to clone.
#[derive(Clone)]
pub struct Referrers(Database);

impl Referrers {
    /// Reads the content of a database.
    pub fn new(database: &Database) -> Self {
        Self(database.clone())
    }

    /// Returns the items of a type that refer to files, deleted ones apart, by their ids. Reads all items of the type, one
    /// after the other; those that the store cannot read are skipped.
    ///
    /// # Errors
    /// The failure of the store.
    pub async fn find(&self, kind: ReferrerType) -> Result<Vec<ReferringItem>, Error> {
        let find =
            Find::new(not_deleted()).sort(Sort::ascending(Field::ID)).projection(Projection::include(FIELDS));
        let mut cursor = self.0.collection(collection(kind)).find(find).await?;
        let mut found = Vec::new();
        loop {
            let document = match cursor.next_document().await {
                Ok(Some(document)) => document,
                Ok(None) => return Ok(found),
                Err(docstore::Error::Damaged { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let asset_ids = ids_in(&document);
            if !asset_ids.is_empty() {
                found.push(ReferringItem { referrer: referrer(kind, &document), asset_ids });
            }
        }
    }
}

fn collection(kind: ReferrerType) -> &'static str {
    match kind {
        ReferrerType::Story => Story::COLLECTION,
        ReferrerType::Project => Project::COLLECTION,
        ReferrerType::Page => Page::COLLECTION,
        ReferrerType::Section => Section::COLLECTION,
        ReferrerType::PhotoEssay => "photo_essays",
    }
}

fn referrer(kind: ReferrerType, document: &Document) -> Referrer {
    let DuplicateDocument { id, title } = summary(document);
    let reference = |field: &str| match document.get(field) {
        Some(Bson::String(text)) => Some(text.clone()),
        Some(Bson::ObjectId(id)) => Some(id.to_hex()),
        _ => None,
    };
    // A page without the field is published.
    let default = kind == ReferrerType::Page;
    Referrer {
        kind,
        id,
        title,
        user_id: reference("user_id"),
        is_published: document.get_bool("is_published").unwrap_or(default),
        section_id: reference("section_id"),
    }
}
