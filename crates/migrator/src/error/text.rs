use std::fmt::Write as _;

use bson::DateTime;

use super::{Error, MissingEnv};
use crate::{State, StepCounts};

pub(super) fn missing_env(missing: &[MissingEnv]) -> String {
    let mut text = String::new();
    for MissingEnv { variable, migration } in missing {
        let _ = writeln!(text, "{migration} needs {variable}, which is not set; set it in .env");
    }
    text + "  nothing was changed; then run `field-notes migrate up`"
}

fn committed(counts: &[StepCounts]) -> String {
    if counts.is_empty() {
        return "  it had committed nothing\n".into();
    }
    let mut text = String::from("  it had committed:\n");
    for step in counts {
        let _ = writeln!(text, "    {step}");
    }
    text
}

fn in_step(step: Option<&str>) -> String {
    step.map(|step| format!(" in step {step:?}")).unwrap_or_default()
}

const AFTER_FAILURE: &str = "  remove the cause, then run `field-notes migrate up` to go on, \
                             or `field-notes migrate down` to take back what it did";

pub(super) fn failed(id: &str, step: Option<&str>, counts: &[StepCounts], source: &Error) -> String {
    format!("{id} failed{}: {source}\n{}{AFTER_FAILURE}", in_step(step), committed(counts))
}

pub(super) fn needs_repair(
    id: &str,
    undo: bool,
    step: Option<&str>,
    error: &str,
    at: Option<DateTime>,
    counts: &[StepCounts],
) -> String {
    let when =
        at.and_then(|at| at.try_to_rfc3339_string().ok()).map(|at| format!(" at {at}")).unwrap_or_default();
    if undo {
        return format!(
            "taking back {id} failed in an earlier run{when}: {error}\n  it is taken back in part; remove the cause, then \
             run `field-notes migrate down` to finish it, or `field-notes migrate up` to finish it and apply it anew"
        );
    }
    format!(
        "{id} failed in an earlier run{when}{}: {error}\n{}{AFTER_FAILURE}",
        in_step(step),
        committed(counts)
    )
}

pub(super) fn indented(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    {line}");
        text
    })
}

pub(super) fn applied(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

pub(super) fn undecided(id: &str, counts: &[StepCounts]) -> String {
    format!(
        "{id} was interrupted, and says that an operator has to decide what becomes of it\n{}  look at the data, then run \
         `field-notes migrate repair {id} --as retry --reason …` and `field-notes migrate up` to go on,\n  or \
         `field-notes migrate down` to take back what it did, or `field-notes migrate repair {id} --as applied --reason …` \
         if you have finished it by hand",
        committed(counts)
    )
}

pub(super) fn interrupted(id: Option<&str>, undo: bool, counts: &[StepCounts]) -> String {
    match (id, undo) {
        (None, _) => {
            "told to stop, and stopped between two migrations; what was done is kept\n  run it again to go on"
                .into()
        }
        (Some(id), true) => format!(
            "told to stop, and stopped while taking back {id}; what was taken back stays so\n  run `field-notes migrate down` to \
             finish it, or `field-notes migrate up` to finish it and apply the migration anew"
        ),
        (Some(id), false) => format!(
            "told to stop, and stopped in the midst of {id}, between two batches; it has not failed\n{}  run `field-notes migrate \
             up` to go on where it stopped, or `field-notes migrate down` to take back what it did",
            committed(counts)
        ),
    }
}

pub(super) fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; is it {}?", near.join(" or ")) }
}

pub(super) fn unknown_run(given: &str, candidates: &[String]) -> String {
    let look = "nothing was changed\n  `field-notes migrate history` names the runs";
    if candidates.is_empty() {
        format!("no run {given} has applied anything that is still applied; {look}")
    } else {
        format!("{given} can be any of the runs {}; {look}", candidates.join(", "))
    }
}

pub(super) fn contexts(has: &[String]) -> String {
    if has.is_empty() { "none".into() } else { has.join(", ") }
}

pub(super) fn state(state: Option<State>) -> &'static str {
    match state {
        None => "has never run",
        Some(State::Running) => "is being run",
        Some(State::Applied) => "is applied",
        Some(State::Failed) => "has failed",
        Some(State::Interrupted) => "was interrupted",
        Some(State::RollingBack) => "is being taken back",
        Some(State::RolledBack) => "was taken back",
    }
}

pub(super) fn out_of_order(late: &str, applied: &str, shared: &[String]) -> String {
    let why = if shared.is_empty() {
        "and they do not both say what they touch".to_owned()
    } else {
        format!("and both touch {}", shared.join(", "))
    };
    format!(
        "{late} comes before {applied}, which is applied and does not depend on it, {why}; nothing was changed\n  let {late} \
         depend on {applied}, or say what both touch if that is apart, or that {late} may run out of order; or take back \
         {applied} first: `field-notes migrate down`"
    )
}

pub(super) fn done(rolled_back: &[String]) -> String {
    if rolled_back.is_empty() {
        "nothing was changed".into()
    } else {
        format!("before it {} taken back, and nothing else was changed", were(rolled_back))
    }
}

fn were(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "was" } else { "were" })
}

pub(super) fn beyond(beyond: &[String]) -> String {
    if beyond.is_empty() {
        return String::new();
    }
    let (were, depend) = if beyond.len() == 1 { ("was", "depends") } else { ("were", "depend") };
    format!("; {} {were} not asked for, and {depend} on what was", beyond.join(", "))
}
