use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bson::DateTime;

use crate::{GraphError, State, StepCounts, nearest};

/// The result of anything that the engine or a migration does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A variable that a pending migration needs and that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEnv {
    /// The variable.
    pub variable: String,
    /// The migration that needs it.
    pub migration: String,
}

/// Declares each error once: its meaning, text, fields and exit code.
macro_rules! errors {
    (
        $(#[$($attr:tt)*])* pub enum Error {
            $(
                $(#[$($variant_attr:tt)*])*
                $name:ident $({ $($fields:tt)* })? $(($($tuple:tt)*))? = $code:literal,
            )+
        }
    ) => {
        $(#[$($attr)*])* pub enum Error {
            $($(#[$($variant_attr)*])* $name $({ $($fields)* })? $(($($tuple)*))?,)+
        }

        impl Error {
            /// Returns the exit code of a program that ends with this error.
            pub fn exit_code(&self) -> u8 {
                if let Self::Failed { source, .. } | Self::UndoFailed { source, .. } = self
                    && matches!(**source, Self::Panicked { .. })
                {
                    return source.exit_code();
                }
                match self {
                    $(Self::$name { .. } => $code,)+
                }
            }
        }
    };
}

errors! {
    /// An error of the engine or of a migration.
    ///
    /// The text says what happened, what is committed and what to run next. It contains no secret.
    #[derive(Debug, thiserror::Error)]
    #[non_exhaustive]
    pub enum Error {
        /// The store failed.
        #[error(transparent)]
        Store(#[from] docstore::Error) = 1,
        /// A file could not be written or read.
        #[error("{}: {source}", path.display())]
        File {
            /// The file or folder.
            path: PathBuf,
            /// The cause.
            source: io::Error,
        } = 1,
        /// The disk is full; what was written of the backup is deleted.
        #[error(
            "no space left for a backup in {}; the partial backup was deleted, and nothing was changed in the store\n  \
             free some space, or give another folder: BACKUP_DIR, or `--dir` of `field-notes migrate backup`", path.display()
        )]
        DiskFull {
            /// The folder of backups.
            path: PathBuf,
        } = 1,
        /// The number of restored documents differs from the backup; nothing was changed.
        #[error("{collection} has {found} restored documents instead of {expected}; nothing was changed")]
        Miscounted {
            /// The collection.
            collection: String,
            /// The number in the manifest.
            expected: u64,
            /// The number in the store.
            found: u64,
        } = 1,
        /// A migration reports why it cannot continue.
        #[error("{0}")]
        Migration(String) = 1,
        /// A migration failed now; the ledger records it.
        #[error("{id} failed{}: {source}\n{}{AFTER_FAILURE}", in_step(step.as_deref()), committed(counts))]
        Failed {
            /// The migration.
            id: String,
            /// The step that failed.
            step: Option<String>,
            /// The counts of its committed steps.
            counts: Vec<StepCounts>,
            /// The cause.
            source: Box<Error>,
        } = 1,
        /// The rollback of a migration failed now; the ledger records it.
        #[error("the rollback of {id} failed: {source}\n{AFTER_FAILED_ROLLBACK}")]
        UndoFailed {
            /// The migration.
            id: String,
            /// The cause.
            source: Box<Error>,
        } = 1,
        /// An attempt exceeded its time limit.
        #[error("exceeded its time limit of {} s", limit.as_secs_f64())]
        TimeLimit {
            /// The limit.
            limit: Duration,
        } = 1,
        /// A migration has warnings, and the run treats warnings as failures.
        #[error("warnings are failures in this run: {}", .0.join("; "))]
        Warnings(Vec<String>) = 1,
        /// The journal of a migration would exceed its limit.
        #[error(
            "the journal of {id} would exceed {cap} bytes; the run stopped before its next batch\n  \
             declare the migration `without_journal` and take a backup, or raise the limit"
        )]
        JournalFull {
            /// The migration.
            id: String,
            /// The limit in bytes.
            cap: u64,
        } = 1,
        /// Variables are missing; nothing was changed.
        #[error("{}  nothing was changed; then run `field-notes migrate up`", lines(.0, "", |MissingEnv { variable, migration }| {
            format!("{migration} needs {variable}, which is not set; set it in .env")
        }))]
        MissingEnv(Vec<MissingEnv>) = 2,
        /// No migration has an id with this prefix.
        #[error(
            "no migration matches {}{}; nothing was changed\n  `field-notes migrate status` lists them",
            if given.is_empty() { "\"\"" } else { given.as_str() },
            optional("; did you mean ", &near.join(" or "), "?")
        )]
        UnknownId {
            /// The prefix.
            given: String,
            /// Similar ids.
            near: Vec<String>,
        } = 2,
        /// Several migrations have ids with this prefix.
        #[error("{given} is ambiguous: it matches {}; nothing was changed\n  give a longer prefix", candidates.join(", "))]
        Ambiguous {
            /// The prefix.
            given: String,
            /// All matches.
            candidates: Vec<String>,
        } = 2,
        /// No run, or several, have an id with this prefix.
        #[error("{}; nothing was changed\n  `field-notes migrate history` lists the runs", unknown_run(given, candidates))]
        UnknownRun {
            /// The prefix.
            given: String,
            /// All matches.
            candidates: Vec<String>,
        } = 2,
        /// A requested migration does not run in the contexts of this run.
        #[error(
            "{id} only runs in the contexts {}, and this run has {}; nothing was changed\n  \
             run `field-notes migrate up --to {id} --context {}`",
            needs.join(", "), if has.is_empty() { "none".to_owned() } else { has.join(", ") }, first(needs)
        )]
        NotInContext {
            /// The migration.
            id: String,
            /// The contexts that it runs in.
            needs: Vec<String>,
            /// The contexts of this run.
            has: Vec<String>,
        } = 2,
        /// The state of a migration does not allow what was requested.
        #[error(
            "{id} {}: cannot {action}, which requires a migration that {required}; nothing was changed\n  {next}",
            state_text(*state)
        )]
        WrongState {
            /// The migration.
            id: String,
            /// Its state; `None` if it never ran.
            state: Option<State>,
            /// The requested action, as a verb phrase.
            action: &'static str,
            /// The required state, as a predicate.
            required: &'static str,
            /// The command to run next.
            next: String,
        } = 2,
        /// A manual change needs a reason.
        #[error("a reason is required for the log: add --reason; nothing was changed")]
        ReasonRequired = 2,
        /// There is no such backup.
        #[error("there is no backup {id:?} in {}\n  `field-notes migrate backups` lists them", dir.display())]
        BackupNotFound {
            /// The id or prefix.
            id: String,
            /// The folder.
            dir: PathBuf,
        } = 2,
        /// Several backups have ids with this prefix.
        #[error("{id:?} is ambiguous: it matches {}\n  give a longer prefix", candidates.join(", "))]
        AmbiguousBackup {
            /// The id or prefix.
            id: String,
            /// All matches.
            candidates: Vec<String>,
        } = 2,
        /// The backup was written by a newer program.
        #[error(
            "the backup {id} has format {found}; this program reads up to {supported}\n  use a newer program"
        )]
        NewerBackup {
            /// The backup.
            id: String,
            /// Its format.
            found: u32,
            /// The newest format that this program reads.
            supported: u32,
        } = 2,
        /// The backup does not contain a requested collection; nothing was changed.
        #[error(
            "the backup {id} does not contain {collection:?}{}; nothing was changed\n  it contains {}",
            optional("; did you mean ", nearest(collection, known.iter().map(String::as_str)).unwrap_or_default(), "?"),
            known.join(", ")
        )]
        NotInBackup {
            /// The backup.
            id: String,
            /// The collection.
            collection: String,
            /// The collections that it contains.
            known: Vec<String>,
        } = 2,
        /// Migrations are pending.
        #[error("pending: {}\n  run `field-notes migrate up`", .0.join(", "))]
        Pending(Vec<String>) = 3,
        /// A migration failed in an earlier run; a start does not retry it.
        #[error("{}", needs_repair(id, *undo, step.as_deref(), error, *at, counts))]
        NeedsRepair {
            /// The migration.
            id: String,
            /// `true` if its rollback failed.
            undo: bool,
            /// The step that failed.
            step: Option<String>,
            /// The error.
            error: String,
            /// The time of the failure.
            at: Option<DateTime>,
            /// The counts of its committed steps.
            counts: Vec<StepCounts>,
        } = 4,
        /// The code of a migration panicked, which only a new version of it can change.
        #[error("{what} panicked: {message}")]
        Panicked {
            /// The function, with the document that it was called with.
            what: String,
            /// The message of the panic.
            message: String,
        } = 4,
        /// A migration was interrupted and declares that an operator decides what happens next.
        #[error(
            "{id} was interrupted and requires an operator's decision\n{}  inspect the data, then run \
             `field-notes migrate repair {id} --as retry --reason …` and `field-notes migrate up` to resume,\n  or \
             `field-notes migrate down` to roll back what it did, or `field-notes migrate repair {id} --as applied --reason …` \
             if you completed it by hand",
            committed(counts)
        )]
        DecisionRequired {
            /// The migration.
            id: String,
            /// The counts of its committed steps.
            counts: Vec<StepCounts>,
        } = 4,
        /// A later program wrote an entry of the ledger in a format that this one cannot read.
        #[error(
            "the ledger {collection} has an entry of {id} in format {format}, and this program reads up to format {known}; \
             nothing was changed\n  run the program that wrote it, or a later one"
        )]
        NewerFormat {
            /// The collection.
            collection: String,
            /// The migration.
            id: String,
            /// The format of the entry.
            format: i64,
            /// The latest format that this program reads.
            known: i64,
        } = 4,
        /// A ledger cannot be read; nothing was changed.
        #[error("failed to read the ledger {collection}: {what}; nothing was changed")]
        Malformed {
            /// The collection.
            collection: String,
            /// The reason.
            what: String,
        } = 4,
        /// The earlier tool's ledger says of one name both that it is applied and that it is not.
        #[error(
            "the ledger {collection} has contradicting entries for {}: one says applied, another does not; nothing was changed\n  \
             remove the wrong entry of each, then run `field-notes migrate up`", names.join(", ")
        )]
        ImportContradiction {
            /// The collection.
            collection: String,
            /// The names.
            names: Vec<String>,
        } = 4,
        /// Another runner held the lease for as long as this one waits.
        #[error(
            "another runner ({holder}) has held the migration lock for {} s; this run changed nothing\n  \
             check `field-notes migrate status`, then run `field-notes migrate up` again", waited.as_secs()
        )]
        Locked {
            /// The holder.
            holder: String,
            /// The time that this runner waited.
            waited: Duration,
        } = 5,
        /// Another process holds the lease and has renewed it.
        #[error(
            "the migration lock is held by {holder}, which is not known to be dead; nothing was changed\n  if its process is \
             gone, the lock expires in {} s: run `field-notes migrate unlock --reason …` again then, or with `--force` now", remaining.as_secs() + 1
        )]
        LockHeld {
            /// The holder.
            holder: String,
            /// The time until the lease expires unless it is renewed.
            remaining: Duration,
        } = 5,
        /// The lease was lost during a run, which stopped before its next write.
        #[error(
            "the migration lock was lost during the run, so it stopped before its next write; what it committed is kept\n  \
             run `field-notes migrate up` to resume"
        )]
        LeaseLost = 5,
        /// A newer program applied migrations that this one must not run with.
        #[error(
            "this program is older than the database: it does not know {}, applied by a newer program, after which older \
             programs must not run; nothing was changed\n  run a program that knows {}, or roll back with that program: \
             `field-notes migrate down`",
            .0.join(", "), if .0.len() == 1 { "it" } else { "them" }
        )]
        ProgramTooOld(Vec<String>) = 6,
        /// A backup does not match its checksums; nothing was changed.
        #[error(
            "the backup {id} is damaged: {what}; nothing was changed\n  \
             use another one: `field-notes migrate backups` lists them"
        )]
        BackupDamaged {
            /// The backup.
            id: String,
            /// The damage.
            what: String,
        } = 6,
        /// The program's migrations do not form a valid graph.
        #[error(transparent)]
        Graph(#[from] GraphError) = 7,
        /// A pending migration comes before an applied one, and they are not known to be independent.
        #[error(
            "{late} comes before {applied}, which is applied and does not depend on it, and {}; nothing was changed\n  declare \
             that {late} depends on {applied}, or what each of them touches if that is disjoint, or that {late} may run out of \
             order; or roll back {applied} first: `field-notes migrate down`",
            if shared.is_empty() { "not both declare what they touch".into() } else { format!("both touch {}", shared.join(", ")) }
        )]
        OutOfOrder {
            /// The pending migration.
            late: String,
            /// The applied migration.
            applied: String,
            /// The collections that both touch; empty if one of them declares none.
            shared: Vec<String>,
        } = 7,
        /// A migration in one transaction has a step that cannot run in one; nothing was changed.
        #[error(
            "{id} runs in one transaction, and its step {step:?} defines an index, which no transaction can; nothing was \
             changed\n  move that step to a migration of another mode, or change the mode of {id}"
        )]
        StepNotTransactional {
            /// The migration.
            id: String,
            /// The step.
            step: String,
        } = 7,
        /// The mode of a migration is impossible here; nothing was changed.
        #[error("{id} cannot run in its mode: {why}; nothing was changed")]
        ModeUnavailable {
            /// The migration.
            id: String,
            /// The reason.
            why: String,
        } = 8,
        /// The earlier tool applied migrations that this program does not know.
        #[error(
            "the ledger {collection} has applied migrations that this program does not know: {}; nothing was changed\n  \
             run `field-notes migrate up --allow-unknown` to import them as unknown", names.join(", ")
        )]
        ImportUnknown {
            /// The collection.
            collection: String,
            /// The names.
            names: Vec<String>,
        } = 8,
        /// A rollback would lose data and was not confirmed; nothing was changed.
        #[error(
            "rolling back {id} would lose data; {}\n{}  to accept that, add --yes: `field-notes migrate down --yes`",
            rolled_back_before(rolled_back), lines(losses, "    ", String::clone)
        )]
        DataLoss {
            /// The migration.
            id: String,
            /// The losses, one sentence each.
            losses: Vec<String>,
            /// The migrations that were rolled back before it.
            rolled_back: Vec<String>,
        } = 8,
        /// Everything, or more than was named, would be rolled back, and that was not confirmed.
        #[error(
            "this rolls back {}{}; nothing was changed\n  to confirm, add --yes", ids.join(", "),
            optional("; ", &beyond.join(", "), " was not named, and depends on what was")
        )]
        ConfirmationRequired {
            /// The migrations that would be rolled back, in order.
            ids: Vec<String>,
            /// Those of them that were not named and depend on what was.
            beyond: Vec<String>,
        } = 8,
        /// The database was not reset; nothing was changed.
        #[error("reset refused: {why}; nothing was changed")]
        ResetRefused {
            /// The reason.
            why: String,
        } = 8,
        /// A migration cannot be stamped as applied before its dependencies are applied.
        #[error(
            "{id} depends on {}, not applied; nothing was changed\n  run `field-notes migrate stamp {} --reason …` first",
            missing.join(", "), first(missing)
        )]
        MissingDependencies {
            /// The migration.
            id: String,
            /// The dependencies that are not applied, in order.
            missing: Vec<String>,
        } = 8,
        /// A migration cannot be stamped as rolled back while an applied one depends on it.
        #[error(
            "{} applied, and {} on {id}; nothing was changed\n  run \
             `field-notes migrate stamp {} --pending --reason …` first, or `field-notes migrate down`",
            with_verb(dependents, "is", "are"), if dependents.len() == 1 { "depends" } else { "depend" }, first(dependents)
        )]
        RequiredByApplied {
            /// The migration.
            id: String,
            /// The applied migrations that depend on it, last first.
            dependents: Vec<String>,
        } = 8,
        /// A migration cannot be rolled back; nothing was changed.
        #[error("{id} cannot be rolled back: {why}; nothing was changed")]
        Irreversible {
            /// The migration.
            id: String,
            /// The reason.
            why: String,
        } = 8,
        /// Applied migrations that this program does not know depend on it; nothing was changed.
        #[error(
            "{id} cannot be rolled back while {} applied, which this program does not know; nothing was changed\n  \
             roll back with the program that applied them", with_verb(dependents, "is", "are")
        )]
        UnknownDependents {
            /// The migration.
            id: String,
            /// The migrations that depend on it.
            dependents: Vec<String>,
        } = 8,
        /// The backup would exceed its limit; what was written of it is deleted.
        #[error(
            "the backup would exceed {cap} bytes (reached in {collection}); the partial backup was deleted, and nothing was \
             changed in the store\n  raise the limit, or back up with the tools of the store"
        )]
        BackupTooLarge {
            /// The limit in bytes.
            cap: u64,
            /// The collection in which it was reached.
            collection: String,
        } = 8,
        /// The target has documents in collections that would be restored; nothing was changed.
        #[error(
            "{} documents; nothing was changed\n  \
             restore with `--replace` to replace them, or with `--into-scratch` to inspect it first",
            with_verb(collections, "has", "have")
        )]
        NotEmpty {
            /// The collections.
            collections: Vec<String>,
        } = 8,
        /// A stop was requested, and the run stopped between two batches.
        #[error("{}", interrupted_text(id.as_deref(), *undo, counts))]
        Interrupted {
            /// The migration; `None` if the run stopped between two.
            id: Option<String>,
            /// `true` if it was being rolled back.
            undo: bool,
            /// The counts of its committed steps.
            counts: Vec<StepCounts>,
        } = 130,
        /// A stop was requested while the process waited for another one.
        #[error("stopped on request while waiting; nothing was changed")]
        WaitInterrupted = 130,
    }
}

