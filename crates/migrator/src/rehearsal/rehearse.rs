use std::time::{Duration, Instant};

use docstore::{Filter, Update};
use serde::Serialize;

use super::copy::{CopiedCollection, copy};
use super::sandbox::Sandbox;
use super::violations::{Violation, violations};
use crate::ledger::{LEDGER, LOCK, LOG};
use crate::{AppliedMigration, Error, Finding, Migrator, Result, Settings, UpMode, UpRequest, UpTarget};

/// Scratch databases of rehearsals that are older belong to nobody any more.
const ABANDONED: Duration = Duration::from_hours(24);
const PURPOSE: &str = "rehearsal";

/// How a rehearsal is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RehearsalRequest {
    /// How far it goes.
    pub target: UpTarget,
    /// Of the collections that the pending migrations touch, at most so many documents each, taken at equal distances.
    /// All others are copied whole, since migrations read them. All of them are copied whole if it is not said.
    pub sample: Option<u64>,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RehearsalReport {
    /// The scratch database, which is gone.
    pub scratch: String,
    /// What was copied.
    pub copied: Vec<CopiedCollection>,
    /// How long the copy took.
    #[serde(rename = "copy_ms", serialize_with = "crate::serialize::milliseconds")]
    pub copy: Duration,
    /// What was pending.
    pub pending: Vec<String>,
    /// What was applied, with its duration and counts.
    pub applied: Vec<AppliedMigration>,
    /// What does not hold afterwards, with the migration that says so.
    pub findings: Vec<(String, Finding)>,
    /// What went wrong.
    pub failure: Option<RehearsalFailure>,
}

/// Why a rehearsal did not come to its end.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RehearsalFailure {
    /// In which migration; `None` if it was before any.
    pub id: Option<String>,
    /// In which step.
    pub step: Option<String>,
    /// What was said.
    pub error: String,
    /// The documents that stand in the way, as far as they can be told.
    #[serde(rename = "offenders")]
    pub violations: Vec<Violation>,
    /// The exit code that the real run would have.
    pub exit_code: u8,
}

impl Migrator {
    /// Copies the database into a scratch database, applies there what is pending, tells what came of it, and drops the
    /// copy. This database is only read.
    ///
    /// # Errors
    /// [`Error::Store`] if the copy cannot be made. That a migration fails is no error of the rehearsal: see
    /// [`RehearsalReport::failure`].
    pub async fn rehearse(&self, request: &RehearsalRequest) -> Result<RehearsalReport> {
        if let Err(error) = self.db().sweep_scratches(PURPOSE, ABANDONED).await {
            tracing::debug!(%error, "abandoned rehearsals could not be looked for");
        }
        let up = UpRequest { mode: UpMode::Operator, target: request.target.clone(), strict: false };
        let plan = self.plan_up(&up).await?;
        let pending: Vec<String> = plan.actions.iter().map(|action| action.id.clone()).collect();
        let touched: Vec<&String> = plan.actions.iter().flat_map(|action| &action.touches).collect();
        let unsaid = plan.actions.iter().any(|action| action.touches.is_empty());

        let mut sandbox = Sandbox::new(self, PURPOSE, (self.settings().clock)()).await?;
        // It is the real thing but for the place: the ledger of an earlier tool counts.
        let settings = Settings {
            import_from: self.settings().import_from.clone(),
            ..sandbox.migrator.settings().clone()
        };
        sandbox.migrator = self.elsewhere(sandbox.db().clone(), settings);
        let sampled = |name: &String| request.sample.filter(|_| unsaid || touched.contains(&name));
        let outcome = self.on(&sandbox, sampled, pending, &up).await;
        let discarded = sandbox.discard().await;
        let rehearsal = outcome?;
        discarded?;
        Ok(rehearsal)
    }

    async fn on(
        &self,
        sandbox: &Sandbox,
        sampled: impl Fn(&String) -> Option<u64>,
        pending: Vec<String>,
        up: &UpRequest,
    ) -> Result<RehearsalReport> {
        let began = Instant::now();
        let mut copied = Vec::new();
        for name in self.db().collection_names().await? {
            if name == LOCK || name == LOG {
                continue;
            }
            if sandbox.stop().is_requested() {
                return Err(Error::Interrupted { id: None, undo: false, counts: Vec::new() });
            }
            let most = if crate::ledger::is_own(&name) { None } else { sampled(&name) };
            copied.push(copy(self.db(), sandbox.db(), &name, most).await?);
        }
        // The leases of the scratch database are counted from one, and the ledger takes no write of a lesser one.
        let fence = Update::new().set("fence", 0_i64);
        sandbox.db().collection(LEDGER).update_many(&Filter::All, &fence).await?;
        let copy = began.elapsed();
        let mut rehearsal = RehearsalReport {
            scratch: sandbox.db().location(),
            copied,
            copy,
            pending,
            applied: Vec::new(),
            findings: Vec::new(),
            failure: None,
        };
        // One by one, so that those before a failure are told too.
        for id in rehearsal.pending.clone() {
            let one = UpRequest { target: UpTarget::To(id.clone()), ..up.clone() };
            match sandbox.migrator.up(one).await {
                Ok(report) => {
                    rehearsal.applied.extend(report.applied);
                    rehearsal.findings.extend(report.findings);
                }
                Err(error @ Error::Interrupted { .. }) => return Err(error),
                Err(error) => {
                    let (id, step) = match &error {
                        Error::Failed { id, step, .. } => (Some(id.clone()), step.clone()),
                        _ => (Some(id), None),
                    };
                    let violations = violations(sandbox.db(), &error).await?;
                    rehearsal.failure = Some(RehearsalFailure {
                        id,
                        step,
                        exit_code: error.exit_code(),
                        error: error.to_string(),
                        violations,
                    });
                    break;
                }
            }
        }
        Ok(rehearsal)
    }
}
