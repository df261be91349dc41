use docstore::{Database, Filter, Find, Sort};

use super::{Lint, LintSubject, Rule, Severity, index};
use crate::operation::{Deed, Does};
use crate::{Mode, Result};

/// How many documents one transaction changes at the most: one that changes more runs into limits of time and size.
pub(super) const IN_A_TRANSACTION: u64 = 10_000;
/// From how many documents on a collection is large: there a change takes seconds, and is worth going on with.
pub(super) const LARGE: u64 = 100_000;
/// From how many documents on looking at each takes a noticeable time.
pub(super) const UNINDEXED: u64 = 10_000;

/// A step, with how many documents it would change.
pub(crate) struct Measured<'a> {
    pub(crate) deed: &'a Deed,
    pub(crate) matched: u64,
}

/// What the rules find in the data. `earlier` are the steps that run before these.
pub(crate) async fn against(
    db: &Database,
    subject: &LintSubject<'_>,
    steps: &[Measured<'_>],
    earlier: &[Deed],
) -> Result<Vec<Lint>> {
    let names = db.collection_names().await?;
    let mut lints = Vec::new();
    let mut earlier = earlier.to_vec();
    for Measured { deed, matched } in steps {
        lints.extend(step(db, subject, deed, *matched, &earlier, &names).await?);
        earlier.push((*deed).clone());
    }
    Ok(lints)
}

async fn step(
    db: &Database,
    subject: &LintSubject<'_>,
    deed: &Deed,
    matched: u64,
    earlier: &[Deed],
    names: &[String],
) -> Result<Vec<Lint>> {
    let mut lints: Vec<Lint> = size(subject, deed, matched).into_iter().collect();
    let known = names.contains(&deed.collection) || earlier.iter().any(|e| e.writes_to() == deed.collection);
    if !known {
        lints.extend(unknown(subject, deed, names));
        return Ok(lints);
    }
    lints.extend(unindexed(db, subject, deed).await?);
    match &deed.does {
        Does::Copy { to, .. } if names.contains(to) => {
            let there = db.collection(to).count(&Filter::All).await?;
            if there > 0 {
                let text = format!(
                    "{to} has {there} documents already; those with the same ids are left as they are"
                );
                lints.push(subject.lint(Rule::CopyOverExisting, Severity::Warning, Some(deed), text));
            }
        }
        Does::CreateIndex(wanted) => {
            lints.extend(index::look(db, subject, deed, wanted, earlier).await?);
        }
        Does::Set { .. } => lints.extend(index::type_change(db, subject, deed).await?),
        _ => {}
    }
    Ok(lints)
}

fn size(subject: &LintSubject<'_>, deed: &Deed, matched: u64) -> Option<Lint> {
    match subject.meta.mode {
        Mode::Transaction if matched > IN_A_TRANSACTION => {
            let text = format!(
                "it would change {matched} documents in one transaction, which takes {IN_A_TRANSACTION} at the most; \
                 use the mode `Batched`"
            );
            Some(subject.lint(Rule::LargeTransaction, Severity::Error, Some(deed), text))
        }
        Mode::Idempotent if matched > LARGE => {
            let text = format!(
                "it would change {matched} documents, and begin anew if it is interrupted; use the mode `Batched`"
            );
            Some(subject.lint(Rule::LargeWithoutBatches, Severity::Warning, Some(deed), text))
        }
        _ => None,
    }
}

/// A name that nobody knows is probably misspelt, if any is known at all.
fn unknown(subject: &LintSubject<'_>, deed: &Deed, names: &[String]) -> Option<Lint> {
    let about_it = deed.filter().is_some() || deed.defines();
    let database_is_new = names.iter().all(|name| name.starts_with('_'));
    if !about_it || database_is_new {
        return None;
    }
    let text = format!("there is no collection {}; is the name right?", deed.collection);
    Some(subject.lint(Rule::UnknownCollection, Severity::Warning, Some(deed), text))
}

async fn unindexed(db: &Database, subject: &LintSubject<'_>, deed: &Deed) -> Result<Option<Lint>> {
    // A batch goes by the ids, whatever its filter.
    let Some(filter) = deed.filter() else { return Ok(None) };
    if *filter == Filter::All || subject.meta.mode == Mode::Batched {
        return Ok(None);
    }
    let all = db.collection(&deed.collection).count(&Filter::All).await?;
    if all <= UNINDEXED {
        return Ok(None);
    }
    let plan =
        db.engine().explain(&deed.collection, &Find::new(filter.clone()).sort(Sort::default())).await?;
    if plan.index.is_some() {
        return Ok(None);
    }
    let text = format!(
        "no index of {} helps to find its documents, so that each of {all} is looked at, at each batch; use the mode \
         `Batched`, or make an index first",
        deed.collection
    );
    Ok(Some(subject.lint(Rule::UnindexedFilter, Severity::Warning, Some(deed), text)))
}

#[cfg(test)]
mod tests {
    use docstore::bson::doc;

    use super::*;
    use crate::lint::tests::{Named, subject};

    #[test]
    fn what_many_documents_mean_depends_on_the_mode() {
        let graph = crate::Graph::new(vec![Box::new(Named)]).unwrap();
        let deed = crate::Step::seed("seed", "things", ["a"], vec![doc! { "a": 1 }]).deed();
        let rule = |mode, matched| {
            let mut subject = subject(&graph);
            subject.meta = Box::leak(Box::new(subject.meta.mode(mode)));
            size(&subject, &deed, matched).map(|lint| (lint.rule, lint.severity))
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
