use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::Verdict;
use crate::scale::is_full;

/// The document, and the lines between which its table is.
const DOCUMENT: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- table written by `make test-faults` -->";
const END: &str = "<!-- end of the table -->";

/// A row of the table in docs/reliability.md.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The fault and where it happens: `kill -9 of the server, embedded store`.
    pub(crate) fault: String,
    /// The module of the scenario and its test: `kill::embedded`.
    pub(crate) test: String,
    /// The number of times that the fault happened.
    pub(crate) rounds: u64,
    /// Acknowledged writes.
    pub(crate) acknowledged: u64,
    /// Items whose acknowledged state is not there afterwards.
    pub(crate) lost: u64,
    /// Items that are not whole.
    pub(crate) half: u64,
    /// Creates that made more than one item, equal slugs, wrong totals.
    pub(crate) duplicates: u64,
    /// Requests without a response or with a status of 500 and above.
    pub(crate) failed: u64,
    /// The times from the end of the fault to the first acknowledged write, in milliseconds.
    pub(crate) recovery_ms: Vec<u64>,
    /// Other measurements, each with its unit.
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// Creates a row for a test, given as `module::name`.
    pub(crate) fn new(test: &str, fault: &str) -> Self {
        Self { test: test.to_owned(), fault: fault.to_owned(), ..Self::default() }
    }

    /// Adds what the check of a history found.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let count = |found: &[String]| u64::try_from(found.len()).unwrap_or(u64::MAX);
        self.acknowledged += verdict.acknowledged;
        self.lost += count(&verdict.lost);
        self.half += count(&verdict.half);
        self.duplicates += count(&verdict.duplicates);
        self.failed += verdict.failed;
    }

    /// Adds a time from the end of a fault to the first acknowledged write.
    pub(crate) fn add_recovery(&mut self, time: Duration) {
        self.recovery_ms.push(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Adds a figure.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Prints the row and keeps it for the table, under `make test-faults`.
    pub(crate) fn write(&self) {
        println!("{}", self.to_markdown());
        if is_full() {
            let folder = folder();
            fs::create_dir_all(&folder).expect("a folder for the rows");
            let text = serde_json::to_string_pretty(self).expect("a row is JSON");
            // A test may have a row for each of several faults.
            let name: String =
                self.key().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            fs::write(folder.join(format!("{name}.json")), text).expect("the row is written");
        }
    }

    fn key(&self) -> String {
        format!("{} {}", self.test, self.fault)
    }

    fn to_markdown(&self) -> String {
        let Self { fault, test, rounds, acknowledged, lost, half, duplicates, failed, notes, .. } = self;
        let notes = notes.join("; ");
        let recovery = match (self.percentile(50), self.percentile(99)) {
            (Some(median), Some(high)) => format!("{median}, {high}"),
            _ => "–".to_owned(),
        };
        format!(
            "| {fault} | {rounds} | {acknowledged} | {lost} | {half} | {duplicates} | {failed} | {recovery} | {notes} | `{test}` |"
        )
    }

    /// Returns the smallest time that is not exceeded by this share of all, in percent.
    fn percentile(&self, percent: usize) -> Option<u64> {
        let mut times = self.recovery_ms.clone();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100);
        times.get(rank.checked_sub(1)?).copied()
    }
}

fn folder() -> PathBuf {
    std::env::var_os("FAULTS").map_or_else(|| "target/faults".into(), PathBuf::from)
}

/// Writes the table from the rows of the last run. `make test-faults` calls it after the scenarios.
#[test]
fn table_is_written() {
    if std::env::var_os("WRITE_RELIABILITY").is_none() {
        return;
    }
    let files = fs::read_dir(folder()).expect("the rows of a run");
    let mut rows: Vec<Row> = files
        .map(|file| fs::read(file.expect("a file").path()).expect("a row"))
        .map(|text| serde_json::from_slice(&text).expect("a row is JSON"))
        .collect();
    rows.sort_by_key(Row::key);
    let mut table = format!(
        "{BEGIN}\n\n| Fault | Rounds | Acknowledged | Lost | Half | Duplicate | Failed requests | Recovery p50, p99, ms | Measured | Test |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    for row in &rows {
        writeln!(table, "{}", row.to_markdown()).expect("text grows");
    }
    let document = fs::read_to_string(DOCUMENT).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("the beginning of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    fs::write(DOCUMENT, format!("{before}{table}\n{END}{after}")).expect("the document is written");
}

#[test]
fn percentiles_are_the_nearest_rank() {
    let mut row = Row::new("a::b", "a fault");
    assert_eq!(row.percentile(50), None);
    row.recovery_ms = (1..=200).rev().collect();
    assert_eq!(
        (row.percentile(50), row.percentile(99), row.percentile(100)),
        (Some(100), Some(198), Some(200))
    );
}
