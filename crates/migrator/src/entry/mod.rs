//! The entries of the ledger, and what they consist of.

/// The counts of steps.
mod counts;
/// Lenient access to fields of documents.
mod fields;
/// Enums that are stored by name.
mod state;

use std::collections::BTreeMap;

use bson::{DateTime, Document};
use serde::{Deserialize, Serialize};

pub use counts::StepCounts;
pub(crate) use counts::counts_to_bson;
pub(crate) use fields::{documents, id_of, integer, text, texts, texts_to_bson};
pub use state::{Source, State};

use crate::run::Progress;
use crate::{Checksums, Error, Result};

/// The format of entries that this program writes, and the latest that it reads. Entries without a number have format 1.
pub(crate) const FORMAT: i64 = 2;

/// The ledger's entries by migration id.
pub(crate) type Entries = BTreeMap<String, LedgerEntry>;

/// An entry of the ledger.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document")]
pub(crate) struct LedgerEntry {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) source: Source,
    pub(crate) attempts: i32,
    pub(crate) fence: i64,
    /// The time when it was applied, by this engine or another tool.
    pub(crate) applied_at: Option<DateTime>,
    /// The time of the last change of its state.
    pub(crate) changed_at: Option<DateTime>,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
    pub(crate) error: Option<String>,
    /// The step that failed.
    pub(crate) step: Option<String>,
    /// True if the current rollback may delete documents that were edited.
    pub(crate) confirmed: bool,
    pub(crate) depends_on: Vec<String>,
    /// The checksums from when it was applied.
    pub(crate) checksums: Checksums,
    /// The run of this engine that applied it, or began to.
    pub(crate) applied_run: Option<String>,
    /// True if programs that do not know it must refuse to start.
    pub(crate) breaks_older: bool,
    /// True if an operator decided that the next run resumes it.
    pub(crate) retry: bool,
    /// The origin of the last write.
    pub(crate) by: Provenance,
    pub(crate) started_at: Option<DateTime>,
    pub(crate) duration_ms: Option<i64>,
    /// The position of its steps.
    pub(crate) progress: Progress,
    /// True if the journal has its changes.
    pub(crate) journalled: bool,
    /// The backup that was taken before it.
    pub(crate) backup_id: Option<String>,
}

impl LedgerEntry {
    /// Creates an entry that is not in the ledger yet.
    pub(crate) fn new(id: &str, state: State, source: Source) -> Self {
        Self { id: id.into(), state, source, journalled: true, ..Self::default() }
    }

    /// Parses an entry. Fields that no decision depends on may be missing.
    pub(crate) fn from_document(collection: &str, document: &Document) -> Result<Self> {
        let malformed = |what: String| Error::Malformed { collection: collection.into(), what };
        let Some(id) = text(document, "_id") else {
            return Err(malformed(format!("the entry {} has no migration id as its _id", id_of(document))));
        };
        let format = integer(document, "format").unwrap_or(1);
        if format > FORMAT {
            return Err(Error::NewerFormat { collection: collection.into(), id, format, known: FORMAT });
        }
        let state = text(document, "status")
            .and_then(|name| State::parse(&name))
            .ok_or_else(|| malformed(format!("the entry {id} has an unknown status")))?;
        let source = text(document, "source").unwrap_or_else(|| Source::Native.name().into());
        let source = Source::parse(&source)
            .ok_or_else(|| malformed(format!("the entry {id} has the unknown source {source:?}")))?;
        let fence =
            integer(document, "fence").ok_or_else(|| malformed(format!("the entry {id} has no fence")))?;
        let date = |key| document.get_datetime(key).ok().copied();
        let flag = |key| document.get_bool(key).unwrap_or(false);
        let by = Provenance::from_document(document);
        // In format 1, the last write is that of the run that applied it, unless it was rolled back since.
        let last_run = || Some(by.run_id.clone()).filter(|run| format == 1 && !run.is_empty());
        Ok(Self {
            state,
            source,
            attempts: integer(document, "attempts").and_then(|n| n.try_into().ok()).unwrap_or(0),
            fence,
            applied_at: date("applied_at"),
            changed_at: date("finished_at").or_else(|| date("started_at")),
            counts: documents(document, "counts").map(StepCounts::from_document).collect(),
            warnings: texts(document, "warnings"),
            error: text(document, "error"),
            step: text(document, "step"),
            confirmed: flag("confirmed"),
            depends_on: texts(document, "depends_on"),
            checksums: Checksums { up: text(document, "checksum_up"), down: text(document, "checksum_down") },
            applied_run: text(document, "applied_run").or_else(last_run),
            breaks_older: flag("breaks_older"),
            retry: flag("retry"),
            by,
            started_at: date("started_at"),
            duration_ms: integer(document, "duration_ms"),
            progress: document.get_document("cursor").map(Progress::from_document).unwrap_or_default(),
            journalled: document.get_bool("journal").unwrap_or(true),
            backup_id: text(document, "backup_id"),
            id,
        })
    }
}

