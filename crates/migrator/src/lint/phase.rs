use super::{Lint, LintSubject, Rule, Severity};
use crate::Phase;
use crate::operation::Operation;
use crate::step::Step;

/// Constructors of steps that remove something.
const TAKE_AWAY: &[&str] = &["unset_field", "rename_end", "delete"];

pub(super) fn look(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = renames(subject);
    match subject.meta.phase {
        Phase::Expand => lints.extend(expand(subject)),
        Phase::Contract => lints.extend(contract(subject)),
    }
    lints
}

fn expand(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    for step in &subject.steps {
        let (rule, severity, text) = match &step.operation {
            Operation::Unset { .. } | Operation::Delete { .. } => (
                Rule::ExpandTakesAway,
                Severity::Error,
                "it removes what older programs may need; declare it as `Phase::Contract`, and run it once they are gone",
            ),
            Operation::DropIndex(_) => (
                Rule::ExpandTakesAway,
                Severity::Warning,
                "older programs may need the index; declare it as `Phase::Contract`",
            ),
            Operation::CreateIndex(index) if index.is_unique() => (
                Rule::ExpandTightens,
                Severity::Warning,
                "writes of older programs may be rejected as duplicates; make sure that they never write any",
            ),
            _ => continue,
        };
        lints.push(subject.lint(rule, severity, Some(step), text));
    }
    // Steps made in code are known only after a dry run; its source can always be read.
    if subject.steps.is_empty()
        && let Some(method) = TAKE_AWAY.iter().find(|method| calls(subject, method))
    {
        let text = format!(
            "its code calls `{method}`, which removes what older programs may need; declare it as `Phase::Contract`"
        );
        lints.push(subject.lint(Rule::ExpandTakesAway, Severity::Error, None, text));
    }
    lints
}

fn calls(subject: &LintSubject<'_>, method: &str) -> bool {
    let call = format!("Step : : {method} (");
    subject.code.as_ref().is_some_and(|code| code.reach("up").iter().any(|line| line.contains(&call)))
}

fn contract(subject: &LintSubject<'_>) -> Option<Lint> {
    let adds = |step: &Step| match &step.operation {
        Operation::Set { only_missing, .. } => *only_missing,
        Operation::CopyField { .. }
        | Operation::Insert { .. }
        | Operation::InsertMany { .. }
        | Operation::Copy { .. } => true,
        Operation::CreateIndex(index) => !index.is_unique(),
        _ => false,
    };
    if subject.steps.is_empty() || !subject.steps.iter().all(adds) {
        return None;
    }
    let text = "it only adds; as `Phase::Expand` it could run beside older programs";
    Some(subject.lint(Rule::ContractOnlyAdds, Severity::Warning, None, text))
}

/// A rename needs three steps: copy, stop using the old field, remove it.
fn renames(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    for step in &subject.steps {
        let Operation::Unset { field: old, renamed_to, .. } = &step.operation else { continue };
        let copies = |other: &&Step| {
            other.collection == step.collection
                && matches!(&other.operation, Operation::CopyField { from, .. } if from == old)
        };
        if subject.steps.iter().any(|other| copies(&other)) {
            let text = format!(
                "it copies {old} and removes it at once, so programs that read it fail in between; begin the rename here, and \
                 end it in a later migration, after a program that uses the new field"
            );
            lints.push(subject.lint(Rule::RenameAtOnce, Severity::Error, Some(step), text));
            continue;
        }
        let Some(new) = renamed_to else { continue };
        let begun = |other: &Step| {
            other.collection == step.collection
                && matches!(&other.operation, Operation::CopyField { from, to, .. } if from == old && to == new)
        };
        if subject.before.as_ref().is_some_and(|before| !before.iter().any(begun)) {
            let text = format!(
                "it removes {old} where {new} exists, but no earlier migration copies {old} to {new}"
            );
            lints.push(subject.lint(Rule::RenameWithoutCopy, Severity::Error, Some(step), text));
        }
    }
    lints
}
