use std::time::Duration;

use docstore::{Database, Transaction};

use super::estimate::{self, Rate};
use super::measure::Measure;
use super::redact::Secrets;
use super::sink::{DryRunSink, Reads, RecordedStep};
use super::{MigrationPreview, Preview, PreviewPath, Sample, StepPreview};
use crate::lint::{Lint, Linter, Rule};
use crate::run::{Attempt, Up};
use crate::step::Step;
use crate::{Error, Graph, Migration, Result, Settings};

/// The largest number of documents that a trial changes in its transaction, which blocks other writers of them.
const TRIAL_LIMIT: u64 = 10_000;
/// The longest time that a trial may take.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A dry run of pending migrations.
pub(crate) struct DryRun<'a> {
    pub(crate) db: &'a Database,
    pub(crate) graph: &'a Graph,
    pub(crate) settings: &'a Settings,
    /// The positions in the graph of the migrations that would be applied, in order.
    pub(crate) apply: &'a [usize],
    /// True if the migrations may be tried in a transaction.
    pub(crate) may_try: bool,
}

/// The recorded effect of one migration.
#[derive(Default)]
struct RecordedMigration {
    id: &'static str,
    steps: Vec<RecordedStep>,
    warnings: Vec<String>,
    reads: Reads,
    error: Option<String>,
}

impl DryRun<'_> {
    pub(crate) async fn run(&self) -> Result<Preview> {
        let (path, not_tried, recorded) = match self.try_in_transaction().await? {
            Ok(recorded) => (PreviewPath::Tried, None, recorded),
            Err(why) => (PreviewPath::Counted, Some(why), self.pass(None).await?.unwrap_or_default()),
        };
        let rate = self.rate(&recorded).await?;
        let mut migrations = Vec::new();
        for (place, &at) in self.apply.iter().enumerate() {
            let earlier = &recorded[..place.min(recorded.len())];
            let (migration, recorded) = (self.graph.get(at), recorded.get(place));
            let without = match recorded {
                Some(recorded) if path == PreviewPath::Counted => recorded.depends_on(earlier),
                _ => Vec::new(),
            };
            let lints = self.lints(migration, recorded, earlier, &without).await?;
            migrations.push(preview(migration, recorded, &rate, without, lints));
        }
        Ok(Preview { path, not_tried, undo_first: Vec::new(), migrations })
    }

    /// Runs all migrations in a transaction that is then aborted, or returns why it cannot.
    async fn try_in_transaction(&self) -> Result<Result<Vec<RecordedMigration>, String>> {
        if !self.may_try {
            return Ok(Err("not requested".into()));
        }
        if self.apply.is_empty() {
            return Ok(Err("nothing is pending".into()));
        }
        if !self.db.facts().await?.transactions {
            return Ok(Err("the server has no transactions".into()));
        }
        let transaction = self.db.begin().await?;
        let outcome = tokio::time::timeout(TRIAL_TIMEOUT, self.pass(Some(&transaction))).await;
        // If the abort fails, the transaction has ended by itself. Either way nothing of it persists.
        let _ = transaction.abort().await;
        Ok(match outcome {
            Ok(Ok(recorded)) => recorded,
            Ok(Err(error)) => Err(format!("the trial failed: {error}")),
            Err(_) => Err(format!("the trial takes longer than {} seconds", TRIAL_TIMEOUT.as_secs())),
        })
    }

    /// Runs all migrations with a sink that records their steps. In a transaction, the pass may come to nothing; it then
    /// returns why.
    async fn pass(
        &self,
        transaction: Option<&Transaction>,
    ) -> Result<Result<Vec<RecordedMigration>, String>> {
        let mut all = Vec::new();
        let mut left = TRIAL_LIMIT;
        for &at in self.apply {
            let migration = self.graph.get(at);
            let mut attempt = Attempt::dry_run(migration.meta(), (self.settings.clock)());
            let sink = DryRunSink::new(self.db, self.settings, transaction, left);
            let mut up = Up::dry_run(sink, &mut attempt);
            let outcome = migration.up(&mut up).await;
            let sink = up.into_dry_run().expect("the sink of a dry run stays one");
            if sink.too_many {
                return Ok(Err(format!("it changes more than {TRIAL_LIMIT} documents")));
            }
            left = sink.left;
            let error = match outcome {
                Ok(()) => None,
                // The transaction itself may be the cause.
                Err(Error::Store(error)) if transaction.is_some() => {
                    return Ok(Err(format!("the trial failed: {error}")));
                }
                Err(error) => Some(error.to_string()),
            };
            let is_failed = error.is_some();
            let (id, steps, reads) = (migration.meta().id, sink.steps, sink.reads.into_inner());
            all.push(RecordedMigration { id, steps, warnings: attempt.warnings, reads, error });
            // A live run would end here.
            if is_failed && transaction.is_some() {
                break;
            }
        }
        Ok(Ok(all))
    }

    async fn rate(&self, recorded: &[RecordedMigration]) -> Result<Rate> {
        let steps = recorded.iter().flat_map(|recorded| &recorded.steps);
        let largest = steps
            .filter(|recorded| self.may_try && !recorded.step.is_ddl())
            .max_by_key(|recorded| recorded.measure.matched);
        Rate::of_database(self.db, largest.map(|recorded| recorded.step.collection())).await
    }

    async fn lints(
        &self,
        migration: &dyn Migration,
        recorded: Option<&RecordedMigration>,
        earlier: &[RecordedMigration],
        without: &[String],
    ) -> Result<Vec<Lint>> {
        let mut steps = migration.steps();
        let Some(recorded) = recorded else {
            return Ok(Linter::check(self.graph, migration, &steps, []).found);
        };
        let RecordedMigration { reads, error, .. } = recorded;
        if steps.is_empty() {
            steps = recorded.steps().cloned().collect();
        }
        let mut linter = Linter::check(self.graph, migration, &steps, reads.variables.0.keys().cloned());
        let measured =
            recorded.steps.iter().map(|RecordedStep { step, measure }| (step, measure.matched)).collect();
        let earlier = earlier.iter().flat_map(RecordedMigration::steps).collect();
        linter.check_data(self.db, measured, earlier).await?;
        // What fails without the changes of earlier migrations may succeed after them.
        if let Some(error) = error.as_ref().filter(|_| without.is_empty()) {
            let text = format!("its dry run failed, so not everything it does was checked: {error}");
            linter.add(Rule::NotForeseen, None, text);
        }
        let mut lints = linter.found;
        for lint in &mut lints {
            lint.text = reads.variables.redact(&lint.text);
        }
        Ok(lints)
    }
}