impl Error {
    /// Creates the error of a migration that cannot continue. The text must contain no secret and no personal data.
    pub fn migration(text: impl Into<String>) -> Self {
        Self::Migration(text.into())
    }

    /// The error of a run that stops before anything is known of a migration.
    pub(crate) fn interrupted() -> Self {
        Self::Interrupted { id: None, undo: false, counts: Vec::new() }
    }

    /// Returns a conversion for `map_err` that adds the path of a file or folder.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::File { path: path.to_owned(), source },
        }
    }

    /// Returns the error and its causes, outermost first.
    pub(crate) fn chain(&self) -> Vec<String> {
        let outermost: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(outermost), |error| error.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        // A transparent error repeats the text of its source.
        texts.dedup();
        texts
    }

    /// Returns whether the same batch may succeed if it is retried.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            // A transaction that the server ended, for example at its time limit, committed nothing.
            Self::Store(error) => {
                error.is_transient() || matches!(error.root(), docstore::Error::TransactionEnded(_))
            }
            _ => false,
        }
    }
}

const AFTER_FAILURE: &str = "  fix the cause, then run `field-notes migrate up` to resume, \
                             or `field-notes migrate down` to roll back what it did";
const AFTER_FAILED_ROLLBACK: &str = "  it is partly rolled back; fix the cause, then run `field-notes migrate down` to finish the rollback, \
     or `field-notes migrate up` to finish it and apply the migration again";

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

