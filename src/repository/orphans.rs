//! Orphans: documents that name a section which does not exist, or which is in the trash while they are not. Versions of this
//! program that did not serialize writes with the deletion of sections left some.

use std::collections::HashSet;

use bson::{Bson, Document};
use docstore::{Collection, Database, Filter, Find, Projection, Update};

use super::duplicates::{DuplicateDocument, summary};
use super::row::{VERSION, is_deleted, not_deleted};
use super::writes::is_marked_deleted;
use super::{Entity as _, Error, TreeLock};
use crate::domain::{Page, Project, Section, Story};

/// The fields that name a section, by collection.
const REFERENCES: [(&str, &str); 4] = [
    (Story::COLLECTION, "section_id"),
    (Project::COLLECTION, "section_id"),
    (Page::COLLECTION, "section_id"),
    (Section::COLLECTION, "parent_id"),
];

/// A document that names a section which does not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The collection.
    pub collection: &'static str,
    /// The document.
    pub document: DuplicateDocument,
    /// The field that names the section.
    pub field: &'static str,
    id: Bson,
    reference: Bson,
}

impl Orphan {
    /// Returns the id of the section that does not exist.
    pub fn section(&self) -> String {
        super::row::display_id(&self.reference)
    }
}

/// Finds all orphans, deleted ones too, since they can be restored. A deleted document may name a deleted section: it is
/// back there when both are restored. Writes nothing.
pub async fn find(database: &Database) -> Result<Vec<Orphan>, docstore::Error> {
    let sections = database.collection(Section::COLLECTION);
    let ids = async |filter: Filter| {
        let mut ids = HashSet::new();
        let mut cursor = sections.find(Find::new(filter).projection(Projection::include(["title"]))).await?;
        while let Some(section) = cursor.next_document().await? {
            ids.extend(section.get("_id").map(super::row::display_id));
        }
        Ok::<_, docstore::Error>(ids)
    };
    let (existing, in_trash) = (ids(not_deleted()).await?, ids(is_deleted()).await?);
    let mut orphans = Vec::new();
    for (collection, field) in REFERENCES {
        let fields = ["title", field, "deleted", "is_deleted"];
        let find = Find::new(Filter::exists(field)).projection(Projection::include(fields));
        let mut cursor = database.collection(collection).find(find).await?;
        while let Some(document) = cursor.next_document().await? {
            let Some(reference) = reference(&document, field) else { continue };
            // Any spelling of an id names the section.
            let section = section_id(reference).unwrap_or_else(|| reference.clone());
            let section = super::row::display_id(&section);
            let both_deleted = in_trash.contains(&section) && is_marked_deleted(&document);
            if !existing.contains(&section) && !both_deleted {
                let (id, reference) = (document.get("_id").cloned().unwrap_or(Bson::Null), reference.clone());
                orphans.push(Orphan { collection, document: summary(&document), field, id, reference });
            }
        }
    }
    Ok(orphans)
}

/// Takes an orphan out of the section that does not exist, as the deletion of a section does: content gets no section, a
/// section goes to the root. Returns false if the document was changed since, or the section restored.
pub async fn release(database: &Database, orphan: &Orphan) -> Result<bool, Error> {
    let documents = database.collection(orphan.collection);
    let sections = database.collection(Section::COLLECTION);
    let orphan = orphan.clone();
    // So that no section is restored at the same time.
    let work = async move { Ok::<_, Error>(release_unlocked(&documents, &sections, &orphan).await?) };
    TreeLock::new(database).run_exclusive(work).await
}

async fn release_unlocked(
    documents: &Collection,
    sections: &Collection,
    orphan: &Orphan,
) -> docstore::Result<bool> {
    let Orphan { field, id, reference, .. } = orphan;
    if let Some(section) = section_id(reference)
        && sections.count(&Filter::id(section).also(not_deleted())).await? > 0
    {
        return Ok(false);
    }
    let update = match *field {
        "parent_id" => Update::new().set("parent_id", Bson::Null),
        field => Update::new().unset(field),
    };
    let unchanged = Filter::and([Filter::id(id.clone()), Filter::eq(*field, reference.clone())]);
    Ok(documents.update_one(&unchanged, &update.inc(VERSION, 1_i64)).await?.matched > 0)
}

/// Returns the value that names a section; an empty text names none.
fn reference<'a>(document: &'a Document, field: &str) -> Option<&'a Bson> {
    document.get(field).filter(|value| !matches!(value, Bson::Null) && value.as_str() != Some(""))
}

/// Returns the id that a reference of either type names.
fn section_id(reference: &Bson) -> Option<Bson> {
    match reference {
        Bson::String(text) => bson::oid::ObjectId::parse_str(text).ok().map(Bson::ObjectId),
        other => Some(other.clone()),
    }
}
