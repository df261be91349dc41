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

/// Is told what goes on. It is called in the midst of a run, so it has to be quick.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Nobody.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}
