use bson::Bson;
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Filter, Update};

use super::row::{UPDATED, VERSION, instant, not_deleted, refers};
use super::{DraftFields, Entity, Error, Versioned};
use crate::domain::{ContentType, Id, Page, Project, Section, SectionDraft, SectionPatch, Story};

/// Counts and moves the contents of sections. Cheap to clone.
#[derive(Clone)]
pub struct SectionContents {
    database: Database,
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
            database: database.clone(),
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

    /// Updates several sections: all of them, or none if one was changed since it was read; then returns false.
    ///
    /// A standalone MongoDB server has no transactions. There the sections are updated one after the other, and restored
    /// if one fails; if the process dies meanwhile, some are updated.
    pub async fn update_sections(
        &self,
        changes: &[(Versioned<Section>, SectionPatch)],
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let transaction = match self.database.begin().await {
            Ok(transaction) => transaction,
            Err(docstore::Error::Unsupported(_)) => return self.update_in_turn(changes, now).await,
            Err(error) => return Err(error.into()),
        };
        let sections = transaction.collection(Section::COLLECTION);
        let mut outcome = Ok(true);
        for (section, patch) in changes {
            let updated = sections.update_one(&section.unchanged(), &update_of(section, patch, now)).await;
            outcome = updated.map(|updated| updated.matched > 0);
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        let outcome = match outcome {
            Ok(true) => transaction.commit().await.map(|()| true),
            outcome => {
                // The first failure is reported; a failed abort still ends the transaction.
                let _ = transaction.abort().await;
                outcome
            }
        };
        match outcome {
            // A failover ends the transactions of the former primary.
            Err(docstore::Error::TransactionEnded(_)) => Ok(false),
            Err(error) if error.is_transient() => Ok(false),
            outcome => Ok(outcome?),
        }
    }

    async fn update_in_turn(
        &self,
        changes: &[(Versioned<Section>, SectionPatch)],
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        for (n, (section, patch)) in changes.iter().enumerate() {
            let updated =
                self.sections.update_one(&section.unchanged(), &update_of(section, patch, now)).await;
            if !matches!(&updated, Ok(updated) if updated.matched > 0) {
                for (section, _) in &changes[..n] {
                    self.restore_place(section).await.map_err(Error::after_write)?;
                }
                updated?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives a section the place back that it had before an update, unless it was changed again.
    async fn restore_place(&self, section: &Versioned<Section>) -> Result<(), Error> {
        let Section { meta, draft, .. } = &section.revised.item;
        let updated = section.version.wrapping_add(1);
        let unchanged = Filter::and([Filter::id(section.id), Filter::eq(VERSION, updated)]);
        let update = Update::new()
            .set("sort_order", draft.sort_order)
            .set("parent_id", draft.parent_id.clone())
            .set(UPDATED, instant(meta.updated))
            .set(VERSION, updated.wrapping_add(1));
        self.sections.update_one(&unchanged, &update).await?;
        Ok(())
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
            let moved = collection.update_many(&refers("section_id", from), &to_section).await;
            moved.map_err(|error| Error::from(error).after_write())?;
        }
        Ok(())
    }
}

fn update_of(section: &Versioned<Section>, patch: &SectionPatch, now: DateTime<Utc>) -> Update {
    let update = SectionDraft::to_update(patch).set(UPDATED, instant(now));
    update.set(VERSION, section.version.wrapping_add(1))
}
