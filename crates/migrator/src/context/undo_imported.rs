use async_trait::async_trait;
use docstore::{Field, Filter, Store, Update};

use super::pages::Pages;
use super::reads::env;
use crate::journal::counts_of;
use crate::session::{Batch, Scope, Session};
use crate::{Result, Settings, StepCounts};

/// How many documents are gone through at once.
const BATCH: u64 = 1000;

/// What a migration is given to take back a run of another tool. Each operation is counted first, for the plan, and
/// carried out in a second pass.
pub struct UndoImported<'a> {
    pub(crate) migration: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) mode: Pass<'a>,
    /// What would be lost, when only counting.
    pub(crate) losses: Vec<String>,
}

/// Which pass it is.
pub(crate) enum Pass<'a> {
    /// Only counts, and says what would be lost.
    Count(&'a docstore::Database),
    /// Does it.
    Real { session: &'a Session<'a>, counts: Vec<StepCounts>, warnings: &'a [String] },
}

#[derive(Clone, Copy)]
enum Operation<'a> {
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
        self.perform(collection, &filter, Operation::Unset(&field), note).await
    }

    /// Deletes all matches. `note` ends the sentence that tells the loss.
    pub async fn delete(&mut self, collection: &str, filter: &Filter, note: &str) -> Result<()> {
        self.perform(collection, filter, Operation::Delete, note).await
    }

    async fn perform(
        &mut self,
        collection: &str,
        filter: &Filter,
        operation: Operation<'_>,
        note: &str,
    ) -> Result<()> {
        match &mut self.mode {
            Pass::Count(db) => {
                let count = db.collection(collection).count(filter).await?;
                let what = match operation {
                    Operation::Unset(field) => format!("unsets {field} on {count} of {collection}"),
                    Operation::Delete => format!("deletes {count} of {collection}"),
                };
                if count > 0 {
                    self.losses.push(format!("{what}, {note}"));
                }
            }
            Pass::Real { session, counts, warnings } => {
                let mut pages = Pages::default();
                while !pages.is_end() {
                    let page = Page {
                        session,
                        migration: self.migration,
                        collection,
                        filter,
                        operation,
                        pages: &pages,
                        counts,
                        warnings,
                    };
                    let (next, after) = session.atomically(self.migration, &page).await?;
                    (pages, *counts) = (next, after);
                }
            }
        }
        Ok(())
    }
}

/// Carries out an operation on the next page of documents.
struct Page<'a> {
    session: &'a Session<'a>,
    migration: &'a str,
    collection: &'a str,
    filter: &'a Filter,
    operation: Operation<'a>,
    pages: &'a Pages,
    counts: &'a [StepCounts],
    warnings: &'a [String],
}

#[async_trait]
impl Batch for Page<'_> {
    type Out = (Pages, Vec<StepCounts>);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let collection = scope.collection(self.collection);
        let mut counts = self.counts.to_vec();
        let Some(stretch) = self.pages.next(&collection, BATCH).await? else {
            return Ok((self.pages.at_end(), counts));
        };
        if !scope.is_transaction() {
            self.session.touch(scope, self.migration, &counts, self.warnings, None).await?;
            self.session.boundary(self.migration, scope).await?;
        }
        let these = stretch.filter().also(self.filter.clone());
        match self.operation {
            Operation::Unset(field) => {
                let done = collection.update_many(&these, &Update::new().unset(field.clone())).await?;
                counts_of(&mut counts, "unset", self.collection).updated += done.modified;
            }
            Operation::Delete => {
                let deleted = collection.delete_many(&these).await?;
                counts_of(&mut counts, "delete", self.collection).deleted += deleted;
            }
        }
        self.session.boundary(self.migration, scope).await?;
        self.session.touch(scope, self.migration, &counts, self.warnings, None).await?;
        Ok((self.pages.after(&stretch), counts))
    }
}
