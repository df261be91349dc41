//! A migration engine over a document store.
//!
//! It depends on [`docstore`] and knows no particular migration: the program passes it a [`Graph`] of [`Migration`]s. It
//! applies what is pending, one runner at a time, and can roll it back.
//!
//! # Collections
//!
//! | collection | contents |
//! |---|---|
//! | `_migrations` | the ledger: the state of each migration, by id |
//! | `_migration_log` | one document per transition, append-only |
//! | `_migration_lock` | the lease of the runner |
//! | `_migration_undo` | the journal: what a run changed, as long as it can be rolled back |
//!
//! # Guarantees
//!
//! - One runner at a time, by a lease on the store's clock. Each holder has a greater fencing token, and ledger writes are
//!   fenced: a holder with an older token is rejected. Where the store has transactions, each batch of data is in one
//!   transaction with such a ledger write, so a superseded holder cannot change data either.
//! - If a run is killed, the next run resumes it: steps are idempotent, and the journal is written with, or before, the
//!   data.
//! - A failed migration is retried when an operator requests it, not by a program that merely starts.
//! - [`Migrator::down`] reverts exactly what the run did. An interrupted rollback is finished by the next `down` or `up`;
//!   the latter then applies the migration again.
//! - If a stop is requested, a run ends between two batches. It is interrupted, not failed, and the next run resumes it.
//! - Commands that only read ([`Migrator::status`], [`Migrator::show`], [`Migrator::history`], [`Migrator::verify`],
//!   [`Migrator::wait`], [`Migrator::plan_up`], [`Migrator::plan_down`], …) never write.

pub mod backup;
/// Checksums of migrations.
pub mod checksum;
/// The commands of the engine.
mod commands;
/// Details of one migration.
mod details;
pub mod drift;
/// Dry runs of an `up`.
mod dry_run;
/// Entries of the ledger.
mod entry;
/// Errors and exit codes.
mod error;
/// Events of a run.
mod event;
/// The dependency graph.
mod graph;
/// The journal of changes, for rollbacks.
mod journal;
/// The ledger and the log.
mod ledger;
pub mod lint;
/// The trait that migrations implement.
mod migration;
/// The engine: holds the database, the graph and the settings, and offers the commands.
mod migrator;
/// Suggests a known name for a misspelled one.
mod nearest;
/// Values as people read them.
mod notation;
/// The operations of migrations, as data.
mod operation;
/// The planner: from graph, ledger and request to actions, without I/O.
mod plan;
/// Batches of raw documents.
mod raw_batch;
pub mod rehearsal;
/// Results of commands.
mod report;
/// Parameters of commands.
mod request;
/// The run of one migration: session, attempt, steps, batches.
mod run;
/// Serialization of times and durations.
mod serialize;
/// Settings of a migrator.
mod settings;
/// Declared changes of migrations.
mod step;

pub use checksum::{ChecksumDrift, Checksums, Sourced};
pub use commands::{ResetReport, ResetRequest};
pub use details::{Declaration, MigrationDetails};
pub use drift::{DriftKind, IndexDrift};
pub use dry_run::{MigrationPreview, Preview, PreviewPath, Sample, StepPreview, duration_text};
pub use entry::{Provenance, Source, State, StepCounts};
pub use error::{Error, MissingEnv, Result};
pub use event::{Event, Observer};
pub use graph::{Graph, GraphError};
pub use ledger::LogRecord;
pub use lint::{Lint, Rule, Severity};
pub use migration::{Finding, Meta, Migration, Mode, Phase, Recovery, Reference, Undo};
pub use migrator::Migrator;
pub use nearest::nearest;
pub use notation::{Extended, ExtendedDocument};
pub use operation::Value;
pub use report::{
    ActionKind, AppliedMigration, CheckLevel, DownPlan, DownReport, ImportedMigration, PlannedAction,
    Preflight, PreflightCheck, RedoReport, RepairReport, StampReport, Status, StatusEntry, UnlockOutcome,
    UpPlan, UpReport,
};
pub use request::{DownRequest, DownTarget, HistoryRequest, Repair, Stamp, UpMode, UpRequest, UpTarget};
pub use run::{Check, Inserted, UndoImported, Up};
pub use settings::{Clock, Env, Settings};
pub use step::Step;
/// Stops a run between two batches; see [`Settings::stop`].
pub use tokio_util::sync::CancellationToken;
