use std::fmt::Write as _;
use std::time::Duration;

use bson::DateTime;

use crate::{GraphError, StepCounts};

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
    #[error("{}", missing_env(.0))]
    MissingEnv(Vec<MissingEnv>),
    /// A migration says why it cannot go on.
    #[error("{0}")]
    Migration(String),
    /// A migration failed now, and that is in the ledger.
    #[error("{}", failed(id, step.as_deref(), counts, source))]
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
    #[error("{}", needs_repair(id, *undo, step.as_deref(), error, *at, counts))]
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
    ForeignMixed {
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
    ForeignUnknown {
        /// The collection.
        collection: String,
        /// The names.
        names: Vec<String>,
    },
    /// The undo would lose data and was not confirmed; nothing was changed.
    #[error(
        "taking back {id} would lose data; nothing was changed\n{}  \
         run `field-notes migrate down --yes` to do it all the same",
        indented(losses)
    )]
    Losses {
        /// Which.
        id: String,
        /// What would be lost.
        losses: Vec<String>,
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
    Mode {
        /// Which.
        id: String,
        /// Why.
        why: String,
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
        applied(dependants)
    )]
    Dependants {
        /// Which.
        id: String,
        /// Who depends on it.
        dependants: Vec<String>,
    },
}

impl Error {
    /// For migrations: says why one cannot go on. The text names no secret and no personal data.
    pub fn migration(text: impl Into<String>) -> Self {
        Self::Migration(text.into())
    }

    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(_)
            | Self::Migration(_)
            | Self::JournalFull { .. }
            | Self::Failed { .. }
            | Self::UndoFailed { .. } => 1,
            Self::MissingEnv(_) => 2,
            Self::Pending(_) => 3,
            Self::NeedsRepair { .. } | Self::Malformed { .. } | Self::ForeignMixed { .. } => 4,
            Self::Locked { .. } | Self::LeaseLost => 5,
            Self::Graph(_) => 7,
            Self::ForeignUnknown { .. }
            | Self::Mode { .. }
            | Self::Losses { .. }
            | Self::Irreversible { .. }
            | Self::Dependants { .. } => 8,
        }
    }

    /// Whether the same batch, begun anew, may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            // An ended transaction took nothing with it: it ran into its time limit.
            Self::Store(error) => {
                error.is_transient() || matches!(error, docstore::Error::TransactionEnded(_))
            }
            _ => false,
        }
    }
}

fn missing_env(missing: &[MissingEnv]) -> String {
    let mut text = String::new();
    for MissingEnv { variable, migration } in missing {
        let _ = writeln!(text, "{migration} needs {variable}, which is not set; set it in .env");
    }
    text + "  nothing was changed; then run `field-notes migrate up`"
}

fn committed(counts: &[StepCounts]) -> String {
    if counts.is_empty() {
        return "  it had committed nothing\n".into();
    }
    let mut text = String::from("  it had committed:\n");
    for step in counts {
        let _ = writeln!(text, "    {step}");
    }
    text
}

fn in_step(step: Option<&str>) -> String {
    step.map(|step| format!(" in step {step:?}")).unwrap_or_default()
}

const AFTER_FAILURE: &str = "  remove the cause, then run `field-notes migrate up` to go on, \
                             or `field-notes migrate down` to take back what it did";

fn failed(id: &str, step: Option<&str>, counts: &[StepCounts], source: &Error) -> String {
    format!("{id} failed{}: {source}\n{}{AFTER_FAILURE}", in_step(step), committed(counts))
}

fn needs_repair(
    id: &str,
    undo: bool,
    step: Option<&str>,
    error: &str,
    at: Option<DateTime>,
    counts: &[StepCounts],
) -> String {
    let when =
        at.and_then(|at| at.try_to_rfc3339_string().ok()).map(|at| format!(" at {at}")).unwrap_or_default();
    if undo {
        return format!(
            "taking back {id} failed in an earlier run{when}: {error}\n  it is taken back in part; remove the cause, then \
             run `field-notes migrate down` to finish it, or `field-notes migrate up` to finish it and apply it anew"
        );
    }
    format!(
        "{id} failed in an earlier run{when}{}: {error}\n{}{AFTER_FAILURE}",
        in_step(step),
        committed(counts)
    )
}

fn indented(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    {line}");
        text
    })
}

fn applied(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_committed_and_what_to_run() {
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
            "0003_seed failed in step \"seed\": no slug\n  it had committed:\n    seed (sections): 2 inserted\n  remove the \
             cause, then run `field-notes migrate up` to go on, or `field-notes migrate down` to take back what it did"
        );
    }

    #[test]
    fn every_missing_variable_is_named_with_who_needs_it() {
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
