use std::collections::BTreeMap;
use std::fmt::Write as _;

use bson::{Document, doc};
use clap::{Args, Subcommand};
use migrator::UpTarget;
use migrator::rehearsal::{
    CrashReport, RehearsalReport, RehearsalRequest, RoundTripRequest, Trial, TrialData, TrialOutcome,
};
use serde_json::json;

use super::apply::details;
use super::context::Context;
use super::output::{Output, count};
use crate::cli::CliError;

/// The exit code of a migration that does not do what it should.
const WRONG: u8 = 1;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Put migrations to the test: twice, there and back, with a crash between any two writes
    #[command(after_help = "Examples:
  field-notes migrate test
  field-notes migrate test 0004 --crashes 200
  field-notes migrate test --sample 1000

It works in databases of its own, which are gone afterwards, on no data, on data made up, and with --sample on some of yours. The
exit code is 1 if one does not pass.")]
    Test(Test),
    /// Apply what is pending to a copy of the database, and say how it went and how long it took
    #[command(after_help = "Examples:
  field-notes migrate rehearse
  field-notes migrate rehearse --to 0004 --sample 10000

The database is only read. The exit code is that which the real run would have.")]
    Rehearse(Rehearse),
}

#[derive(Debug, Clone, Args)]
pub(super) struct Test {
    /// These alone; the beginnings of their ids are enough
    ids: Vec<String>,
    /// Also on so many documents of each collection of the database
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
    /// At how many places a run crashes, each way
    #[arg(long, value_name = "N", default_value_t = 20)]
    crashes: usize,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Rehearse {
    /// This migration, and what it depends on; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    /// At most so many documents of each collection that is touched
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        match self {
            Self::Test(wanted) => test(context, wanted).await,
            Self::Rehearse(Rehearse { to, sample }) => {
                let target = to.map_or(UpTarget::All, UpTarget::To);
                let rehearsal = context.migrator.rehearse(&RehearsalRequest { target, sample }).await?;
                let code = rehearsal.failure.as_ref().map_or(0, |failure| failure.exit_code);
                Ok(Output::new(&rehearsal, rehearsal_text(&rehearsal)).with_code(code))
            }
        }
    }
}

async fn test(context: &Context, Test { ids, sample, crashes }: Test) -> Result<Output, CliError> {
    let mut data = vec![TrialData::Empty, made_up()];
    data.extend(sample.map(TrialData::Sample));
    let only = (!ids.is_empty()).then_some(ids);
    let done = context.migrator.round_trip(&RoundTripRequest { only, data, max_crashes: crashes }).await?;
    let passed = done.trials.iter().filter(|trial| trial.passed()).count();
    let mut text = done.trials.iter().fold(String::new(), |text, trial| text + &trial_text(trial));
    let _ = writeln!(text, "{passed} of {} passed", count(done.trials.len(), "trial"));
    let value = json!({ "trials": done.trials, "passed": done.passed() });
    Ok(Output::new(&value, text).with_code(if done.passed() { 0 } else { WRONG }))
}

/// Content of every kind as the original made it, before any migration: with and without owners and sections.
fn made_up() -> TrialData {
    let story = |i: i32| -> Document {
        let slug = format!("story-{i}");
        let mut story = doc! { "title": slug.clone(), "slug": slug, "is_published": i % 2 == 0 };
        if i % 5 == 0 {
            story.insert("user_id", "64b000000000000000000001");
        }
        if i % 7 == 0 {
            story.insert("deleted", true);
        }
        story
    };
    let collections = BTreeMap::from([
        ("stories".to_owned(), (0..40).map(story).collect()),
        ("projects".to_owned(), vec![doc! { "title": "p", "slug": "p" }, doc! { "title": "q", "slug": "q" }]),
        (
            "pages".to_owned(),
            ["about", "contact", "imprint"].map(|kind| doc! { "title": kind, "page_type": kind }).to_vec(),
        ),
        ("sections".to_owned(), vec![doc! { "title": "Notes", "slug": "notes", "parent_id": null }]),
    ]);
    TrialData::Documents { name: "made up".to_owned(), collections }
}

fn trial_text(trial: &Trial) -> String {
    let mark = if trial.passed() { "✓" } else { "✗" };
    let mut text =
        format!("{mark} {} on data: {}, {} ms\n", trial.id, trial.data, trial.duration.as_millis());
    let tries = [
        ("up", &trial.up),
        ("up again on its own result", &trial.idempotent),
        ("down", &trial.down),
        ("up anew", &trial.reapply),
    ];
    for (what, outcome) in tries {
        outcome_text(&mut text, what, outcome);
    }
    for (what, crashes) in [("up", &trial.crashes_up), ("down", &trial.crashes_down)] {
        let CrashReport { places, tried, failures, .. } = crashes;
        if *tried > 0 {
            let _ = writeln!(text, "    crashed {what} at {tried} of {}", count(*places, "place"));
        }
        for (place, outcome) in failures {
            outcome_text(&mut text, &format!("after a crash {what} at place {place}"), outcome);
        }
    }
    for warning in &trial.warnings {
        let _ = writeln!(text, "    warning: {warning}");
    }
    text
}

/// What held is not worth a line.
fn outcome_text(text: &mut String, what: &str, outcome: &TrialOutcome) {
    match outcome {
        TrialOutcome::Held => {}
        TrialOutcome::NotTried { why } => _ = writeln!(text, "    {what}: not tried: {why}"),
        TrialOutcome::Failed { error } => {
            let _ = writeln!(text, "    {what}: failed: {}", error.lines().next().unwrap_or_default());
        }
        TrialOutcome::Different { differences } => {
            let _ = writeln!(text, "    {what}: came to something else");
            for one in differences {
                let _ = writeln!(text, "        {}: {}", one.collection, one.what);
            }
        }
    }
}

fn rehearsal_text(rehearsal: &RehearsalReport) -> String {
    let mut text = String::new();
    for copied in &rehearsal.copied {
        let part =
            if copied.documents == copied.total { String::new() } else { format!(" of {}", copied.total) };
        let _ = writeln!(text, "copied {}: {}{part}", copied.collection, copied.documents);
    }
    let _ = writeln!(text, "the copy took {} ms", rehearsal.copy.as_millis());
    for applied in &rehearsal.applied {
        let _ = writeln!(text, "applied {} in {} ms", applied.id, applied.duration.as_millis());
        details(&mut text, &applied.counts, &applied.warnings);
    }
    for (migration, finding) in &rehearsal.findings {
        let _ = writeln!(text, "does not hold afterwards: {migration}: {finding}");
    }
    if let Some(failure) = &rehearsal.failure {
        let _ = writeln!(text, "{}", failure.error);
        for one in &failure.violations {
            let _ = writeln!(text, "    in the way: {} of {}: {}", one.id, one.collection, one.why);
        }
    } else if rehearsal.pending.is_empty() {
        text.push_str("nothing is pending\n");
    }
    text.push_str("the copy is gone; nothing was changed\n");
    text
}