fn lines<T>(items: &[T], indent: &str, line: impl Fn(&T) -> String) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        let _ = writeln!(text, "{indent}{}", line(item));
        text
    })
}

fn optional(before: &str, text: &str, after: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
}

fn with_verb(names: &[String], one: &str, many: &str) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { one } else { many })
}

fn committed(counts: &[StepCounts]) -> String {
    if counts.is_empty() {
        return "  nothing was committed\n".into();
    }
    format!("  already committed:\n{}", lines(counts, "    ", ToString::to_string))
}

fn in_step(step: Option<&str>) -> String {
    step.map(|step| format!(" in step {step:?}")).unwrap_or_default()
}

fn needs_repair(
    id: &str,
    undo: bool,
    step: Option<&str>,
    error: &str,
    at: Option<DateTime>,
    counts: &[StepCounts],
) -> String {
    let when = at.and_then(|at| at.try_to_rfc3339_string().ok()).unwrap_or_default();
    let when = optional(" at ", &when, "");
    if undo {
        return format!(
            "the rollback of {id} failed in an earlier run{when}: {error}\n{AFTER_FAILED_ROLLBACK}"
        );
    }
    let (step, committed) = (in_step(step), committed(counts));
    format!("{id} failed in an earlier run{when}{step}: {error}\n{committed}{AFTER_FAILURE}")
}

