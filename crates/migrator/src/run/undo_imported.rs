use async_trait::async_trait;
use docstore::{Field, Filter, Store};

use super::check::env;
use super::id_scan::IdScan;
use super::session::{Batch, RunSession, Scope};
use crate::operation::Operation;
use crate::step::Step;
use crate::{Result, Settings, StepCounts};

/// The number of documents in one batch.
const BATCH: u64 = 1000;

/// The interface that a migration uses to roll back a run of another tool, for which there is no journal.
///
/// The rollback runs twice: the first pass only counts, so that the operator sees what would be lost; the second pass
/// writes.
pub struct UndoImported<'a> {
    pub(crate) migration: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) mode: ImportedUndoPass<'a>,
    /// The losses, in the first pass.
    pub(crate) losses: Vec<String>,
}

/// A pass of the rollback.
pub(crate) enum ImportedUndoPass<'a> {
    /// Counts the documents that would be changed.
    Count(&'a docstore::Database),
    /// Changes them.
    Execute { session: &'a RunSession<'a>, counts: Vec<StepCounts>, warnings: &'a [String] },
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

    async fn perform(&mut self, step: Step, note: &str) -> Result<()> {
        let filter = step.operation.pending().unwrap_or(Filter::All);
        let collection = &step.collection;
        match &mut self.mode {
            ImportedUndoPass::Count(db) => {
                let count = db.collection(collection).count(&filter).await?;
                let what = match &step.operation {
                    Operation::Unset { field, .. } => format!("unsets {field} on {count} of {collection}"),
                    _ => format!("deletes {count} of {collection}"),
                };
                if count > 0 {
                    self.losses.push(format!("{what}, {note}"));
                }
            }
            ImportedUndoPass::Execute { session, counts, warnings } => {
                let migration = self.migration;
                let mut scan = IdScan::default();
                while !scan.is_end() {
                    let batch = UndoBatch {
                        session,
                        migration,
                        step: &step,
                        filter: &filter,
                        scan: &scan,
                        counts,
                        warnings,
                    };
                    (scan, *counts) = session.atomically(migration, &batch).await?;
                }
            }
        }
        Ok(())
    }
}

/// Performs a step on the next range of documents.
struct UndoBatch<'a> {
    session: &'a RunSession<'a>,
    migration: &'a str,
    step: &'a Step,
    filter: &'a Filter,
    scan: &'a IdScan,
    counts: &'a [StepCounts],
    warnings: &'a [String],
}

#[async_trait]
impl Batch for UndoBatch<'_> {
    type Out = (IdScan, Vec<StepCounts>);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let Self { session, migration, step, .. } = self;
        let collection = scope.collection(&step.collection);
        let mut counts = self.counts.to_vec();
        let Some(range) = self.scan.next(&collection, BATCH).await? else {
            return Ok((self.scan.at_end(), counts));
        };
        if !scope.is_transaction() {
            session.touch(scope, migration, &counts, self.warnings, None).await?;
            session.boundary(migration, scope).await?;
        }
        let matching = range.filter().also(self.filter.clone());
        let at = StepCounts::index_of(&mut counts, &step.name, &step.collection);
        match step.operation.uniform_update() {
            Some(update) => counts[at].updated += collection.update_many(&matching, &update).await?.modified,
            None => counts[at].deleted += collection.delete_many(&matching).await?,
        }
        session.boundary(migration, scope).await?;
        session.touch(scope, migration, &counts, self.warnings, None).await?;
        Ok((self.scan.after(&range), counts))
    }
}
