use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::CliError;

/// What a verb comes to: a value for programs, a text for people, and an exit code.
#[derive(Debug)]
pub(super) struct Output {
    value: Value,
    text: String,
    code: u8,
}

impl Output {
    /// Something that was done, or seen.
    pub(super) fn new(value: &impl Serialize, text: impl Into<String>) -> Self {
        // The values are texts, numbers, lists and names: nothing that cannot be written.
        let value = serde_json::to_value(value).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        Self { value: plain(value), text: text.into(), code: 0 }
    }

    /// The same with an exit code.
    pub(super) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Prints it; the code is what the program ends with.
    pub(super) fn print(self, as_json: bool) -> u8 {
        if as_json {
            say(&format!("{:#}\n", self.value));
        } else {
            say(&self.text);
        }
        self.code
    }
}

/// What is printed for programs where a verb failed.
pub(super) fn print_failure(ended: &CliError) {
    let mut lines = ended.message.lines().map(str::trim);
    let message = lines.next().unwrap_or_default();
    let more: Vec<_> = lines.collect();
    say(&format!(
        "{:#}\n",
        json!({ "error": { "message": message, "more": more, "exit_code": ended.code } })
    ));
}

/// Extended JSON without its types: dates and ids as text, numbers as numbers.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => match typed(&members) {
            Some(value) => value,
            None => {
                members.into_iter().map(|(name, member)| (name, plain(member))).collect::<Map<_, _>>().into()
            }
        },
        other => other,
    }
}

fn typed(members: &Map<String, Value>) -> Option<Value> {
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    match name.as_str() {
        "$oid" | "$numberDecimal" => value.is_string().then(|| value.clone()),
        "$numberInt" | "$numberLong" => Some(value.as_str()?.parse::<i64>().ok()?.into()),
        "$numberDouble" => Some(value.as_str()?.parse::<f64>().ok()?.into()),
        "$date" => match value {
            Value::String(_) => Some(value.clone()),
            Value::Object(millis) => Some(instant(millis.get("$numberLong")?.as_str()?.parse().ok()?).into()),
            _ => None,
        },
        _ => None,
    }
}

/// An instant of the ledger, to the second.
pub(super) fn at(instant_of_ledger: bson::DateTime) -> String {
    instant(instant_of_ledger.timestamp_millis())
}

fn instant(millis: i64) -> String {
    let at = DateTime::from_timestamp_millis(millis);
    at.map_or_else(|| millis.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// So many of something, as `1 warning`, `2 warnings`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// For people, to two digits or so.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Whether somebody sits there who can be asked.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks whoever sits there.
pub(in crate::cli) fn confirm() -> bool {
    say("go on? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).is_ok();
    read && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// To standard output; a reader that left early is no error.
pub(in crate::cli) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_programs_has_no_types_of_bson() {
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
        assert_eq!(plain(value), expected);
    }

    #[test]
    fn sizes_are_told_to_people() {
        assert_eq!([999, 20_480, 52_428_800].map(size), ["999 B", "20 KiB", "50 MiB"]);
    }
}
