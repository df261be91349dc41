use std::time::Duration;

use docstore::{Database, Transaction};

use super::estimate::{self, Rate};
use super::redact::Secrets;
use super::sink::{DryRunSink, Reads, RecordedStep};
use super::{MigrationPreview, Preview, PreviewPath, Sample, StepPreview};
use crate::lint::{self, Lint, LintSubject, Measured, Rule, Severity};
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

/// Determines the effect of one migration.
struct RecordedMigration {
    steps: Vec<RecordedStep>,
    warnings: Vec<String>,
    reads: Reads,
    secrets: Secrets,
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
        let mut earlier: Vec<(&str, Vec<Step>)> = Vec::new();
        for (place, &at) in self.apply.iter().enumerate() {
            let migration = self.graph.get(at);
            let recorded = recorded.get(place);
            let without = match (path, recorded) {
                (PreviewPath::Counted, Some(recorded)) => recorded.depends_on(&earlier),
                _ => Vec::new(),
            };
            let steps = |recorded: &RecordedMigration| -> Vec<Step> {
                recorded.steps.iter().map(|recorded| recorded.step.clone()).collect()
            };
            let earlier_steps: Vec<Step> = earlier.iter().flat_map(|(_, steps)| steps.clone()).collect();
            let steps = recorded.map(steps).unwrap_or_default();
            let lints = self.lints(migration, recorded, &steps, &earlier_steps).await?;
            migrations.push(preview(migration, recorded, &rate, without, lints));
            earlier.push((migration.meta().id, steps));
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
            let failed = error.is_some();
            let reads = sink.reads();
            let secrets = Secrets::new(reads.variables.clone());
            all.push(RecordedMigration {
                steps: sink.steps,
                warnings: attempt.warnings,
                reads,
                secrets,
                error,
            });
            // A live run would end here.
            if failed && transaction.is_some() {
                break;
            }
        }
        Ok(Ok(all))
    }

    async fn rate(&self, recorded: &[RecordedMigration]) -> Result<Rate> {
        let steps = recorded.iter().flat_map(|recorded| &recorded.steps);
        let largest = steps
            .filter(|recorded| self.may_try && !recorded.step.is_ddl())
            .max_by_key(|recorded| recorded.matched);
        Rate::of_database(self.db, largest.map(|recorded| recorded.step.collection())).await
    }

    async fn lints(
        &self,
        migration: &dyn Migration,
        recorded: Option<&RecordedMigration>,
        steps: &[Step],
        earlier: &[Step],
    ) -> Result<Vec<Lint>> {
        let subject = LintSubject::new(self.graph, migration);
        let Some(recorded) = recorded else { return Ok(subject.without_data()) };
        let variables: Vec<String> = recorded.reads.variables.keys().cloned().collect();
        let subject = subject.seen(steps, &variables);
        let mut lints = subject.without_data();
        let measured: Vec<Measured<'_>> = recorded
            .steps
            .iter()
            .map(|RecordedStep { step, matched, .. }| Measured { step, matched: *matched })
            .collect();
        lints.extend(lint::against(self.db, &subject, &measured, earlier).await?);
        if let Some(error) = &recorded.error {
            lints.push(Lint {
                migration: migration.meta().id.into(),
                rule: Rule::NotForeseen,
                severity: Severity::Warning,
                step: None,
                text: format!("its dry run failed, so not everything it does was checked: {error}"),
            });
        }
        for lint in &mut lints {
            lint.text = recorded.secrets.redact(&lint.text);
        }
        Ok(lints)
    }
}

impl RecordedMigration {
    /// Returns the earlier migrations that write to a collection which this one reads or writes.
    fn depends_on(&self, earlier: &[(&str, Vec<Step>)]) -> Vec<String> {
        let concerns = |step: &Step| {
            let to = step.writes_to();
            let mut own = self.steps.iter().map(|recorded| &recorded.step);
            self.reads.collections.contains(to)
                || own.any(|own| own.collection == to || own.writes_to() == to)
        };
        let earlier = earlier.iter().filter(|(_, steps)| steps.iter().any(concerns));
        earlier.map(|(id, _)| (*id).to_owned()).collect()
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
    let mut preview = MigrationPreview {
        id: meta.id.into(),
        summary: meta.summary.into(),
        mode: meta.mode,
        phase: meta.phase,
        undo: migration.undo(),
        steps: Vec::new(),
        documents: 0,
        journal_bytes: 0,
        estimate_ms: 0,
        estimate_from: rate.source().to_owned(),
        warnings: Vec::new(),
        without,
        error: Some("not reached, since an earlier migration would fail".into()),
        lints,
    };
    if let Some(RecordedMigration { steps, warnings, secrets, error, .. }) = recorded {
        let changing = steps.iter().filter(|recorded| !recorded.step.is_ddl());
        preview.documents = changing.map(|recorded| recorded.matched).sum();
        preview.journal_bytes = estimate::journal_bytes(meta, steps);
        preview.estimate_ms = rate.millis(preview.documents);
        preview.steps = steps.iter().map(|recorded| step_preview(recorded, secrets)).collect();
        preview.warnings = warnings.iter().map(|warning| secrets.redact(warning)).collect();
        preview.error = error.as_ref().map(|error| secrets.redact(error));
    }
    preview
}

fn step_preview(recorded: &RecordedStep, secrets: &Secrets) -> StepPreview {
    let RecordedStep { step, matched, exact, samples, .. } = recorded;
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
