use std::time::Duration;

use bson::DateTime;

use crate::StepCounts;

/// An event of a run.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// Another runner holds the lease; sent at each attempt to acquire it.
    LockWait {
        /// The holder.
        holder: &'a str,
    },
    /// This runner acquired the lease.
    LockTaken {
        /// The fencing token.
        fence: i64,
    },
    /// A migration of an earlier tool was imported into the ledger.
    Imported {
        /// The migration.
        migration: &'a str,
        /// The time when the earlier tool applied it.
        applied_at: DateTime,
    },
    /// A migration begins.
    Started {
        /// The migration.
        migration: &'a str,
        /// The number of the attempt, from 1.
        attempt: i32,
    },
    /// A step begins.
    StepStarted {
        /// The migration.
        migration: &'a str,
        /// Its name.
        step: &'a str,
    },
    /// The number of documents that a step processes is known. Sent for steps that take longer than a second.
    Counted {
        /// The migration.
        migration: &'a str,
        /// The number of documents, including those already processed.
        total: u64,
    },
    /// A batch of a step ended.
    Progress {
        /// The migration.
        migration: &'a str,
        /// The counts of the step so far.
        counts: &'a StepCounts,
    },
    /// A step ended.
    StepFinished {
        /// The migration.
        migration: &'a str,
        /// The counts of the step.
        counts: &'a StepCounts,
    },
    /// A boundary between two writes.
    Boundary {
        /// The migration.
        migration: &'a str,
        /// `true` while a transaction is open; the writes before the boundary are not durable yet.
        in_transaction: bool,
    },
    /// A migration left something out.
    Skipped {
        /// The migration.
        migration: &'a str,
        /// The warning.
        warning: &'a str,
    },
    /// A migration was applied.
    Applied {
        /// The migration.
        migration: &'a str,
        /// The duration of the last attempt.
        duration: Duration,
    },
    /// A migration or its rollback failed.
    Failed {
        /// The migration.
        migration: &'a str,
        /// The error.
        error: &'a str,
    },
    /// A migration or its rollback stopped on request.
    Interrupted {
        /// The migration.
        migration: &'a str,
    },
    /// The rollback of a migration begins.
    RollingBack {
        /// The migration.
        migration: &'a str,
    },
    /// A migration was rolled back.
    RolledBack {
        /// The migration.
        migration: &'a str,
    },
}

/// The tracing target of events. The field `event` has the name.
const TARGET: &str = "migrator::event";

impl Event<'_> {
    /// Traces it under a stable name. Events of each batch are not traced; see [`progress`].
    pub(crate) fn trace(&self) {
        match self {
            Self::LockWait { holder } => {
                tracing::info!(target: TARGET, event = "migration.lock_wait", holder, "waiting for another runner");
            }
            Self::LockTaken { fence } => {
                tracing::info!(target: TARGET, event = "migration.lock_taken", fence, "took the migration lock");
            }
            Self::Imported { migration, applied_at } => {
                tracing::info!(
                    target: TARGET, event = "migration.imported", migration, %applied_at, "imported an applied migration"
                );
            }
            Self::Started { migration, attempt } => {
                tracing::info!(target: TARGET, event = "migration.started", migration, attempt, "applying a migration");
            }
            Self::Skipped { migration, warning } => {
                tracing::warn!(
                    target: TARGET, event = "migration.skipped", migration, warning, "a migration skipped documents"
                );
            }
            Self::Applied { migration, duration } => {
                let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    target: TARGET, event = "migration.applied", migration, duration_ms, "applied a migration"
                );
            }
            Self::Failed { migration, error } => {
                tracing::error!(target: TARGET, event = "migration.failed", migration, error, "a migration failed");
            }
            Self::Interrupted { migration } => {
                tracing::warn!(target: TARGET, event = "migration.interrupted", migration, "a migration stopped on request");
            }
            Self::RollingBack { migration } => {
                tracing::info!(
                    target: TARGET, event = "migration.rolling_back", migration, "rolling back a migration"
                );
            }
            Self::RolledBack { migration } => {
                tracing::info!(
                    target: TARGET, event = "migration.rolled_back", migration, "rolled back a migration"
                );
            }
            Self::StepStarted { .. }
            | Self::Counted { .. }
            | Self::StepFinished { .. }
            | Self::Progress { .. }
            | Self::Boundary { .. } => {}
        }
    }
}

/// Traces the progress of a migration. Called at most once per [`Settings::progress_every`](crate::Settings).
pub(crate) fn progress(migration: &str, done: u64, step: &str) {
    tracing::info!(target: TARGET, event = "migration.progress", migration, step, done, "progress of a migration");
}

/// Receives the events of a run. It is called during the run, so it must return quickly.
pub trait Observer: Send + Sync {
    /// Handles an event.
    fn event(&self, event: &Event<'_>);
}

/// Ignores every event.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}
