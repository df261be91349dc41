use docstore::{Database, Field, Filter};

use super::attempt::Attempt;
use super::live::LiveSink;
use super::up::env;
use crate::operation::Operation;
use crate::step::Step;
use crate::{Result, Settings, StepCounts};

/// The interface that a migration uses to roll back a run of another tool, for which there is no journal.
///
/// The rollback runs twice: the first pass only counts, so that the operator sees what would be lost; the second pass
/// writes.
pub struct UndoImported<'a> {
    pub(crate) migration: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) pass: ImportedUndoPass<'a>,
}

/// A pass of the rollback.
pub(crate) enum ImportedUndoPass<'a> {
    /// Counts the documents that would be changed, and describes the losses.
    Count(&'a Database, &'a mut Vec<String>),
    /// Changes them.
    Execute(LiveSink<'a>, &'a mut Attempt),
}

impl UndoImported<'_> {
    /// Returns the value of an environment variable. The value is never logged.
    ///
    /// # Errors
    /// If the variable is not set.
    pub fn env(&self, name: &str) -> Result<String> {
        env(self.settings, self.migration, name)
    }

    /// Removes a field from the matching documents.
    ///
    /// `note` completes the sentence that describes the loss: "unsets FIELD on N of COLLECTION, `note`".
    pub async fn unset(
        &mut self,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field>,
        note: &str,
    ) -> Result<()> {
        self.perform(Step::unset_field("unset", collection, field).only(filter.clone()), note).await
    }

    /// Deletes the matching documents.
    ///
    /// `note` completes the sentence that describes the loss: "deletes N of COLLECTION, `note`".
    pub async fn delete(&mut self, collection: &str, filter: &Filter, note: &str) -> Result<()> {
        self.perform(Step::delete("delete", collection, filter.clone()), note).await
    }

    async fn perform(&mut self, Step { name, collection, operation }: Step, note: &str) -> Result<()> {
        match &mut self.pass {
            ImportedUndoPass::Count(db, losses) => {
                let filter = operation.pending().unwrap_or(Filter::All);
                let count = db.collection(&collection).count(&filter).await?;
                let what = match &operation {
                    Operation::Unset { field, .. } => format!("unsets {field} on {count} of {collection}"),
                    _ => format!("deletes {count} of {collection}"),
                };
                if count > 0 {
                    losses.push(format!("{what}, {note}"));
                }
            }
            ImportedUndoPass::Execute(sink, attempt) => {
                let at = StepCounts::index_of(&mut attempt.counts, &name, &collection);
                sink.execute(attempt, at, &operation).await?;
            }
        }
        Ok(())
    }
}