/// The run and the program that wrote something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The run.
    pub run_id: String,
    /// The user or service that started it.
    pub actor: String,
    /// The host.
    pub host: String,
    /// The process id.
    pub pid: i64,
    /// The version of the program.
    pub app_version: String,
    /// The revision that the program was built from, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_revision: Option<String>,
}

impl Provenance {
    pub(crate) fn from_document(document: &Document) -> Self {
        bson::deserialize_from_document(document.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn malformed_entry_is_named_in_the_error() {
        let read = |d| LedgerEntry::from_document("_migrations", &d);
        let error = read(doc! { "_id": 7, "status": "applied", "fence": 1_i64 }).unwrap_err();
        assert!(error.to_string().contains("_migrations") && error.to_string().contains('7'), "{error}");
        let error = read(doc! { "_id": "0001_a", "status": "odd", "fence": 1_i64 }).unwrap_err();
        assert!(error.to_string().contains("0001_a"), "{error}");
        assert!(read(doc! { "_id": "0001_a", "status": "applied" }).is_err());
        assert!(read(doc! { "_id": "0001_a", "status": "applied", "fence": 1_i64, "source": "?" }).is_err());
        assert_eq!(read(doc! { "_id": "0001_a", "status": "applied", "fence": 1 }).unwrap().fence, 1);
    }

    #[test]
    fn entry_of_a_later_format_is_rejected() {
        let later = doc! { "_id": "0001_a", "status": "applied", "fence": 1_i64, "format": FORMAT + 1 };
        let error = LedgerEntry::from_document("_migrations", &later).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        for part in ["_migrations", "0001_a", "format 3", "format 2", "nothing was changed"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn entry_of_format_1_is_parsed() {
        let at = DateTime::from_millis(1_700_000_000_000);
        let document = doc! {
            "_id": "0001_a", "status": "applied", "source": "native", "order": 0, "depends_on": [], "attempts": 1,
            "fence": 3_i64, "run_id": "64b000000000000000000001", "started_at": at, "finished_at": at, "applied_at": at,
            "duration_ms": 12_i64, "app_version": "0.1.0", "actor": "start-up", "host": "one", "pid": 7_i64,
            "counts": [{ "step": "a", "collection": "b", "inserted": 1_i64, "updated": 0_i64, "deleted": 0_i64, "left": 0_i64 }],
            "warnings": ["w"], "batches": 2_i64,
        };
        let entry = LedgerEntry::from_document("_migrations", &document).unwrap();
        assert_eq!(
            (entry.state, entry.source, entry.attempts, entry.fence),
            (State::Applied, Source::Native, 1, 3)
        );
        assert_eq!(entry.applied_run.as_deref(), Some("64b000000000000000000001"));
        assert_eq!((entry.applied_at, entry.duration_ms, entry.counts[0].inserted), (Some(at), Some(12), 1));
        // Migrations of that time only expanded.
        assert!(!entry.breaks_older && !entry.retry);
        assert_eq!(entry.by.git_revision, None);
    }
}
