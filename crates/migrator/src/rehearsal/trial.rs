use std::time::{Duration, Instant};

use bson::DateTime;
use serde::Serialize;

use super::fingerprint::{Difference, Fingerprint};
use super::sandbox::{Sandbox, TrialData};
use crate::{Error, Migrator, Result, StepCounts, Undo};

/// Part of the names of scratch databases.
const PURPOSE: &str = "trial";

/// The parameters of [`Migrator::round_trip`].
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTripRequest {
    /// Only these migrations, by id; all if `None`.
    pub only: Option<Vec<String>>,
    /// The data to test each migration on.
    pub data: Vec<TrialData>,
    /// The number of boundaries at which a run is crashed, per direction; if there are more, they are sampled evenly.
    pub max_crashes: usize,
}

/// The result of [`Migrator::round_trip`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoundTripReport {
    /// Each migration on each set of data.
    pub trials: Vec<Trial>,
}

impl RoundTripReport {
    /// Returns whether every trial passed.
    pub fn passed(&self) -> bool {
        self.trials.iter().all(Trial::passed)
    }
}

/// The test of one migration on one set of data.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The migration.
    pub id: String,
    /// The name of the data.
    pub data: String,
    /// The duration of the first `up`.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// The counts of its steps.
    pub counts: Vec<StepCounts>,
    /// Warnings: documents left out, and conditions that did not hold afterwards.
    pub warnings: Vec<String>,
    /// Applying it.
    pub up: TrialOutcome,
    /// Running it again on its own result.
    #[serde(rename = "twice")]
    pub idempotent: TrialOutcome,
    /// Rolling it back.
    pub down: TrialOutcome,
    /// Applying it again.
    #[serde(rename = "again")]
    pub reapply: TrialOutcome,
    /// Crashes on the way up.
    pub crashes_up: CrashReport,
    /// Crashes on the way down.
    pub crashes_down: CrashReport,
}

/// The outcome of one part of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum TrialOutcome {
    /// The content is as expected.
    Held,
    /// It was not tried.
    NotTried {
        /// The reason.
        why: String,
    },
    /// The content is not as expected.
    Different {
        /// The differences.
        differences: Vec<Difference>,
    },
    /// It failed.
    Failed {
        /// The error.
        error: String,
    },
}

/// The outcome of crashes in one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CrashReport {
    /// The number of boundaries between two writes.
    pub places: usize,
    /// The number of boundaries at which the run was crashed.
    pub tried: usize,
    /// Boundaries, numbered from 0, after which the outcome was not as expected.
    #[serde(rename = "wrong")]
    pub failures: Vec<(usize, TrialOutcome)>,
}

impl TrialOutcome {
    fn not_tried(why: &str) -> Self {
        Self::NotTried { why: why.into() }
    }

    /// Returns whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::Held | Self::NotTried { .. })
    }
}

impl Trial {
    /// Returns whether every part passed.
    pub fn passed(&self) -> bool {
        let outcomes = [&self.up, &self.idempotent, &self.down, &self.reapply];
        outcomes.into_iter().all(TrialOutcome::is_fine)
            && self.crashes_up.failures.is_empty()
            && self.crashes_down.failures.is_empty()
    }
}

pub(crate) async fn round_trip(m: &Migrator, request: &RoundTripRequest) -> Result<RoundTripReport> {
    let mut only = Vec::new();
    for id in request.only.iter().flatten() {
        only.push(m.resolve(id).await?);
    }
    let now = (m.settings.clock)();
    let mut report = RoundTripReport::default();
    for data in &request.data {
        for (at, id) in m.graph.ids().enumerate() {
            if request.only.is_none() || only.iter().any(|one| one == id) {
                let run = TrialRun { migrator: m, data, at, now, max_crashes: request.max_crashes };
                report.trials.push(run.run().await?);
            }
        }
    }
    Ok(report)
}

/// The parameters of one trial.
struct TrialRun<'a> {
    migrator: &'a Migrator,
    data: &'a TrialData,
    at: usize,
    /// The time of all attempts.
    now: DateTime,
    max_crashes: usize,
}

