use std::collections::BTreeSet;
use std::time::Duration;

use docstore::Database;

use super::estimate::{self, Rate};
use super::redact::Secrets;
use super::sink::{DryRunSink, RecordedStep};
use super::{MigrationPreview, Preview, PreviewPath, StepPreview};
use crate::lint::{self, Lint, LintSubject, Measured, Rule, Severity};
use crate::operation::Deed;
use crate::run::{Attempt, Up};
use crate::{Error, Graph, Migration, Result, Settings};

/// How many documents are changed at the most in a transaction that is aborted: it holds them meanwhile.
const TRIED: u64 = 10_000;
/// For how long.
const TRIAL: Duration = Duration::from_secs(10);

/// What is looked at.
pub(crate) struct DryRun<'a> {
    pub(crate) db: &'a Database,
    pub(crate) graph: &'a Graph,
    pub(crate) settings: &'a Settings,
    /// The migrations that would be applied, in order, by their place in the graph.
    pub(crate) apply: &'a [usize],
    /// Whether it may be tried in a transaction.
    pub(crate) may_try: bool,
}

/// What was seen of one migration.
struct RecordedMigration {
    noted: Vec<RecordedStep>,
    warnings: Vec<String>,
    reads: BTreeSet<String>,
    secrets: Secrets,
    variables: Vec<String>,
    error: Option<String>,
}

/// How a pass over all of them ended.
struct DryRunPass {
    seen: Vec<RecordedMigration>,
    /// Why it says nothing, if so.
    void: Option<String>,
}

/// Finds out what would be done.
pub(crate) async fn dry_run(forecast: &DryRun<'_>) -> Result<Preview> {
    let (path, not_tried, seen) = match forecast.tried().await? {
        Ok(seen) => (PreviewPath::Tried, None, seen),
        Err(why) => (PreviewPath::Counted, Some(why), forecast.pass(None).await?.seen),
    };
    let rate = forecast.rate(&seen).await?;
    let mut migrations = Vec::new();
    let mut earlier: Vec<(&str, Vec<Deed>)> = Vec::new();
    for (place, &at) in forecast.apply.iter().enumerate() {
        let migration = forecast.graph.get(at);
        let seen = seen.get(place);
        let without = match (path, seen) {
            (PreviewPath::Counted, Some(seen)) => seen.depends_on(&earlier),
            _ => Vec::new(),
        };
        let all: Vec<Deed> = earlier.iter().flat_map(|(_, deeds)| deeds.clone()).collect();
        let lints = forecast.lints(migration, seen, &all).await?;
        migrations.push(told(migration, seen, &rate, without, lints));
        let deeds = seen.map(|seen| seen.noted.iter().map(|noted| noted.deed.clone()).collect());
        earlier.push((migration.meta().id, deeds.unwrap_or_default()));
    }
    Ok(Preview { path, not_tried, undo_first: Vec::new(), migrations })
}

