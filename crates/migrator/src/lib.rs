//! A migration engine over a document store.
//!
//! It knows [`docstore`] and no migration: the program hands it a [`Graph`] of [`Migration`]s. It applies what is
//! pending, one runner at a time, and can take the last one back.
//!
//! # What it keeps
//!
//! | collection | holds |
//! |---|---|
//! | `_migrations` | the ledger: the present state of each migration, by its id |
//! | `_migration_log` | one document for each transition, never changed |
//! | `_migration_lock` | the lease of the one that runs |
//! | `_migration_undo` | the journal: what a run changed, for as long as it can be undone |
//!
//! # What holds
//!
//! - One runner at a time, by a lease on the store's clock. Each holder has a greater fencing token, and the ledger's
//!   documents take no write from a holder with a lesser one. Where the store has transactions each batch of data is
//!   in one transaction with such a ledger write, so a holder that was superseded cannot change data either.
//! - A run that was killed is resumed by whoever comes next: steps are idempotent, and the journal is written with,
//!   or before, the data.
//! - A migration that failed is retried when an operator says so, not by a program that merely starts.
//! - [`Migrator::down`] takes back exactly what the run did. An interrupted one is finished first, by a repeated
//!   `down` and by the next `up` alike; the latter then applies the migration anew.
//! - A run that is told to stop ends between two batches; it is interrupted, not failed, and whoever comes next goes on.
//! - Looking ([`Migrator::status`], [`Migrator::show`], [`Migrator::history`], [`Migrator::verify`], [`Migrator::wait`],
//!   [`Migrator::plan_up`], [`Migrator::plan_down`], …) never writes.

pub mod backup;
/// Whether a migration still means what it meant.
pub mod checksum;
/// The commands of the engine.
mod commands;
/// Details of one migration.
mod details;
/// What the database has, against what is declared.
pub mod drift;
/// What an `up` would do, found out without doing it.
mod dry_run;
/// One entry of the ledger.
mod entry;
/// What can go wrong, and what to do then.
mod error;
/// What a run tells while it goes on.
mod event;
/// Migrations in the order of their dependencies.
mod graph;
/// What a run changed, so that it can be undone.
mod journal;
/// What is written to the ledger.
mod ledger;
/// What is unsafe about a migration.
pub mod lint;
/// What a migration is.
mod migration;
/// The engine: holds the database, the graph and the settings, and offers the commands.
mod migrator;
/// The operations of migrations, as data.
mod operation;
/// From graph, ledger and request to the actions to take; no input, no output.
mod plan;
/// Batches of raw documents.
mod raw_batch;
pub mod rehearsal;
/// Results of commands.
mod report;
/// How things are asked for.
mod request;
/// The run of one migration: session, attempt, steps, batches.
mod run;
/// Serialization of times and durations.
mod serialize;
/// How a migrator is set up.
mod settings;
/// A flag that ends a run.
mod stop;

pub use checksum::{ChecksumDrift, Checksums, Sourced};
pub use commands::{ResetReport, ResetRequest};
pub use details::{Declaration, MigrationDetails};
pub use drift::{DriftKind, IndexDrift};
pub use dry_run::{MigrationPreview, Preview, PreviewPath, Sample, StepPreview};
pub use entry::{Provenance, Source, State, StepCounts};
pub use error::{Error, MissingEnv, Result};
pub use event::{Event, Observer};
pub use graph::{Graph, GraphError};
pub use ledger::LogRecord;
pub use lint::{Lint, Rule, Severity};
pub use migration::{Finding, Meta, Migration, Mode, Phase, Recovery, Undo};
pub use migrator::Migrator;
pub use operation::{Step, Value};
pub use report::{
    ActionKind, AppliedMigration, CheckLevel, DownPlan, DownReport, ImportedMigration, PlannedAction,
    Preflight, PreflightCheck, RedoReport, RepairReport, StampReport, Status, StatusEntry, UnlockOutcome,
    UpPlan, UpReport,
};
pub use request::{DownRequest, DownTarget, HistoryRequest, Repair, Stamp, UpMode, UpRequest, UpTarget};
pub use run::{Check, Inserted, UndoImported, Up};
pub use settings::{Clock, Env, Settings};
pub use stop::Stop;
