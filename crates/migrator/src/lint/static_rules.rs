use std::collections::BTreeSet;

use docstore::{Field, Filter};

use super::{Lint, LintSubject, Rule, Severity};
use crate::operation::Operation;
use crate::step::Step;
use crate::{Mode, Undo};

/// Prefix of the engine's own collections.
const ENGINE: &str = "_migration";

pub(super) fn look(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints: Vec<Lint> = undo(subject).into_iter().collect();
    lints.extend(declared(subject));
    lints.extend(steps(subject));
    lints.extend(concerns(subject));
    lints
}

fn undo(subject: &LintSubject<'_>) -> Option<Lint> {
    match subject.undo {
        Undo::Irreversible(why) if why.trim().is_empty() => {
            let text =
                "it is irreversible without a stated reason; give the reason, for the operator who decides";
            Some(subject.lint(Rule::NoReason, Severity::Error, None, text))
        }
        Undo::Journal if !subject.meta.journal => {
            let text =
                "its rollback needs a journal, which it does not keep; keep one, or declare it irreversible";
            Some(subject.lint(Rule::NoJournal, Severity::Error, None, text))
        }
        Undo::Code if subject.code.as_ref().is_some_and(|code| !code.has("down")) => {
            let text = "its rollback is code, but it has no method `down`";
            Some(subject.lint(Rule::NoDown, Severity::Error, None, text))
        }
        _ => None,
    }
}

fn declared(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    let meta = subject.meta;
    for variable in &subject.variables {
        if !meta.requires_env.contains(&variable.as_str()) {
            let text = format!(
                "it reads {variable} and does not require it, so that it could fail midway; add it to `requires_env`"
            );
            lints.push(subject.lint(Rule::UndeclaredVariable, Severity::Error, None, text));
        }
    }
    if meta.touches.is_empty() {
        let text = "it does not say which collections it writes to, so it never goes as independent of others; \
                    add `touches`";
        lints.push(subject.lint(Rule::TouchesUnsaid, Severity::Warning, None, text));
        return lints;
    }
    for step in &subject.steps {
        let to = step.writes_to();
        if !meta.touches.contains(&to) {
            let text = format!("it writes to {to}, which is not among the collections that it `touches`");
            lints.push(subject.lint(Rule::TouchesMore, Severity::Error, Some(step), text));
        }
    }
    lints
}

fn steps(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    let mut names = BTreeSet::new();
    for step in &subject.steps {
        if !names.insert(&step.name) {
            let text = "another step has the same name, by which a repeated run identifies its journal";
            lints.push(subject.lint(Rule::RepeatedStep, Severity::Error, Some(step), text));
        }
        let changes_id = match &step.operation {
            Operation::Unset { field, .. } => *field == Field::ID,
            _ => step.operation.written_field() == Some(&Field::ID),
        };
        if changes_id {
            let text = "the id of a document cannot be changed; copy the documents under new ids and delete the old ones";
            lints.push(subject.lint(Rule::ChangesId, Severity::Error, Some(step), text));
        }
        if step.writes_to().starts_with(ENGINE) {
            let text = "migrations must not write to the engine's own collections";
            lints.push(subject.lint(Rule::EngineCollection, Severity::Error, Some(step), text));
        }
        if subject.meta.mode == Mode::Transaction {
            lints.extend(in_transaction(subject, step));
        }
    }
    lints
}

fn in_transaction(subject: &LintSubject<'_>, step: &Step) -> Option<Lint> {
    if step.is_ddl() {
        let text = "indexes cannot be created in a transaction; move them to a migration with another mode";
        return Some(subject.lint(Rule::DefinesInTransaction, Severity::Error, Some(step), text));
    }
    if !step.operation.pending().is_some_and(|filter| is_whole(&filter, step)) {
        return None;
    }
    let text = "it changes the whole collection in one transaction, which fails once the collection has grown; \
                use the mode `Idempotent` or `Batched`";
    Some(subject.lint(Rule::WholeInTransaction, Severity::Warning, Some(step), text))
}

/// Returns true if the filter excludes only documents that were changed before.
fn is_whole(filter: &Filter, step: &Step) -> bool {
    let own = |field: &Field| match &step.operation {
        Operation::Set { field: changed, .. } | Operation::Unset { field: changed, .. } => field == changed,
        Operation::CopyField { from, to, .. } => field == from || field == to,
        _ => false,
    };
    match filter {
        Filter::All => true,
        Filter::Missing(field) | Filter::Exists(field) | Filter::Ne(field, _) => own(field),
        Filter::And(filters) => filters.iter().all(|filter| is_whole(filter, step)),
        _ => false,
    }
}

/// Reports a migration that makes several changes in several collections, which are separate concerns.
fn concerns(subject: &LintSubject<'_>) -> Option<Lint> {
    let collections: BTreeSet<&str> = subject.steps.iter().map(Step::writes_to).collect();
    let kinds: BTreeSet<String> = subject.steps.iter().map(kind).collect();
    let text = if subject.steps.iter().any(Step::is_ddl) && !subject.steps.iter().all(Step::is_ddl) {
        "it changes documents and indexes; in separate migrations, one can fail without the other"
    } else if collections.len() > 1 && kinds.len() > 1 {
        "it makes different changes to different collections; in separate migrations, each can be rolled back alone"
    } else {
        return None;
    };
    Some(subject.lint(Rule::SeveralConcerns, Severity::Warning, None, text))
}

/// Returns a key that is equal for steps that make the same change to different collections.
fn kind(step: &Step) -> String {
    match &step.operation {
        Operation::Set { field, .. } => format!("set {field}"),
        Operation::Unset { field, .. } => format!("unset {field}"),
        Operation::CopyField { from, to, .. } => format!("copy {from} to {to}"),
        Operation::UpdateEach { reads, .. } => format!("each {:?}", reads.fields()),
        Operation::Insert { .. } | Operation::InsertMany { .. } => "insert".into(),
        Operation::Delete { .. } => "delete".into(),
        Operation::Copy { .. } => "copy".into(),
        Operation::CreateIndex(_) | Operation::DropIndex(_) => "index".into(),
    }
}
