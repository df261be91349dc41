/// What follows from an error: an exit code, another try.
mod exit_code;
/// The longer sentences.
mod text;

use std::time::Duration;

use bson::DateTime;

use crate::{GraphError, State, StepCounts};

/// The result of anything the engine or a migration does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A variable that a pending migration needs and that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEnv {
    /// The variable.
    pub variable: String,
    /// Who needs it.
    pub migration: String,
}

/// What can go wrong. The text says what happened, what was committed, and what to run next; it holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] docstore::Error),
    /// The program's migrations are no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Variables are missing; nothing was changed.
    #[error("{}", text::missing_env(.0))]
    MissingEnv(Vec<MissingEnv>),
    /// A backup could not be taken, or put back.
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    /// The database was not reset; nothing was changed.
    #[error("nothing was reset: {why}; nothing was changed")]
    ResetRefused {
        /// Why.
        why: String,
    },
    /// A migration says why it cannot go on.
    #[error("{0}")]
    Migration(String),
    /// A migration failed now, and that is in the ledger.
    #[error("{}", text::failed(id, step.as_deref(), counts, source))]
    Failed {
        /// Which.
        id: String,
        /// In which step.
        step: Option<String>,
        /// What its steps committed.
        counts: Vec<StepCounts>,
        /// Why.
        source: Box<Error>,
    },
    /// The undo of a migration failed now, and that is in the ledger.
    #[error(
        "taking back {id} failed: {source}\n  it is taken back in part; remove the cause, then run `field-notes migrate down` \
         to finish it, or `field-notes migrate up` to finish it and apply the migration anew"
    )]
    UndoFailed {
        /// Which.
        id: String,
        /// Why.
        source: Box<Error>,
    },
    /// A migration failed in an earlier run; a start does not retry it.
    #[error("{}", text::needs_repair(id, *undo, step.as_deref(), error, *at, counts))]
    NeedsRepair {
        /// Which.
        id: String,
        /// Whether it was its undo that failed.
        undo: bool,
        /// In which step.
        step: Option<String>,
        /// Why.
        error: String,
        /// When.
        at: Option<DateTime>,
        /// What its steps committed.
        counts: Vec<StepCounts>,
    },
    /// A migration that was interrupted says that an operator has to decide.
    #[error("{}", text::undecided(id, counts))]
    DecisionRequired {
        /// Which.
        id: String,
        /// What its steps committed.
        counts: Vec<StepCounts>,
    },
    /// The run was told to stop, and did so between two batches.
    #[error("{}", text::interrupted(id.as_deref(), *undo, counts))]
    Interrupted {
        /// In the midst of which; `None` if it was between two.
        id: Option<String>,
        /// Whether it was its undo.
        undo: bool,
        /// What its steps committed.
        counts: Vec<StepCounts>,
    },
    /// An attempt took longer than it may.
    #[error("it ran longer than its time limit of {} s", limit.as_secs_f64())]
    TimeLimit {
        /// How long it may run.
        limit: Duration,
    },
    /// A migration has warnings, and that was asked to be a failure.
    #[error("warnings are failures in this run: {}", .0.join("; "))]
    Warnings(Vec<String>),
    /// No migration has an id that begins so.
    #[error(
        "no migration is called {given}{}; nothing was changed\n  `field-notes migrate status` lists them",
        text::nearest(near)
    )]
    UnknownId {
        /// What was asked for.
        given: String,
        /// Ids that look like it.
        near: Vec<String>,
    },
    /// Several migrations have ids that begin so.
    #[error("{given} can be any of {}; nothing was changed\n  say more of it", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        given: String,
        /// All that begin so.
        candidates: Vec<String>,
    },
    /// No run, or several, have an id that begins so.
    #[error("{}", text::unknown_run(given, candidates))]
    UnknownRun {
        /// What was asked for.
        given: String,
        /// All that begin so.
        candidates: Vec<String>,
    },
    /// A migration that was asked for is not run in the contexts at hand.
    #[error(
        "{id} is run in the contexts {} only, and this run has {}; nothing was changed\n  \
         run `field-notes migrate up --to {id} --context {}`",
        needs.join(", "), text::contexts(has), needs.first().map_or("", String::as_str)
    )]
    NotInContext {
        /// Which.
        id: String,
        /// Where it is run.
        needs: Vec<String>,
        /// The contexts of this run.
        has: Vec<String>,
    },
    /// The ledger says something of a migration with which what was asked for makes no sense.
    #[error("{id} {}, and only one that {wants} can be {what}; nothing was changed\n  {next}", text::state(*state))]
    WrongState {
        /// Which.
        id: String,
        /// What the ledger says; `None` if it never ran.
        state: Option<State>,
        /// What was asked for, as a participle.
        what: &'static str,
        /// Of which ones that can be asked.
        wants: &'static str,
        /// What to run.
        next: String,
    },
    /// It cannot be said to be applied before what it depends on is.
    #[error(
        "{id} depends on {}, not applied; nothing was changed\n  run `field-notes migrate stamp {} --reason …` first",
        missing.join(", "), missing.first().map_or("", String::as_str)
    )]
    MissingDependencies {
        /// Which.
        id: String,
        /// What it depends on that is not applied, in order.
        missing: Vec<String>,
    },
    /// It cannot be said not to be applied while what depends on it is.
    #[error(
        "{} applied, and cannot be without {id}; nothing was changed\n  run \
         `field-notes migrate stamp {} --none --reason …` first, or `field-notes migrate down`",
        text::applied(dependents), dependents.first().map_or("", String::as_str)
    )]
    RequiredByApplied {
        /// Which.
        id: String,
        /// What is applied and depends on it, the last first.
        dependents: Vec<String>,
    },
    /// What is done by hand needs a reason.
    #[error("this is written down for those who come after: say why with --reason; nothing was changed")]
    ReasonRequired,
    /// A newer program applied migrations that this one must not run with.
    #[error(
        "this program is older than the database: {} applied, which it does not know and which says that programs before \
         it must not run; nothing was changed\n  run a program that knows {}, or take back with that program: \
         `field-notes migrate down`",
        text::applied(.0), if .0.len() == 1 { "it" } else { "them" }
    )]
    ProgramTooOld(Vec<String>),
    /// A migration comes before one that is applied, and they are not known to be independent.
    #[error("{}", text::out_of_order(late, applied, shared))]
    OutOfOrder {
        /// The one that is pending.
        late: String,
        /// The one that is applied.
        applied: String,
        /// What both touch; empty if one of them does not say.
        shared: Vec<String>,
    },
    /// Migrations are pending.
    #[error("pending: {}\n  run `field-notes migrate up`", .0.join(", "))]
    Pending(Vec<String>),
    /// Another runner held the lease for as long as we were told to wait.
    #[error(
        "another runner ({holder}) has held the migration lock for {} s; nothing was changed by this one\n  \
         look with `field-notes migrate status`, then run `field-notes migrate up` again", waited.as_secs()
    )]
    Locked {
        /// Who.
        holder: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The lease was lost in the midst of a run, which stopped before its next write.
    #[error(
        "the migration lock was lost during the run, so it stopped before its next write; what it had committed is kept\n  \
         run `field-notes migrate up` to go on where it stopped"
    )]
    LeaseLost,
    /// Another process holds the lease and has renewed it.
    #[error(
        "the migration lock is held by {holder}, which is not known to be dead; nothing was changed\n  if its process is \
         gone, the lock runs out by itself in {} s: run `field-notes migrate unlock --reason …` again then",
        remaining.as_secs() + 1
    )]
    LockHeld {
        /// Who.
        holder: String,
        /// How long it still lasts unless renewed.
        remaining: Duration,
    },
    /// An entry of the ledger was written by a later program, in a form that this one cannot read.
    #[error(
        "the ledger {collection} has an entry of {id} in form {format}, and this program reads up to form {known}; \
         nothing was changed\n  run the program that wrote it, or a later one"
    )]
    NewerFormat {
        /// The collection.
        collection: String,
        /// Of which migration.
        id: String,
        /// The form of the entry.
        format: i64,
        /// The latest that this program reads.
        known: i64,
    },
    /// A ledger holds something that cannot be read; nothing was changed.
    #[error("the ledger {collection} cannot be read: {what}; nothing was changed")]
    Malformed {
        /// The collection.
        collection: String,
        /// What is wrong.
        what: String,
    },
    /// The earlier tool's ledger says of one name both that it is applied and that it is not.
    #[error(
        "the ledger {collection} has entries that contradict each other for {}: one says applied, another does not; \
         nothing was changed\n  remove the wrong one of each, then run `field-notes migrate up`", names.join(", ")
    )]
    ImportContradiction {
        /// The collection.
        collection: String,
        /// The names.
        names: Vec<String>,
    },
    /// The earlier tool's ledger has names that this program does not know.
    #[error(
        "the ledger {collection} has applied migrations that this program does not know: {}; nothing was changed\n  \
         run `field-notes migrate up --allow-unknown` to take them over as unknown", names.join(", ")
    )]
    ImportUnknown {
        /// The collection.
        collection: String,
        /// The names.
        names: Vec<String>,
    },
    /// The undo would lose data and was not confirmed; nothing was changed.
    #[error(
        "taking back {id} would lose data; {}\n{}  run it again with --yes to do it all the same, as in \
         `field-notes migrate down --yes`",
        text::done(rolled_back),
        text::indented(losses)
    )]
    DataLoss {
        /// Which.
        id: String,
        /// What would be lost.
        losses: Vec<String>,
        /// What was taken back before it.
        rolled_back: Vec<String>,
    },
    /// Everything would be taken back, or more than what was named, and that was not confirmed.
    #[error(
        "this takes back {}{}; nothing was changed\n  run it again with --yes to do so",
        ids.join(", "), text::beyond(beyond)
    )]
    ConfirmationRequired {
        /// What would be taken back, in order.
        ids: Vec<String>,
        /// Which of these were not asked for, and depend on what was.
        beyond: Vec<String>,
    },
    /// The migration cannot be taken back; nothing was changed.
    #[error("{id} cannot be taken back: {why}; nothing was changed")]
    Irreversible {
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
    /// The mode of a migration cannot hold; nothing was changed.
    #[error("{id} cannot be run in its mode: {why}; nothing was changed")]
    ModeUnavailable {
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
    /// A migration says that it is one transaction, and has a step that none takes; nothing was changed.
    #[error(
        "{id} is to be one transaction, and its step {step:?} is about an index or a rule, which no transaction takes; \
         nothing was changed\n  put that step into a migration of another mode, or give {id} another mode"
    )]
    StepNotTransactional {
        /// Which.
        id: String,
        /// Its step.
        step: String,
    },
    /// The journal of a migration would become larger than it may.
    #[error(
        "the journal of {id} would have more than {cap} bytes; it stopped before its next batch\n  \
         give it `without_journal` and take a backup, or allow a larger journal"
    )]
    JournalFull {
        /// Which.
        id: String,
        /// How many bytes it may have.
        cap: u64,
    },
    /// Other applied migrations depend on it; nothing was changed.
    #[error(
        "{id} cannot be taken back while {} applied, which this program does not know; nothing was changed\n  \
         take back with the program that applied them",
        text::applied(dependents)
    )]
    UnknownDependents {
        /// Which.
        id: String,
        /// Who depends on it.
        dependents: Vec<String>,
    },
}
