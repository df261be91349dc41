use std::fmt::Write as _;
use std::num::NonZeroUsize;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use migrator::{HistoryRequest, LogRecord};
use serde_json::json;

use super::up::details;
use super::{CliError, Context, Lines, Output, Run, count, first_line, time};
use crate::cli::age::age;
use crate::clock::{Clock as _, SystemClock};

/// Show the log, run by run
///
/// Examples:
///   field-notes migrate history
///   field-notes migrate history --verbose --limit 20
///   field-notes migrate history --since 30d
///   field-notes migrate history --since 2026-11-01 --migration 0004
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct HistoryArgs {
    /// Also print the actor, the host and the counts of each step
    #[arg(short, long)]
    verbose: bool,
    /// Show records since a time: an age (30d), a day or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<DateTime<Utc>>,
    /// Show the last N records
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Show one migration (id or unique prefix)
    #[arg(long, alias = "of", value_name = "ID")]
    migration: Option<String>,
    /// Show one run (id or unique prefix)
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(age) = age(text) {
        return SystemClock.now().checked_sub_signed(age).ok_or_else(|| "too long ago".to_owned());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let time = day
        .map(|midnight| midnight.and_utc())
        .or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()));
    time.ok_or_else(|| {
        "must be an age such as 30d, a day such as 2026-11-20, or a time such as 2026-11-20T08:00:00Z"
            .to_owned()
    })
}

impl Run for HistoryArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { verbose, since, limit, migration, run } = self;
        let since = since.map(bson::DateTime::from_chrono);
        let limit = limit.map(NonZeroUsize::get);
        let request = HistoryRequest { migration, run, since, limit, progress: verbose };
        let log = context.migrator.history(&request).await?;
        let mut text = String::new();
        for run in log.chunk_by(|a, b| a.by.run_id == b.by.run_id) {
            let by = &run[0].by;
            text.push_line(format!("run {}", by.run_id));
            if verbose {
                let revision = by.git_revision.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
                let (actor, host, pid, version) = (&by.actor, &by.host, by.pid, &by.app_version);
                text.push_line(format!("  by {actor} on {host}, process {pid}, version {version}{revision}"));
            }
            records_text(&mut text, run, verbose);
        }
        if log.is_empty() {
            text.push_str("no records\n");
        }
        Ok(Output::new(&json!({ "records": log }), text))
    }
}

pub(super) fn records_text(text: &mut String, log: &[LogRecord], verbose: bool) {
    for record in log {
        let migration = record.migration.as_deref().unwrap_or("");
        _ = write!(text, "  {}  {:<12} {migration}", time(record.at), record.event.replace('_', " "));
        if let Some(ms) = record.duration_ms {
            _ = write!(text, " in {ms} ms");
        }
        if let Some(attempt) = record.attempt.filter(|attempt| *attempt > 1) {
            _ = write!(text, ", attempt {attempt}");
        }
        if !verbose && !record.warnings.is_empty() {
            _ = write!(text, " [{}]", count(record.warnings.len(), "warning"));
        }
        for (name, value) in [("to", &record.to), ("held by", &record.holder), ("reason", &record.reason)] {
            if let Some(value) = value {
                _ = write!(text, ", {name}: {value}");
            }
        }
        if let Some(error) = &record.error {
            _ = write!(text, ": {}", first_line(error));
        }
        text.push('\n');
        if verbose {
            details(text, &record.counts, &record.warnings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_accepts_ages_days_and_times() {
        assert_eq!(parse_time("2026-11-01").unwrap().to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!(
            parse_time("2026-11-01T08:00:00+02:00").unwrap().to_rfc3339(),
            "2026-11-01T06:00:00+00:00"
        );
        assert!(parse_time("30d").unwrap() < SystemClock.now());
        for bad in ["", "yesterday", "2026-13-01", "2026-11-01 08:00"] {
            assert!(parse_time(bad).is_err(), "{bad:?}");
        }
    }
}
