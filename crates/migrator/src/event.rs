use std::time::Duration;

use bson::DateTime;

use crate::StepCounts;

/// What a run tells while it goes on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another runner has the lease; told at each look.
    LockWait {
        /// Who.
        holder: &'a str,
    },
    /// The lease is ours.
    LockTaken {
        /// The fencing token.
        fence: i64,
    },
    /// A migration that an earlier tool applied was taken over into the ledger.
    Imported {
        /// Which.
        migration: &'a str,
        /// When the earlier tool applied it.
        applied_at: DateTime,
    },
    /// A migration begins.
    Started {
        /// Which.
        migration: &'a str,
        /// The number of the attempt, from 1.
        attempt: i32,
    },
    /// A step begins.
    StepStarted {
        /// Of which migration.
        migration: &'a str,
        /// Its name.
        step: &'a str,
    },
    /// It is known how many documents a step is about. Told of steps that take longer than a second.
    Counted {
        /// Of which migration.
        migration: &'a str,
        /// How many, those that are done already included.
        total: u64,
    },
    /// A batch of a step is done.
    Progress {
        /// Of which migration.
        migration: &'a str,
        /// What the step did so far.
        counts: &'a StepCounts,
    },
    /// A step is done.
    StepFinished {
        /// Of which migration.
        migration: &'a str,
        /// What it did.
        counts: &'a StepCounts,
    },
    /// A place between two writes: what is written before is written, the rest is not.
    Boundary {
        /// Of which migration.
        migration: &'a str,
        /// Whether a transaction is open, so that what came before is not yet durable.
        in_transaction: bool,
    },
    /// A migration left something out and said so.
    Skipped {
        /// Which.
        migration: &'a str,
        /// What it said.
        warning: &'a str,
    },
    /// A migration is applied.
    Applied {
        /// Which.
        migration: &'a str,
        /// How long the last attempt took.
        duration: Duration,
    },
    /// A migration, or its undo, failed.
    Failed {
        /// Which.
        migration: &'a str,
        /// Why.
        error: &'a str,
    },
    /// A migration, or its undo, was told to stop and did.
    Interrupted {
        /// Which.
        migration: &'a str,
    },
    /// The undo of a migration begins.
    RollingBack {
        /// Which.
        migration: &'a str,
    },
    /// A migration is undone.
    RolledBack {
        /// Which.
        migration: &'a str,
    },
}

/// Where the engine traces what happens. The field `event` holds the name.
const TARGET: &str = "migrator::event";

impl Event<'_> {
    /// Traces it under a name that stays. What is told at each batch is not: see [`progress`].
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
                    target: TARGET, event = "migration.imported", migration, %applied_at, "took over an applied migration"
                );
            }
            Self::Started { migration, attempt } => {
                tracing::info!(target: TARGET, event = "migration.started", migration, attempt, "a migration begins");
            }
            Self::Skipped { migration, warning } => {
                tracing::warn!(
                    target: TARGET, event = "migration.skipped", migration, warning, "a migration left something out"
                );
            }
            Self::Applied { migration, duration } => {
                let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    target: TARGET, event = "migration.applied", migration, duration_ms, "a migration is applied"
                );
            }
            Self::Failed { migration, error } => {
                tracing::error!(target: TARGET, event = "migration.failed", migration, error, "a migration failed");
            }
            Self::Interrupted { migration } => {
                tracing::warn!(target: TARGET, event = "migration.interrupted", migration, "a migration was told to stop");
            }
            Self::RollingBack { migration } => {
                tracing::info!(
                    target: TARGET, event = "migration.rolling_back", migration, "taking back a migration"
                );
            }
            Self::RolledBack { migration } => {
                tracing::info!(
                    target: TARGET, event = "migration.rolled_back", migration, "a migration is taken back"
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

/// Traces how far a migration has come. Called once a second at the most.
pub(crate) fn progress(migration: &str, done: u64, step: &str) {
    tracing::info!(target: TARGET, event = "migration.progress", migration, step, done, "a migration goes on");
}

/// Is told what goes on. It is called in the midst of a run, so it has to be quick.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Nobody.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}
