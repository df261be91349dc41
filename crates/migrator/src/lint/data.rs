use docstore::{Database, Filter, Find, Sort};

use super::{Lint, LintSubject, Rule, Severity, index};
use crate::operation::Operation;
use crate::step::Step;
use crate::{Mode, Result};

/// Maximum number of documents changed in one transaction; more exceed the server's limits of time and size.
pub(super) const IN_A_TRANSACTION: u64 = 10_000;
/// Number of documents from which a collection is large: a change takes seconds and is worth resuming.
pub(super) const LARGE: u64 = 100_000;
/// Number of documents from which a full scan takes noticeable time.
pub(super) const UNINDEXED: u64 = 10_000;

/// A step and the number of documents that it would change.
pub(crate) struct Measured<'a> {
    pub(crate) step: &'a Step,
    pub(crate) matched: u64,
}

/// Runs the rules about the data. `earlier` are the steps that run before these.
pub(crate) async fn against(
    db: &Database,
    subject: &LintSubject<'_>,
    steps: &[Measured<'_>],
    earlier: &[Step],
) -> Result<Vec<Lint>> {
    let names = db.collection_names().await?;
    let mut lints = Vec::new();
    let mut earlier = earlier.to_vec();
    for Measured { step, matched } in steps {
        lints.extend(check_step(db, subject, step, *matched, &earlier, &names).await?);
        earlier.push((*step).clone());
    }
    Ok(lints)
}

async fn check_step(
    db: &Database,
    subject: &LintSubject<'_>,
    step: &Step,
    matched: u64,
    earlier: &[Step],
    names: &[String],
) -> Result<Vec<Lint>> {
    let mut lints: Vec<Lint> = size(subject, step, matched).into_iter().collect();
    let known = names.contains(&step.collection) || earlier.iter().any(|e| e.writes_to() == step.collection);
    if !known {
        lints.extend(unknown(subject, step, names));
        return Ok(lints);
    }
    lints.extend(unindexed(db, subject, step).await?);
    match &step.operation {
        Operation::Copy { to, .. } if names.contains(to) => {
            let there = db.collection(to).count(&Filter::All).await?;
            if there > 0 {
                let text = format!(
                    "{to} already has {there} documents; existing documents with the same ids are not changed"
                );
                lints.push(subject.lint(Rule::CopyOverExisting, Severity::Warning, Some(step), text));
            }
        }
        Operation::CreateIndex(wanted) => {
            lints.extend(index::look(db, subject, step, wanted, earlier).await?);
        }
        Operation::Set { .. } => lints.extend(index::type_change(db, subject, step).await?),
        _ => {}
    }
    Ok(lints)
}

fn size(subject: &LintSubject<'_>, step: &Step, matched: u64) -> Option<Lint> {
    match subject.meta.mode {
        Mode::Transaction if matched > IN_A_TRANSACTION => {
            let text = format!(
                "it would change {matched} documents in one transaction, of which {IN_A_TRANSACTION} is the maximum; \
                 use the mode `Batched`"
            );
            Some(subject.lint(Rule::LargeTransaction, Severity::Error, Some(step), text))
        }
        Mode::Idempotent if matched > LARGE => {
            let text = format!(
                "it would change {matched} documents and start over if it is interrupted; use the mode `Batched`"
            );
            Some(subject.lint(Rule::LargeWithoutBatches, Severity::Warning, Some(step), text))
        }
        _ => None,
    }
}

/// Reports an unknown collection, which is probably a misspelled name, unless the database is empty.
fn unknown(subject: &LintSubject<'_>, step: &Step, names: &[String]) -> Option<Lint> {
    let about_it = step.operation.pending().is_some() || step.is_ddl();
    let database_is_new = names.iter().all(|name| name.starts_with('_'));
    if !about_it || database_is_new {
        return None;
    }
    let text = format!("the collection {} does not exist; check the name", step.collection);
    Some(subject.lint(Rule::UnknownCollection, Severity::Warning, Some(step), text))
}

async fn unindexed(db: &Database, subject: &LintSubject<'_>, step: &Step) -> Result<Option<Lint>> {
    // A batch scans by id, whatever its filter.
    let Some(filter) = step.operation.pending() else { return Ok(None) };
    if filter == Filter::All || subject.meta.mode == Mode::Batched {
        return Ok(None);
    }
    let all = db.collection(&step.collection).count(&Filter::All).await?;
    if all <= UNINDEXED {
        return Ok(None);
    }
    let plan = db.engine().explain(&step.collection, &Find::new(filter).sort(Sort::default())).await?;
    if plan.index.is_some() {
        return Ok(None);
    }
    let text = format!(
        "no index of {} supports its filter, so each batch scans all {all} documents; use the mode `Batched`, or create an \
         index first",
        step.collection
    );
    Ok(Some(subject.lint(Rule::UnindexedFilter, Severity::Warning, Some(step), text)))
}

#[cfg(test)]
mod tests {
    use docstore::bson::doc;

    use super::*;
    use crate::lint::tests::{Named, subject};

    #[test]
    fn what_many_documents_mean_depends_on_the_mode() {
        let graph = crate::Graph::new(vec![Box::new(Named)]).unwrap();
        let step = crate::Step::seed("seed", "things", ["a"], vec![doc! { "a": 1 }]);
        let rule = |mode, matched| {
            let mut subject = subject(&graph);
            subject.meta = Box::leak(Box::new(subject.meta.mode(mode)));
            size(&subject, &step, matched).map(|lint| (lint.rule, lint.severity))
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
