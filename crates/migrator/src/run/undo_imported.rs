use async_trait::async_trait;
use docstore::{Field, Filter, Store, Update};

use super::check::env;
use super::id_scan::IdScan;
use super::session::{Batch, RunSession, Scope};
use crate::journal::counts_of;
use crate::{Result, Settings, StepCounts};

/// How many documents are gone through at once.
const BATCH: u64 = 1000;

/// What a migration is given to take back a run of another tool. Each operation is counted first, for the plan, and
/// carried out in a second pass.
pub struct UndoImported<'a> {
    pub(crate) migration: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) mode: ImportedUndoPass<'a>,
    /// What would be lost, when only counting.
    pub(crate) losses: Vec<String>,
}

/// Which pass it is.
pub(crate) enum ImportedUndoPass<'a> {
    /// Only counts, and says what would be lost.
    Count(&'a docstore::Database),
    /// Does it.
    Execute { session: &'a RunSession<'a>, counts: Vec<StepCounts>, warnings: &'a [String] },
}

#[derive(Clone, Copy)]
enum ImportedUndoOperation<'a> {
    Unset(&'a Field),
    Delete,
}

impl UndoImported<'_> {
    /// A variable of the configuration; an error if it is not set.
    pub fn env(&self, name: &str) -> Result<String> {
        env(self.settings, self.migration, name)
    }

    /// Takes a field away from all matches that have it. `note` ends the sentence that tells the loss.
    pub async fn unset(
        &mut self,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field>,
        note: &str,
    ) -> Result<()> {
        let field = field.into();
        let filter = filter.clone().also(Filter::exists(field.clone()));
        self.perform(collection, &filter, ImportedUndoOperation::Unset(&field), note).await
    }

    /// Deletes all matches. `note` ends the sentence that tells the loss.
    pub async fn delete(&mut self, collection: &str, filter: &Filter, note: &str) -> Result<()> {
        self.perform(collection, filter, ImportedUndoOperation::Delete, note).await
    }

    async fn perform(
        &mut self,
        collection: &str,
        filter: &Filter,
        operation: ImportedUndoOperation<'_>,
        note: &str,
    ) -> Result<()> {
        match &mut self.mode {
            ImportedUndoPass::Count(db) => {
                let count = db.collection(collection).count(filter).await?;
                let what = match operation {
                    ImportedUndoOperation::Unset(field) => {
                        format!("unsets {field} on {count} of {collection}")
                    }
                    ImportedUndoOperation::Delete => format!("deletes {count} of {collection}"),
                };
                if count > 0 {
                    self.losses.push(format!("{what}, {note}"));
                }
            }
            ImportedUndoPass::Execute { session, counts, warnings } => {
                let mut scan = IdScan::default();
                while !scan.is_end() {
                    let page = UndoBatch {
                        session,
                        migration: self.migration,
                        collection,
                        filter,
                        operation,
                        scan: &scan,
                        counts,
                        warnings,
                    };
                    let (next, after) = session.atomically(self.migration, &page).await?;
                    (scan, *counts) = (next, after);
                }
            }
        }
        Ok(())
    }
}

/// Carries out an operation on the next page of documents.
struct UndoBatch<'a> {
    session: &'a RunSession<'a>,
    migration: &'a str,
    collection: &'a str,
    filter: &'a Filter,
    operation: ImportedUndoOperation<'a>,
    scan: &'a IdScan,
    counts: &'a [StepCounts],
    warnings: &'a [String],
}

#[async_trait]
impl Batch for UndoBatch<'_> {
    type Out = (IdScan, Vec<StepCounts>);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let collection = scope.collection(self.collection);
        let mut counts = self.counts.to_vec();
        let Some(range) = self.scan.next(&collection, BATCH).await? else {
            return Ok((self.scan.at_end(), counts));
        };
        if !scope.is_transaction() {
            self.session.touch(scope, self.migration, &counts, self.warnings, None).await?;
            self.session.boundary(self.migration, scope).await?;
        }
        let these = range.filter().also(self.filter.clone());
        match self.operation {
            ImportedUndoOperation::Unset(field) => {
                let done = collection.update_many(&these, &Update::new().unset(field.clone())).await?;
                counts_of(&mut counts, "unset", self.collection).updated += done.modified;
            }
            ImportedUndoOperation::Delete => {
                let deleted = collection.delete_many(&these).await?;
                counts_of(&mut counts, "delete", self.collection).deleted += deleted;
            }
        }
        self.session.boundary(self.migration, scope).await?;
        self.session.touch(scope, self.migration, &counts, self.warnings, None).await?;
        Ok((self.scan.after(&range), counts))
    }
}