impl RecordedMigration {
    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|recorded| &recorded.step)
    }

    /// Returns the earlier migrations that write to a collection which this one reads or writes.
    fn depends_on(&self, earlier: &[Self]) -> Vec<String> {
        let concerns = |step: &Step| {
            let to = step.writes_to();
            self.reads.collections.contains(to)
                || self.steps().any(|own| own.collection == to || own.writes_to() == to)
        };
        earlier.iter().filter(|other| other.steps().any(concerns)).map(|other| other.id.to_owned()).collect()
    }
}

fn preview(
    migration: &dyn Migration,
    recorded: Option<&RecordedMigration>,
    rate: &Rate,
    without: Vec<String>,
    lints: Vec<Lint>,
) -> MigrationPreview {
    let meta = migration.meta();
    let not_reached = RecordedMigration {
        error: Some("not reached, since an earlier migration would fail".into()),
        ..RecordedMigration::default()
    };
    let RecordedMigration { steps, warnings, reads, error, .. } = recorded.unwrap_or(&not_reached);
    let secrets = &reads.variables;
    let changing = steps.iter().filter(|recorded| !recorded.step.is_ddl());
    let documents = changing.map(|recorded| recorded.measure.matched).sum();
    MigrationPreview {
        id: meta.id.into(),
        summary: meta.summary.into(),
        mode: meta.mode,
        phase: meta.phase,
        undo: migration.undo(),
        steps: steps.iter().map(|recorded| step_preview(recorded, secrets)).collect(),
        documents,
        journal_bytes: estimate::journal_bytes(meta, steps),
        estimate_ms: rate.millis(documents),
        estimate_from: rate.source.clone(),
        warnings: warnings.iter().map(|warning| secrets.redact(warning)).collect(),
        without,
        error: error.as_ref().map(|error| secrets.redact(error)),
        lints,
    }
}

fn step_preview(recorded: &RecordedStep, secrets: &Secrets) -> StepPreview {
    let RecordedStep { step, measure: Measure { matched, exact, samples, .. } } = recorded;
    let redacted = |sample: &Sample| Sample {
        id: sample.id.clone(),
        before: secrets.redact_document(&sample.before),
        after: secrets.redact_document(&sample.after),
    };
    StepPreview {
        step: step.name.clone(),
        collection: step.collection.clone(),
        text: secrets.redact(&step.to_string()),
        operation: secrets.redact_document(&step.operation.to_command()),
        matched: *matched,
        exact: *exact,
        samples: samples.iter().map(redacted).collect(),
    }
}
