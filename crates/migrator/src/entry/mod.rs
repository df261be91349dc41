/// What steps did.
mod counts;
/// Reading fields of documents, leniently.
mod fields;
/// Who wrote something down.
mod provenance;
/// States and sources.
mod state;

use std::collections::BTreeMap;

use bson::{DateTime, Document};

pub use counts::StepCounts;
pub(crate) use counts::counts_to_bson;
pub(crate) use fields::{documents, id_of, integer, text, texts, texts_to_bson};
pub use provenance::Provenance;
pub use state::{Source, State};

use crate::run::Progress;
use crate::{Checksums, Error, Result};

/// The form of the ledger's entries that this program writes, and the latest that it reads. Entries without a number
/// are of the first.
pub(crate) const FORMAT: i64 = 2;

/// The ledger's entries by migration id.
pub(crate) type Entries = BTreeMap<String, LedgerEntry>;

/// One entry of the ledger, as far as decisions depend on it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document by itself")]
pub(crate) struct LedgerEntry {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) source: Source,
    pub(crate) attempts: i32,
    pub(crate) fence: i64,
    /// When it was applied, by whomever.
    pub(crate) applied_at: Option<DateTime>,
    /// When it began, failed, or was undone last.
    pub(crate) changed_at: Option<DateTime>,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
    pub(crate) error: Option<String>,
    /// The step that failed.
    pub(crate) step: Option<String>,
    /// Whether the undo that is under way may delete what was edited since.
    pub(crate) confirmed: bool,
    pub(crate) depends_on: Vec<String>,
    /// What it meant when it was applied.
    pub(crate) checksums: Checksums,
    /// The run of ours that applied it, or began to.
    pub(crate) applied_run: Option<String>,
    /// Whether programs that do not know it must not run.
    pub(crate) breaks_older: bool,
    /// Whether an operator said that the next run is to go on with it.
    pub(crate) retry: bool,
    /// Who wrote it last.
    pub(crate) by: Provenance,
    pub(crate) started_at: Option<DateTime>,
    pub(crate) duration_ms: Option<i64>,
    /// How far its steps have come.
    pub(crate) progress: Progress,
    /// Whether what it changed is in the journal.
    pub(crate) journalled: bool,
    /// The backup that was taken before it.
    pub(crate) backup_id: Option<String>,
}

impl LedgerEntry {
    /// An entry that is not in the ledger yet.
    pub(crate) fn new(id: &str, state: State, source: Source) -> Self {
        Self {
            id: id.into(),
            state,
            source,
            attempts: 0,
            fence: 0,
            applied_at: None,
            changed_at: None,
            counts: Vec::new(),
            warnings: Vec::new(),
            error: None,
            step: None,
            confirmed: false,
            depends_on: Vec::new(),
            checksums: Checksums::default(),
            applied_run: None,
            breaks_older: false,
            retry: false,
            by: Provenance::default(),
            started_at: None,
            duration_ms: None,
            progress: Progress::default(),
            journalled: true,
            backup_id: None,
        }
    }

    /// Reads an entry. What is not needed to decide anything may be missing.
    pub(crate) fn from_document(collection: &str, document: &Document) -> Result<Self> {
        let malformed = |what: String| Error::Malformed { collection: collection.into(), what };
        let Some(id) = text(document, "_id") else {
            return Err(malformed(format!(
                "the entry {} has no migration's name as its _id",
                id_of(document)
            )));
        };
        let format = integer(document, "format").unwrap_or(1);
        if format > FORMAT {
            return Err(Error::NewerFormat { collection: collection.into(), id, format, known: FORMAT });
        }
        let state = text(document, "status")
            .and_then(|name| State::parse(&name))
            .ok_or_else(|| malformed(format!("the entry {id} has no status that this program knows")))?;
        let source = match text(document, "source").as_deref() {
            None | Some("native") => Source::Native,
            Some("imported") => Source::Imported,
            Some("stamped") => Source::Stamped,
            Some(other) => return Err(malformed(format!("the entry {id} has the unknown source {other:?}"))),
        };
        let fence =
            integer(document, "fence").ok_or_else(|| malformed(format!("the entry {id} has no fence")))?;
        let date = |key| document.get_datetime(key).ok().copied();
        let flag = |key| document.get_bool(key).unwrap_or(false);
        let by = Provenance::from_document(document);
        // Of the first form: whoever wrote it last had applied it, as long as it was not taken back since.
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
            checksums: Checksums::new(text(document, "checksum_up"), text(document, "checksum_down")),
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

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
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
    fn an_entry_of_a_later_form_is_refused_by_name() {
        let later = doc! { "_id": "0001_a", "status": "applied", "fence": 1_i64, "format": FORMAT + 1 };
        let error = LedgerEntry::from_document("_migrations", &later).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        for part in ["_migrations", "0001_a", "format 3", "format 2", "nothing was changed"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn an_entry_of_the_first_form_is_read() {
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
        // It did not say, and those who wrote it only ever added.
        assert!(!entry.breaks_older && !entry.retry);
        assert_eq!(entry.by.git_revision, None);
    }
}