impl DryRun<'_> {
    /// Carries all of it out in a transaction, and aborts that; or says why not.
    async fn tried(&self) -> Result<Result<Vec<RecordedMigration>, String>> {
        if !self.may_try {
            return Ok(Err("it was not asked for".into()));
        }
        if self.apply.is_empty() {
            return Ok(Err("nothing is pending".into()));
        }
        if !self.db.facts().await?.transactions {
            return Ok(Err("this server has no transactions".into()));
        }
        let transaction = self.db.begin().await?;
        let pass = tokio::time::timeout(TRIAL, self.pass(Some(&transaction))).await;
        // Nothing of it may stay, whatever came of it. A transaction that cannot be aborted has ended by itself.
        let _ = transaction.abort().await;
        Ok(match pass {
            Ok(Ok(DryRunPass { seen, void: None })) => Ok(seen),
            Ok(Ok(DryRunPass { void: Some(why), .. })) => Err(why),
            Ok(Err(error)) => Err(format!("trying it failed: {error}")),
            Err(_) => Err(format!("trying it takes longer than {} seconds", TRIAL.as_secs())),
        })
    }

    async fn pass(&self, transaction: Option<&docstore::Transaction>) -> Result<DryRunPass> {
        let mut pass = DryRunPass { seen: Vec::new(), void: None };
        let mut left = TRIED;
        for &at in self.apply {
            let migration = self.graph.get(at);
            let mut attempt = Attempt::looking(migration.meta(), (self.settings.clock)());
            let mut up = Up::look(DryRunSink::new(self.db, self.settings, transaction, left), &mut attempt);
            let outcome = migration.up(&mut up).await;
            let Some(look) = up.seen() else { break };
            if look.too_many {
                pass.void = Some(format!("it changes more than {TRIED} documents"));
                return Ok(pass);
            }
            left = look.left;
            let error = match outcome {
                Ok(()) => None,
                // What the store says within a transaction may be about the transaction.
                Err(Error::Store(error)) if transaction.is_some() => {
                    pass.void = Some(format!("trying it failed: {error}"));
                    return Ok(pass);
                }
                Err(error) => Some(error.to_string()),
            };
            let failed = error.is_some();
            let variables = look.variables();
            pass.seen.push(RecordedMigration {
                reads: look.reads(),
                variables: variables.keys().cloned().collect(),
                secrets: Secrets::new(variables),
                noted: look.noted,
                warnings: attempt.warnings,
                error,
            });
            // A real run would end here.
            if failed && transaction.is_some() {
                break;
            }
        }
        Ok(pass)
    }

    async fn rate(&self, seen: &[RecordedMigration]) -> Result<Rate> {
        let steps = seen.iter().flat_map(|seen| &seen.noted).filter(|step| !step.deed.defines());
        let largest = steps.filter(|_| self.may_try).max_by_key(|step| step.matched);
        Rate::of(self.db, largest.map(|step| step.deed.collection.as_str())).await
    }

    async fn lints(
        &self,
        migration: &dyn Migration,
        seen: Option<&RecordedMigration>,
        earlier: &[Deed],
    ) -> Result<Vec<Lint>> {
        let subject = LintSubject::new(self.graph, migration);
        let Some(seen) = seen else { return Ok(subject.without_data()) };
        let deeds: Vec<Deed> = seen.noted.iter().map(|noted| noted.deed.clone()).collect();
        let subject = subject.seen(&deeds, &seen.variables);
        let mut lints = subject.without_data();
        let steps: Vec<Measured<'_>> =
            seen.noted.iter().map(|noted| Measured { deed: &noted.deed, matched: noted.matched }).collect();
        lints.extend(lint::against(self.db, &subject, &steps, earlier).await?);
        if let Some(error) = &seen.error {
            lints.push(Lint {
                migration: migration.meta().id.into(),
                rule: Rule::NotForeseen,
                severity: Severity::Warning,
                step: None,
                text: format!("what it would do could not be looked at to its end: {error}"),
            });
        }
        for lint in &mut lints {
            lint.text = seen.secrets.text(&lint.text);
        }
        Ok(lints)
    }
}

impl RecordedMigration {
    /// The earlier migrations that write to what this one reads or writes.
    fn depends_on(&self, earlier: &[(&str, Vec<Deed>)]) -> Vec<String> {
        let mine = |deed: &Deed| {
            let to = deed.writes_to();
            self.reads.contains(to)
                || self.noted.iter().any(|noted| noted.deed.collection == to || noted.deed.writes_to() == to)
        };
        earlier.iter().filter(|(_, deeds)| deeds.iter().any(mine)).map(|(id, _)| (*id).to_owned()).collect()
    }
}

fn told(
    migration: &dyn Migration,
    seen: Option<&RecordedMigration>,
    rate: &Rate,
    without: Vec<String>,
    lints: Vec<Lint>,
) -> MigrationPreview {
    let meta = migration.meta();
    let noted = seen.map(|seen| seen.noted.as_slice()).unwrap_or_default();
    let documents = noted.iter().filter(|step| !step.deed.defines()).map(|step| step.matched).sum();
    let error = match seen {
        Some(seen) => seen.error.as_ref().map(|error| seen.secrets.text(error)),
        None => Some("one before it would fail, so it was not come to".into()),
    };
    MigrationPreview {
        id: meta.id.into(),
        summary: meta.summary.into(),
        mode: meta.mode,
        phase: meta.phase,
        undo: migration.undo(),
        steps: seen
            .map(|seen| seen.noted.iter().map(|noted| step(noted, &seen.secrets)).collect())
            .unwrap_or_default(),
        documents,
        journal_bytes: estimate::journal(meta, noted),
        estimate_ms: rate.millis(documents),
        estimate_from: rate.from().to_owned(),
        warnings: seen
            .map(|seen| seen.warnings.iter().map(|warning| seen.secrets.text(warning)).collect())
            .unwrap_or_default(),
        without,
        error,
        lints,
    }
}

fn step(noted: &RecordedStep, secrets: &Secrets) -> StepPreview {
    let RecordedStep { deed, matched, exact, samples, .. } = noted;
    StepPreview {
        step: deed.name.clone(),
        collection: deed.collection.clone(),
        text: secrets.text(&deed.to_string()),
        operation: secrets.document(&deed.does.command()),
        matched: *matched,
        exact: *exact,
        samples: samples
            .iter()
            .map(|sample| super::Sample {
                id: sample.id.clone(),
                before: secrets.document(&sample.before),
                after: secrets.document(&sample.after),
            })
            .collect(),
    }
}
