use super::{Lint, LintSubject, Rule, Severity};
use crate::Phase;
use crate::operation::Operation;
use crate::step::Step;

/// Methods of code that take something away.
const TAKE_AWAY: &[&str] = &["unset", "delete"];

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
                "it takes away what programs from before it may need; declare it as `Phase::Contract`, and run it \
                 once those are gone",
            ),
            Operation::DropIndex(_) => (
                Rule::ExpandTakesAway,
                Severity::Warning,
                "programs from before it may need the index to be fast; declare it as `Phase::Contract`",
            ),
            Operation::CreateIndex(index) if index.is_unique() => (
                Rule::ExpandTightens,
                Severity::Warning,
                "writes of programs from before it may be refused as duplicates; make sure that they never write any",
            ),
            _ => continue,
        };
        lints.push(subject.lint(rule, severity, Some(step), text));
    }
    // Steps that are made in code are seen only where it is looked at; the code can always be read.
    if subject.steps.is_empty()
        && let Some(method) = TAKE_AWAY.iter().find(|method| calls(subject, method))
    {
        let text = format!(
            "its code calls `{method}`, which takes away what programs from before it may need; declare it as \
             `Phase::Contract`"
        );
        lints.push(subject.lint(Rule::ExpandTakesAway, Severity::Error, None, text));
    }
    lints
}

fn calls(subject: &LintSubject<'_>, method: &str) -> bool {
    let call = format!(". {method} (");
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
    let text = "it only adds; as `Phase::Expand` it could run while older programs do";
    Some(subject.lint(Rule::ContractOnlyAdds, Severity::Warning, None, text))
}

/// A rename goes in three: copy, let no program use the old field, take it away.
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
                "it copies {old} and takes it away at once, so programs that read it fail in between; begin the rename \
                 here, and end it in a later migration, after a program that uses the new field"
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
                "it takes {old} away where there is {new}, and no migration before it copies the one to the other"
            );
            lints.push(subject.lint(Rule::RenameWithoutCopy, Severity::Error, Some(step), text));
        }
    }
    lints
}
