use std::time::{Duration, Instant};

use serde::Serialize;

use super::fingerprint::{Difference, Fingerprint};
use super::round_trip::Prepared;
use super::sandbox::Sandbox;
use crate::{Error, Migrator, Result, StepCounts, Undo};

/// One migration on one set of data.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Trial {
    /// Which migration.
    pub id: String,
    /// On which data.
    pub data: String,
    /// How long the first `up` took.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// What its steps did.
    pub counts: Vec<StepCounts>,
    /// What it left out, and what did not hold afterwards.
    pub warnings: Vec<String>,
    /// Applying it.
    pub up: TrialOutcome,
    /// Running it again on its own result.
    #[serde(rename = "twice")]
    pub idempotent: TrialOutcome,
    /// Taking it back.
    pub down: TrialOutcome,
    /// Applying it anew.
    #[serde(rename = "again")]
    pub reapply: TrialOutcome,
    /// Crashes on the way up.
    pub crashes_up: CrashReport,
    /// Crashes on the way down.
    pub crashes_down: CrashReport,
}

/// What came of one thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum TrialOutcome {
    /// It came to what it should.
    Held,
    /// It was not tried.
    NotTried {
        /// Why.
        why: String,
    },
    /// It came to something else.
    Different {
        /// In what.
        differences: Vec<Difference>,
    },
    /// It ended with an error.
    Failed {
        /// Which.
        error: String,
    },
}

/// What came of crashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CrashReport {
    /// How many places there are between two writes.
    pub places: usize,
    /// At how many of them the run was made to crash.
    pub tried: usize,
    /// Where it did not come to what it should, by the number of the place from 0.
    #[serde(rename = "wrong")]
    pub failures: Vec<(usize, TrialOutcome)>,
}

impl TrialOutcome {
    pub(super) fn not_tried(why: &str) -> Self {
        Self::NotTried { why: why.into() }
    }

    fn compare(expected: &Fingerprint, found: &Fingerprint) -> Self {
        let differences = expected.differences(found);
        if differences.is_empty() { Self::Held } else { Self::Different { differences } }
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::Held | Self::NotTried { .. })
    }
}

impl Trial {
    pub(super) fn new(id: &str, data: String) -> Self {
        let open = || TrialOutcome::not_tried("what comes before it went wrong");
        Self {
            id: id.into(),
            data,
            duration: Duration::ZERO,
            counts: Vec::new(),
            warnings: Vec::new(),
            up: open(),
            idempotent: open(),
            down: open(),
            reapply: open(),
            crashes_up: CrashReport::default(),
            crashes_down: CrashReport::default(),
        }
    }

    /// Whether everything held.
    pub fn passed(&self) -> bool {
        let outcomes = [&self.up, &self.idempotent, &self.down, &self.reapply];
        let crashes = [&self.crashes_up, &self.crashes_down];
        outcomes.into_iter().all(TrialOutcome::is_fine)
            && crashes.into_iter().all(|crashes| crashes.failures.is_empty())
    }

