use super::{Lint, LintSubject, Rule, Severity};

/// Words that do not describe a change.
const VAGUE: &[&str] = &[
    "change",
    "changes",
    "cleanup",
    "data",
    "db",
    "do",
    "fix",
    "fixes",
    "migrate",
    "migration",
    "minor",
    "misc",
    "more",
    "new",
    "other",
    "patch",
    "stuff",
    "temp",
    "test",
    "thing",
    "things",
    "tmp",
    "update",
    "updates",
    "various",
    "wip",
];

pub(super) fn look(subject: &LintSubject<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    let id = subject.meta.id;
    let words: Vec<&str> = id.split('_').skip(1).filter(|word| !word.is_empty()).collect();
    let says_nothing = |word: &&str| VAGUE.contains(word) || word.bytes().all(|b| b.is_ascii_digit());
    if words.iter().all(says_nothing) {
        let text = "the name does not describe the change; name the change and its object, as in add_user_id_to_stories";
        lints.push(subject.lint(Rule::VagueName, Severity::Warning, None, text));
    }
    if words.iter().skip(1).any(|word| *word == "and") {
        let text =
            "the name joins two changes; write a migration for each, so that each can be rolled back alone";
        lints.push(subject.lint(Rule::TwoInName, Severity::Warning, None, text));
    }
    if subject.meta.summary.trim().is_empty() {
        let text = "the summary is empty; describe the change in one line, for the status";
        lints.push(subject.lint(Rule::NoSummary, Severity::Warning, None, text));
    }
    lints
}
