use docstore::{Collection, Database, Update};

use super::row::{not_deleted, refers};
use super::writes::VERSION;
use super::{Entity, Error};
use crate::domain::{ContentType, Id, Page, Project, Section, Story};

/// What lies in a section, in each of the collections. Cheap to clone.
#[derive(Clone)]
pub struct SectionContents {
    sections: Collection,
    content: [(ContentType, Collection); 3],
}

/// How much lies in a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentCounts {
    /// Sections.
    pub sections: u64,
    /// Content, by its type; no type without any.
    pub content: Vec<(ContentType, u64)>,
}

impl SectionContents {
    /// What lies in the sections of a database.
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

    /// How much lies in this section. What is deleted does not count.
    pub async fn count(&self, section: Id) -> Result<ContentCounts, Error> {
        let sections = self.sections.count(&refers("parent_id", section).also(not_deleted())).await?;
        let mut content = Vec::new();
        for (kind, collection) in &self.content {
            let count = collection.count(&refers("section_id", section).also(not_deleted())).await?;
            if count > 0 {
                content.push((*kind, count));
            }
        }
        Ok(ContentCounts { sections, content })
    }

    /// Moves everything out of a section: the sections into `parent` or to the root, the content into `section` or
    /// into none. What is deleted moves too, so that it is somewhere when it is restored. A repetition does no harm.
    pub async fn move_out(&self, from: Id, parent: Option<Id>, section: Option<Id>) -> Result<(), Error> {
        let to_parent = match parent {
            Some(parent) => Update::new().set("parent_id", parent.to_string()),
            None => Update::new().set("parent_id", bson::Bson::Null),
        };
        self.sections.update_many(&refers("parent_id", from), &to_parent.inc(VERSION, 1_i64)).await?;
        for (_, collection) in &self.content {
            let to_section = match section {
                Some(section) => Update::new().set("section_id", section.to_string()),
                None => Update::new().unset("section_id"),
            };
            collection.update_many(&refers("section_id", from), &to_section.inc(VERSION, 1_i64)).await?;
        }
        Ok(())
    }
}