    /// Tries it all. `fresh` gives a scratch database like this one, for what cannot be taken back.
    pub(super) async fn run<F>(
        &mut self,
        of: &Migrator,
        sandbox: &Sandbox,
        at: usize,
        max_crashes: usize,
        fresh: &impl Fn() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<Prepared>>,
    {
        let id = self.id.clone();
        let before = sandbox.look().await?;
        let began = Instant::now();
        sandbox.crash_injector.set(None);
        match sandbox.up(&id).await {
            Ok(report) => {
                let applied = report.applied.into_iter().find(|applied| applied.id == id);
                if let Some(applied) = applied {
                    (self.counts, self.warnings) = (applied.counts, applied.warnings);
                }
            }
            Err(error) => {
                self.up = failed(error)?;
                return Ok(());
            }
        }
        self.duration = began.elapsed();
        self.up = TrialOutcome::Held;
        let places = sandbox.crash_injector.seen();
        let after = sandbox.look().await?;

        sandbox.forget_the_end(&id).await?;
        self.idempotent = match sandbox.up(&id).await {
            Ok(_) => TrialOutcome::compare(&after, &sandbox.look().await?),
            Err(error) => failed(error)?,
        };
        if self.idempotent != TrialOutcome::Held {
            return Ok(());
        }
        if let Undo::Irreversible(why) = of.graph().get(at).undo() {
            self.down = TrialOutcome::not_tried(why);
            self.reapply = TrialOutcome::not_tried(why);
            return self.crash_fresh(&after, places, max_crashes, fresh).await;
        }
        sandbox.crash_injector.set(None);
        self.down = match sandbox.down(&id).await {
            Ok(_) => TrialOutcome::compare(&before, &sandbox.look().await?),
            Err(error) => failed(error)?,
        };
        let places_down = sandbox.crash_injector.seen();
        if self.down != TrialOutcome::Held {
            return Ok(());
        }
        self.reapply = match sandbox.up(&id).await {
            Ok(_) => TrialOutcome::compare(&after, &sandbox.look().await?),
            Err(error) => failed(error)?,
        };
        if self.reapply != TrialOutcome::Held {
            return Ok(());
        }
        self.crash_down(sandbox, (&before, &after), places_down, max_crashes).await?;
        self.crash_up(sandbox, &after, places, max_crashes).await
    }

    /// Crashes on the way down, from the applied state and back to it.
    async fn crash_down(
        &mut self,
        sandbox: &Sandbox,
        (before, after): (&Fingerprint, &Fingerprint),
        places: usize,
        most: usize,
    ) -> Result<()> {
        self.crashes_down.places = places;
        for place in spread(places, most) {
            self.crashes_down.tried += 1;
            let outcome = match sandbox.down_with_crash(&self.id, place).await {
                Ok(()) => TrialOutcome::compare(before, &sandbox.look().await?),
                Err(error) => failed(error)?,
            };
            if outcome != TrialOutcome::Held {
                self.crashes_down.failures.push((place, outcome));
                return Ok(());
            }
            // What it goes back to has to be sound, or the next place says nothing.
            let outcome = match sandbox.up(&self.id).await {
                Ok(_) => TrialOutcome::compare(after, &sandbox.look().await?),
                Err(error) => failed(error)?,
            };
            if outcome != TrialOutcome::Held {
                self.crashes_down.failures.push((place, outcome));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Crashes on the way up; the way down is sound.
    async fn crash_up(
        &mut self,
        sandbox: &Sandbox,
        after: &Fingerprint,
        places: usize,
        most: usize,
    ) -> Result<()> {
        self.crashes_up.places = places;
        if !self.crashes_down.failures.is_empty() {
            return Ok(());
        }
        for place in spread(places, most) {
            sandbox.down(&self.id).await?;
            self.crashes_up.tried += 1;
            let outcome = match sandbox.up_with_crash(&self.id, place).await {
                Ok(()) => TrialOutcome::compare(after, &sandbox.look().await?),
                Err(error) => failed(error)?,
            };
            if outcome != TrialOutcome::Held {
                self.crashes_up.failures.push((place, outcome));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Crashes on the way up, each on a scratch database of its own.
    async fn crash_fresh<F>(
        &mut self,
        after: &Fingerprint,
        places: usize,
        most: usize,
        fresh: &impl Fn() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<Prepared>>,
    {
        self.crashes_up.places = places;
        for place in spread(places, most) {
            let sandbox = match fresh().await? {
                Prepared::Ready(sandbox) => sandbox,
                Prepared::Failed(error) => {
                    self.crashes_up.failures.push((place, TrialOutcome::Failed { error }));
                    return Ok(());
                }
            };
            self.crashes_up.tried += 1;
            let outcome = match sandbox.up_with_crash(&self.id, place).await {
                Ok(()) => sandbox.look().await.map(|found| TrialOutcome::compare(after, &found)),
                Err(error) => failed(error),
            };
            sandbox.discard().await?;
            let outcome = outcome?;
            if outcome != TrialOutcome::Held {
                self.crashes_up.failures.push((place, outcome));
            }
        }
        Ok(())
    }
}

/// An error is what came of it, but for a stop that was asked for.
fn failed(error: Error) -> Result<TrialOutcome> {
    match error {
        Error::Interrupted { .. } => Err(error),
        error => Ok(TrialOutcome::Failed { error: error.to_string() }),
    }
}

/// All places, or so many of them at equal distances.
fn spread(places: usize, most: usize) -> Vec<usize> {
    if places <= most { (0..places).collect() } else { (0..most).map(|nth| nth * places / most).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_all_or_spread() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(10, 0), [0_usize; 0]);
    }
}
