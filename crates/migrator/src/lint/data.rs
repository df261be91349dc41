use docstore::{Database, Filter, Find, Sort};

use super::{Linter, Rule};
use crate::operation::Operation;
use crate::step::Step;
use crate::{Mode, Result};

/// Maximum number of documents changed in one transaction; more exceed the server's limits of time and size.
pub(super) const IN_A_TRANSACTION: u64 = 10_000;
/// Number of documents from which a collection is large: a change takes seconds and is worth resuming.
pub(super) const LARGE: u64 = 100_000;
/// Number of documents from which a full scan takes noticeable time.
pub(super) const UNINDEXED: u64 = 10_000;

impl Linter<'_> {
    /// Runs the rules about the data. `measured` are the steps, each with the number of documents that it would change, and
    /// `earlier` the steps that run before them.
    pub(crate) async fn check_data<'s>(
        &mut self,
        db: &Database,
        measured: Vec<(&'s Step, u64)>,
        mut earlier: Vec<&'s Step>,
    ) -> Result<()> {
        let names = db.collection_names().await?;
        for (step, matched) in measured {
            self.check_size(step, matched);
            let is_made = earlier.iter().any(|earlier| earlier.writes_to() == step.collection);
            if is_made || names.contains(&step.collection) {
                self.check_step(db, step, &earlier, &names).await?;
            } else {
                self.check_unknown(step, &names);
            }
            earlier.push(step);
        }
        Ok(())
    }

    async fn check_step(
        &mut self,
        db: &Database,
        step: &Step,
        earlier: &[&Step],
        names: &[String],
    ) -> Result<()> {
        self.check_filter(db, step).await?;
        match &step.operation {
            Operation::Copy { to, .. } if names.contains(to) => {
                let there = db.collection(to).count(&Filter::All).await?;
                if there > 0 {
                    let text = format!(
                        "{to} already has {there} documents; existing documents with the same ids are not changed"
                    );
                    self.add(Rule::CopyOverExisting, Some(step), text);
                }
            }
            Operation::CreateIndex(wanted) => self.check_index(db, step, wanted, earlier).await?,
            Operation::Set { field, value, .. } => self.check_type(db, step, field, &value.to_bson()).await?,
            _ => {}
        }
        Ok(())
    }

    fn check_size(&mut self, step: &Step, matched: u64) {
        match self.meta.mode {
            Mode::Transaction if matched > IN_A_TRANSACTION => {
                let text = format!(
                    "it would change {matched} documents in one transaction, of which {IN_A_TRANSACTION} is the maximum; \
                     use the mode `Batched`"
                );
                self.add(Rule::LargeTransaction, Some(step), text);
            }
            Mode::Idempotent if matched > LARGE => {
                let text = format!(
                    "it would change {matched} documents and start over if it is interrupted; use the mode `Batched`"
                );
                self.add(Rule::LargeWithoutBatches, Some(step), text);
            }
            _ => {}
        }
    }

    /// Reports an unknown collection, which is probably a misspelled name, unless the database is empty.
    fn check_unknown(&mut self, step: &Step, names: &[String]) {
        let about_it = step.operation.pending().is_some() || step.is_ddl();
        if about_it && !names.iter().all(|name| name.starts_with('_')) {
            let text = format!("the collection {} does not exist; check the name", step.collection);
            self.add(Rule::UnknownCollection, Some(step), text);
        }
    }

    /// Reports a filter of a large collection that no index supports.
    async fn check_filter(&mut self, db: &Database, step: &Step) -> Result<()> {
        // A batch scans by id, whatever its filter.
        let Some(filter) = step.operation.pending() else { return Ok(()) };
        if filter == Filter::All || self.meta.mode == Mode::Batched {
            return Ok(());
        }
        let all = db.collection(&step.collection).count(&Filter::All).await?;
        if all <= UNINDEXED {
            return Ok(());
        }
        let plan = db.explain(&step.collection, &Find::new(filter).sort(Sort::default())).await?;
        if plan.index.is_none() {
            let text = format!(
                "no index of {} supports its filter, so each batch scans all {all} documents; use the mode `Batched`, or \
                 create an index first",
                step.collection
            );
            self.add(Rule::UnindexedFilter, Some(step), text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use docstore::bson::doc;

    use super::*;
    use crate::lint::Severity;
    use crate::lint::tests::Named;

    #[test]
    fn what_many_documents_mean_depends_on_the_mode() {
        let graph = crate::Graph::new(vec![Box::new(Named)]).unwrap();
        let step = crate::Step::seed("seed", "things", ["a"], vec![doc! { "a": 1 }]);
        let rule = |mode, matched| {
            let mut linter = Linter::check(&graph, &Named, &[], []);
            linter.found.clear();
            linter.meta = Box::leak(Box::new(linter.meta.mode(mode)));
            linter.check_size(&step, matched);
            linter.found.first().map(|lint| (lint.rule, lint.severity))
        };
        assert_eq!(rule(Mode::Transaction, IN_A_TRANSACTION), None);
        assert_eq!(
            rule(Mode::Transaction, IN_A_TRANSACTION + 1),
            Some((Rule::LargeTransaction, Severity::Error))
        );
        assert_eq!(rule(Mode::Idempotent, LARGE), None);
        assert_eq!(rule(Mode::Idempotent, LARGE + 1), Some((Rule::LargeWithoutBatches, Severity::Warning)));
        assert_eq!(rule(Mode::Batched, u64::MAX), None);
    }
}
