use std::collections::BTreeMap;

use bson::{Document, doc};
use clap::Args;
use migrator::rehearsal::{RoundTripRequest, Trial, TrialData, TrialOutcome};
use serde_json::json;

use super::{CliError, Context, Lines, Output, Run, count, first_line};

/// Test migrations: apply twice, roll back, apply again, crash between writes
///
/// Examples:
///   field-notes migrate test
///   field-notes migrate test 0004 --crashes 200
///   field-notes migrate test --sample 1000
///
/// Works in temporary databases that are removed afterwards: an empty one, one with generated data, and with
/// --sample one with a sample of yours. Exits with 1 if a migration does not pass.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TestArgs {
    /// Test only these migrations (ids or unique prefixes)
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Also test on N documents of each collection of the database
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
    /// Crash each direction at up to N places
    #[arg(long, value_name = "N", default_value_t = 20)]
    crashes: usize,
}

impl Run for TestArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { ids, sample, crashes } = self;
        let mut data = vec![TrialData::Empty, generated()];
        data.extend(sample.map(TrialData::Sample));
        let only = (!ids.is_empty()).then_some(ids);
        let done =
            context.migrator.round_trip(&RoundTripRequest { only, data, max_crashes: crashes }).await?;
        let passed = done.trials.iter().filter(|trial| trial.passed()).count();
        let mut text = done.trials.iter().fold(String::new(), |text, trial| text + &trial_text(trial));
        text.push_line(format!("{passed} of {} passed", count(done.trials.len(), "trial")));
        let value = json!({ "trials": done.trials, "passed": done.passed() });
        Ok(Output::new(&value, text).with_code(u8::from(!done.passed())))
    }
}

/// Content as the original created it, before any migration: with and without owners and sections.
fn generated() -> TrialData {
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
    let page = |kind: &str| doc! { "title": kind, "page_type": kind };
    let collections = BTreeMap::from([
        ("stories".to_owned(), (0..40).map(story).collect()),
        ("projects".to_owned(), vec![doc! { "title": "p", "slug": "p" }, doc! { "title": "q", "slug": "q" }]),
        ("pages".to_owned(), ["about", "contact", "imprint"].map(page).to_vec()),
        ("sections".to_owned(), vec![doc! { "title": "Notes", "slug": "notes", "parent_id": null }]),
    ]);
    TrialData::Documents { name: "generated".to_owned(), collections }
}

fn trial_text(trial: &Trial) -> String {
    let mark = if trial.passed() { "✓" } else { "✗" };
    let mut text = format!("{mark} {} on {} data, {} ms\n", trial.id, trial.data, trial.duration.as_millis());
    let phases = [
        ("up", &trial.up),
        ("up, repeated", &trial.idempotent),
        ("down", &trial.down),
        ("up, again", &trial.reapply),
    ];
    for (phase, outcome) in phases {
        outcome_text(&mut text, phase, outcome);
    }
    for (direction, crashes) in [("up", &trial.crashes_up), ("down", &trial.crashes_down)] {
        if crashes.tried > 0 {
            let places = count(crashes.places, "place");
            text.push_line(format!("    crashed {direction} at {} of {places}", crashes.tried));
        }
        for (place, outcome) in &crashes.failures {
            outcome_text(&mut text, &format!("after a crash {direction} at place {place}"), outcome);
        }
    }
    text.push_lines(trial.warnings.iter().map(|warning| format!("    warning: {warning}")));
    text
}

fn outcome_text(text: &mut String, phase: &str, outcome: &TrialOutcome) {
    match outcome {
        TrialOutcome::Held => {}
        TrialOutcome::NotTried { why } => text.push_line(format!("    {phase}: not tried: {why}")),
        TrialOutcome::Failed { error } => {
            text.push_line(format!("    {phase}: failed: {}", first_line(error)));
        }
        TrialOutcome::Different { differences } => {
            text.push_line(format!("    {phase}: the result differs"));
            text.push_lines(
                differences
                    .iter()
                    .map(|difference| format!("        {}: {}", difference.collection, difference.what)),
            );
        }
    }
}