impl TrialRun<'_> {
    async fn run(&self) -> Result<Trial> {
        let open = || TrialOutcome::not_tried("a part before it failed");
        let mut trial = Trial {
            id: self.migrator.id(self.at).into(),
            data: self.data.name(),
            duration: Duration::ZERO,
            counts: Vec::new(),
            warnings: Vec::new(),
            up: open(),
            idempotent: open(),
            down: open(),
            reapply: open(),
            crashes_up: CrashReport::default(),
            crashes_down: CrashReport::default(),
        };
        if !self.migrator.dag().is_in(self.at, &self.migrator.settings.contexts) {
            trial.up = TrialOutcome::not_tried("it does not run in the contexts at hand");
            return Ok(trial);
        }
        match self.sandbox().await? {
            Err(error) => trial.up = TrialOutcome::Failed { error },
            Ok(sandbox) => {
                let outcome = self.run_in(&sandbox, &mut trial).await;
                let discarded = sandbox.discard().await;
                outcome.and(discarded)?;
            }
        }
        Ok(trial)
    }

    async fn sandbox(&self) -> Result<Result<Sandbox, String>> {
        Sandbox::prepare(self.migrator, PURPOSE, self.data, self.at, self.now).await
    }

    /// Runs the parts of a trial until one fails.
    async fn run_in(&self, sandbox: &Sandbox, trial: &mut Trial) -> Result<()> {
        let id = self.migrator.id(self.at);
        let before = sandbox.fingerprint().await?;
        let began = Instant::now();
        sandbox.crash_injector.set(None);
        let report = match sandbox.up(id).await {
            Ok(report) => report,
            Err(error) => {
                trial.up = failed(error)?;
                return Ok(());
            }
        };
        trial.duration = began.elapsed();
        trial.up = TrialOutcome::Held;
        if let Some(applied) = report.applied.into_iter().find(|applied| applied.id == id) {
            (trial.counts, trial.warnings) = (applied.counts, applied.warnings);
        }
        trial.crashes_up.places = sandbox.crash_injector.seen();
        let after = sandbox.fingerprint().await?;

        sandbox.forget_completion(id).await?;
        trial.idempotent = compare(sandbox, sandbox.up(id), &after).await?;
        if trial.idempotent != TrialOutcome::Held {
            return Ok(());
        }
        if let Undo::Irreversible(why) = self.migrator.graph.get(self.at).undo() {
            (trial.down, trial.reapply) = (TrialOutcome::not_tried(why), TrialOutcome::not_tried(why));
            return self.crash_fresh(id, &after, &mut trial.crashes_up).await;
        }
        sandbox.crash_injector.set(None);
        trial.down = compare(sandbox, sandbox.down(id), &before).await?;
        let places_down = sandbox.crash_injector.seen();
        if trial.down != TrialOutcome::Held {
            return Ok(());
        }
        trial.reapply = compare(sandbox, sandbox.up(id), &after).await?;
        if trial.reapply != TrialOutcome::Held {
            return Ok(());
        }

        trial.crashes_down.places = places_down;
        for place in spread(places_down, self.max_crashes) {
            trial.crashes_down.tried += 1;
            let mut outcome = compare(sandbox, sandbox.down_with_crash(id, place), &before).await?;
            if outcome == TrialOutcome::Held {
                // The next crash starts from the applied state, so that must be intact.
                outcome = compare(sandbox, sandbox.up(id), &after).await?;
            }
            if outcome != TrialOutcome::Held {
                trial.crashes_down.failures.push((place, outcome));
                return Ok(());
            }
        }
        for place in spread(trial.crashes_up.places, self.max_crashes) {
            sandbox.down(id).await?;
            trial.crashes_up.tried += 1;
            let outcome = compare(sandbox, sandbox.up_with_crash(id, place), &after).await?;
            if outcome != TrialOutcome::Held {
                trial.crashes_up.failures.push((place, outcome));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Crashes a migration that cannot be rolled back on the way up, each time in a sandbox of its own.
    async fn crash_fresh(&self, id: &str, after: &Fingerprint, crashes: &mut CrashReport) -> Result<()> {
        for place in spread(crashes.places, self.max_crashes) {
            let sandbox = match self.sandbox().await? {
                Ok(sandbox) => sandbox,
                Err(error) => {
                    crashes.failures.push((place, TrialOutcome::Failed { error }));
                    return Ok(());
                }
            };
            crashes.tried += 1;
            let outcome = compare(&sandbox, sandbox.up_with_crash(id, place), after).await;
            sandbox.discard().await?;
            crashes
                .failures
                .extend(Some((place, outcome?)).filter(|(_, outcome)| *outcome != TrialOutcome::Held));
        }
        Ok(())
    }
}

/// Runs a part, and compares the content afterwards with what is expected.
async fn compare<T>(
    sandbox: &Sandbox,
    part: impl Future<Output = Result<T>>,
    expected: &Fingerprint,
) -> Result<TrialOutcome> {
    if let Err(error) = part.await {
        return failed(error);
    }
    let differences = expected.differences(&sandbox.fingerprint().await?);
    Ok(if differences.is_empty() { TrialOutcome::Held } else { TrialOutcome::Different { differences } })
}

/// Turns an error into an outcome, except for a stop that was requested.
fn failed(error: Error) -> Result<TrialOutcome> {
    match error {
        Error::Interrupted { .. } => Err(error),
        error => Ok(TrialOutcome::Failed { error: error.to_string() }),
    }
}

/// Returns all places, or `limit` of them at equal distances.
fn spread(places: usize, limit: usize) -> Vec<usize> {
    if places <= limit { (0..places).collect() } else { (0..limit).map(|nth| nth * places / limit).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_above_the_limit_are_sampled_evenly() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(10, 0), [0_usize; 0]);
    }
}