fn interrupted_text(id: Option<&str>, undo: bool, counts: &[StepCounts]) -> String {
    match (id, undo) {
        (None, _) => {
            "stopped on request between two migrations; what was done is kept\n  run it again to resume"
                .into()
        }
        (Some(id), true) => format!(
            "stopped on request during the rollback of {id}; what was rolled back stays so\n  run `field-notes migrate down` \
             to finish it, or `field-notes migrate up` to finish it and apply the migration again"
        ),
        (Some(id), false) => format!(
            "stopped on request during {id}, between two batches; it has not failed\n{}  run `field-notes migrate up` to \
             resume, or `field-notes migrate down` to roll back what it did",
            committed(counts)
        ),
    }
}

fn unknown_run(given: &str, candidates: &[String]) -> String {
    if candidates.is_empty() {
        format!("no run {given:?} has applied anything that is still applied")
    } else {
        format!("{given} is ambiguous: it matches the runs {}", candidates.join(", "))
    }
}

fn state_text(state: Option<State>) -> &'static str {
    match state {
        None => "has never run",
        Some(State::Running) => "is running",
        Some(State::Applied) => "is applied",
        Some(State::Failed) => "has failed",
        Some(State::Interrupted) => "was interrupted",
        Some(State::RollingBack) => "is being rolled back",
        Some(State::RolledBack) => "was rolled back",
    }
}

fn rolled_back_before(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing was changed".into();
    }
    format!("before it {} rolled back, and nothing else was changed", with_verb(names, "was", "were"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_what_was_committed_and_what_to_run() {
        let mut counts = StepCounts::new("seed", "sections");
        counts.inserted = 2;
        let error = Error::Failed {
            id: "0003_seed".into(),
            step: Some("seed".into()),
            counts: vec![counts],
            source: Box::new(Error::migration("no slug")),
        };
        assert_eq!(error.exit_code(), 1);
        assert_eq!(
            error.to_string(),
            "0003_seed failed in step \"seed\": no slug\n  already committed:\n    seed (sections): 2 inserted\n  fix the \
             cause, then run `field-notes migrate up` to resume, or `field-notes migrate down` to roll back what it did"
        );
    }

    #[test]
    fn missing_variables_are_listed_with_the_migrations_that_need_them() {
        let missing = |variable: &str, migration: &str| MissingEnv {
            variable: variable.into(),
            migration: migration.into(),
        };
        let error = Error::MissingEnv(vec![missing("A", "0001_a"), missing("B", "0002_b")]);
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        for word in ["0001_a needs A", "0002_b needs B", ".env", "field-notes migrate up"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
