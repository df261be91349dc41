use bson::Bson;
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Filter, Update};

use super::entity::{VERSION, not_deleted, refers};
use super::{Entity, Error};
use crate::domain::{ContentType, Id, Page, Project, Section, Story};

/// Counts and moves the contents of sections. Cheap to clone.
#[derive(Clone)]
pub struct SectionContents {
    sections: Collection,
    content: [(ContentType, Collection); 3],
}

/// The number of items in a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentCounts {
    /// The number of child sections.
    pub sections: u64,
    /// The number of items of each type of content that the section has.
    pub content: Vec<(ContentType, u64)>,
}

impl SectionContents {
    /// Opens the collections of a database.
    pub fn new(database: &Database) -> Self {
        Self {
            sections: database.collection(Section::COLLECTION),
            content: [
                (ContentType::Story, database.collection(Story::COLLECTION)),
                (ContentType::Project, database.collection(Project::COLLECTION)),
                (ContentType::Page, database.collection(Page::COLLECTION)),
            ],
        }
    }

    /// Counts the contents of a section, deleted items apart.
    pub async fn count(&self, section: Id) -> Result<ContentCounts, Error> {
        let sections = self.sections.count(&refers("parent_id", section).also(not_deleted())).await?;
        let mut content = Vec::new();
        for (content_type, collection) in &self.content {
            let count = collection.count(&refers("section_id", section).also(not_deleted())).await?;
            if count > 0 {
                content.push((*content_type, count));
            }
        }
        Ok(ContentCounts { sections, content })
    }

    /// Counts the contents of a section that do not belong to a user, deleted items apart.
    pub async fn count_of_others(&self, section: Id, user: Id) -> Result<u64, Error> {
        let others =
            |field| Filter::and([refers(field, section), refers("user_id", user).negated(), not_deleted()]);
        let mut count = self.sections.count(&others("parent_id")).await?;
        for (_, collection) in &self.content {
            count += collection.count(&others("section_id")).await?;
        }
        Ok(count)
    }

    /// Moves the contents out of a section: child sections to `parent` or the root, content to `section` or none.
    /// Deleted items move too, so that they can be restored. The operation is idempotent.
    pub async fn move_out(&self, from: Id, parent: Option<Id>, section: Option<Id>) -> Result<(), Error> {
        let parent = parent.map_or(Bson::Null, |parent| parent.to_string().into());
        let to_parent = Update::new().set("parent_id", parent).inc(VERSION, 1_i64);
        self.sections.update_many(&refers("parent_id", from), &to_parent).await?;
        let to_section = match section {
            Some(section) => Update::new().set("section_id", section.to_string()),
            None => Update::new().unset("section_id"),
        };
        let to_section = to_section.inc(VERSION, 1_i64);
        for (_, collection) in &self.content {
            collection.update_many(&refers("section_id", from), &to_section).await?;
        }
        Ok(())
    }
}
