//! Results of commands: printed text, JSON and exit codes.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::service;
use crate::startup::Failure;

/// The exit code of a lock that another process holds.
pub(super) const LOCKED: u8 = 5;
/// The exit code of a check that found drift.
pub(super) const DRIFT: u8 = 6;
/// The exit code of migrations that contradict one another or themselves.
pub(super) const CONTRADICTION: u8 = 7;
/// The exit code of an action that was refused as unsafe.
pub(super) const REFUSED: u8 = 8;

/// The result of a command: text for people, JSON for programs, and an exit code.
#[derive(Debug)]
pub(super) struct Output {
    value: Value,
    text: String,
    code: u8,
}

impl Output {
    pub(super) fn new(value: &impl Serialize, text: impl Into<String>) -> Self {
        let value =
            serde_json::to_value(value).expect("reports have string keys and serialize without errors");
        Self { value: simplify(value), text: text.into(), code: 0 }
    }

    /// An output of a command that has no `--json`.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::new(&Value::Null, text)
    }

    /// Adds the location of the store to the JSON.
    pub(super) fn with_store(mut self, location: &str) -> Self {
        if let Value::Object(members) = &mut self.value {
            members.insert("store".to_owned(), location.into());
        }
        self
    }

    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Prints the output and returns its exit code; 1 if it cannot be printed.
    pub(super) fn print(self, as_json: bool) -> u8 {
        match print(&if as_json { format!("{:#}\n", self.value) } else { self.text }) {
            Ok(()) => self.code,
            Err(error) => {
                print_error(&format!("error: failed to print the result: {error}"));
                1
            }
        }
    }
}

/// A failed command: the message and the exit code.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) message: String,
    pub(super) code: u8,
    /// `true` if the command ended because a person did not confirm it, which is no error.
    is_canceled: bool,
}

impl CliError {
    pub(super) fn new(message: impl Into<Box<dyn Error>>, code: u8) -> Self {
        Self { message: message.into().to_string(), code, is_canceled: false }
    }

    pub(super) fn failed(message: impl Into<Box<dyn Error>>) -> Self {
        Self::new(message, 1)
    }

    pub(super) fn usage(message: impl Into<Box<dyn Error>>) -> Self {
        Self::new(message, 2)
    }

    pub(super) fn refused(message: impl Into<Box<dyn Error>>) -> Self {
        Self::new(message, REFUSED)
    }

    pub(super) fn canceled() -> Self {
        Self { is_canceled: true, ..Self::refused("canceled; nothing was changed") }
    }

    /// Prints the error to standard error.
    pub(super) fn print(&self) {
        self.lines().for_each(|line| print_error(&line));
    }

    /// Returns the printed lines. Indented lines continue the one before.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.message.lines().map(|line| {
            let prefix = if self.is_canceled || line.starts_with(' ') { "" } else { "error: " };
            format!("{prefix}{line}")
        })
    }

    /// Prints the error as JSON to standard output.
    pub(super) fn print_json(&self) {
        let mut lines = self.message.lines().map(str::trim);
        let message = lines.next().unwrap_or_default();
        let more: Vec<_> = lines.collect();
        let value = json!({ "error": { "message": message, "more": more, "exit_code": self.code } });
        // The exit code tells that the command failed, too.
        let _ = print(&format!("{value:#}\n"));
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.to_string(), failure.exit)
    }
}

impl From<migrator::Error> for CliError {
    fn from(error: migrator::Error) -> Self {
        Self::new(error.to_string(), error.exit_code())
    }
}

impl From<docstore::Error> for CliError {
    fn from(error: docstore::Error) -> Self {
        migrator::Error::from(error).into()
    }
}

impl From<service::Error> for CliError {
    fn from(error: service::Error) -> Self {
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            message = format!("{message}: {cause}");
            next = cause.source();
        }
        Self::failed(message)
    }
}

/// Converts extended JSON to plain JSON: dates and ids become strings, typed numbers become numbers.
fn simplify(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(simplify).collect(),
        Value::Object(members) => extended(&members).unwrap_or_else(|| {
            let members = members.into_iter().map(|(name, member)| (name, simplify(member)));
            members.collect::<Map<_, _>>().into()
        }),
        other => other,
    }
}

/// Returns the plain value of an object that is a typed value of extended JSON.
fn extended(members: &Map<String, Value>) -> Option<Value> {
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    match name.as_str() {
        "$oid" | "$numberDecimal" => value.is_string().then(|| value.clone()),
        "$numberInt" | "$numberLong" => Some(value.as_str()?.parse::<i64>().ok()?.into()),
        "$numberDouble" => Some(value.as_str()?.parse::<f64>().ok()?.into()),
        "$date" => match value {
            Value::String(_) => Some(value.clone()),
            Value::Object(millis) => Some(rfc3339(millis.get("$numberLong")?.as_str()?.parse().ok()?).into()),
            _ => None,
        },
        _ => None,
    }
}

/// Text for people, written line by line.
pub(super) trait Lines {
    fn push_line(&mut self, line: impl Display);

    fn push_lines(&mut self, lines: impl IntoIterator<Item: Display>) {
        lines.into_iter().for_each(|line| self.push_line(line));
    }

    /// Writes a label and a list on one line, if the list is not empty.
    fn push_list(&mut self, label: &str, items: &[String]) {
        self.push_lines((!items.is_empty()).then(|| format!("{label} {}", items.join(", "))));
    }
}

impl Lines for String {
    fn push_line(&mut self, line: impl Display) {
        writeln!(self, "{line}").expect("writing to a string cannot fail");
    }
}

/// Formats a time of the ledger, to the second.
pub(super) fn time(at: bson::DateTime) -> String {
    rfc3339(at.timestamp_millis())
}

fn rfc3339(millis: i64) -> String {
    let at = DateTime::from_timestamp_millis(millis);
    at.map_or_else(|| millis.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Formats a count with its noun: `1 warning`, `2 warnings`.
pub(super) fn count(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Formats a number of bytes, rounded down to two digits or more.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Returns the first line of an error, which says what failed.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Prints a line to standard error. That it cannot be printed is no reason to fail.
pub(super) fn print_error(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints to standard output. A reader that closed the pipe is no error.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_output_has_no_extended_json_types() {
        let value = json!({
            "at": { "$date": { "$numberLong": "1767225600123" } },
            "ids": [{ "$oid": "64b000000000000000000001" }],
            "n": { "$numberLong": "5" },
            "other": { "$set": { "a": 1 } },
        });
        let expected = json!({
            "at": "2026-01-01T00:00:00Z", "ids": ["64b000000000000000000001"], "n": 5,
            "other": { "$set": { "a": 1 } },
        });
        assert_eq!(simplify(value), expected);
    }

    #[test]
    fn missing_confirmation_is_no_error_and_an_error_names_its_cause_once() {
        let canceled = CliError::canceled();
        assert_eq!(canceled.lines().collect::<Vec<_>>(), ["canceled; nothing was changed"]);
        assert_eq!(canceled.code, REFUSED);
        let unavailable = docstore::Error::Unavailable("h: no answer".to_owned());
        let error = CliError::from(service::Error::from(crate::repository::Error::from(unavailable)));
        assert_eq!(error.lines().collect::<Vec<_>>(), ["error: the store is unavailable: h: no answer"]);
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!([999, 20_480, 52_428_800].map(size), ["999 B", "20 KiB", "50 MiB"]);
    }
}
