use super::{Lint, LintSubject, Rule, Severity};

/// Calls whose value differs between attempts, as tokens of the source.
const RANDOM: &[&str] = &[
    "Utc :: now (",
    "Local :: now (",
    "DateTime :: now (",
    "SystemTime :: now (",
    "Instant :: now (",
    "ObjectId :: new (",
    "Uuid :: new_v4 (",
    "Uuid :: now_v7 (",
    "rand :: ",
];

/// Calls that read the environment of the process, as tokens of the source.
const ENVIRONMENT: &[&str] = &["env :: var (", "env :: var_os (", "env :: vars (", "dotenvy :: "];

pub(super) fn look(subject: &LintSubject<'_>) -> Vec<Lint> {
    let Some(code) = &subject.code else { return Vec::new() };
    let mut lines = code.reach("up");
    lines.extend(code.reach("steps"));
    let first =
        |calls: &[&'static str]| calls.iter().copied().find(|call| lines.iter().any(|line| has(line, call)));
    let mut found = Vec::new();
    if let Some(call) = first(RANDOM) {
        let text = format!(
            "it uses `{}`, whose value differs between attempts; use `cx.now()`, `Value::Now`, or let the store \
             generate the id",
            spoken(call)
        );
        found.push(subject.lint(Rule::NotDeterministic, Severity::Warning, None, text));
    }
    if let Some(call) = first(ENVIRONMENT) {
        let text = format!(
            "it uses `{}`, which bypasses the configuration; require the variable and read it with `cx.env`",
            spoken(call)
        );
        found.push(subject.lint(Rule::ProcessEnvironment, Severity::Error, None, text));
    }
    found
}

/// Returns true if the line contains these tokens, not as the end of a longer one.
fn has(line: &str, words: &str) -> bool {
    line.match_indices(&words.replace("::", ": :")).any(|(at, _)| at == 0 || line[..at].ends_with(' '))
}

fn spoken(call: &str) -> String {
    call.replace(' ', "").trim_end_matches('(').trim_end_matches("::").to_owned()
}
