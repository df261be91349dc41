use std::collections::BTreeMap;
use std::fmt;

use bson::{Bson, DateTime, Document, doc};
use serde::Serialize;

use crate::context::Progress;
use crate::{Checksums, Error, Result};

/// The form of the ledger's entries that this program writes, and the latest that it reads. Entries without a number
/// are of the first.
pub(crate) const FORMAT: i64 = 2;

/// The ledger's entries by migration id.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// What the ledger says of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being applied, or was until its runner died.
    Running,
    /// It is applied.
    Applied,
    /// It failed; what it did until then is there.
    Failed,
    /// It was told to stop; what it did until then is there.
    Interrupted,
    /// It is being undone, or was until its runner died or failed.
    RollingBack,
    /// It was undone.
    RolledBack,
}

impl State {
    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Running, Self::Applied, Self::Failed, Self::Interrupted, Self::RollingBack, Self::RolledBack]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who applied a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This engine; there is a journal.
    Native,
    /// An earlier tool; there is none.
    Imported,
    /// Somebody, by hand; there is none.
    Stamped,
}

impl Source {
    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Imported => "imported",
            Self::Stamped => "stamped",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one step did to one collection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StepCounts {
    /// The step's name.
    pub step: String,
    /// The collection.
    pub collection: String,
    /// Documents inserted.
    pub inserted: u64,
    /// Documents changed.
    pub updated: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Documents left as they are: there already, or changed by others since.
    pub left: u64,
}

impl StepCounts {
    pub(crate) fn new(step: &str, collection: &str) -> Self {
        Self { step: step.into(), collection: collection.into(), ..Self::default() }
    }

    fn to_document(&self) -> Document {
        let Self { step, collection, inserted, updated, deleted, left } = self;
        let number = |n: &u64| i64::try_from(*n).unwrap_or(i64::MAX);
        doc! {
            "step": step, "collection": collection, "inserted": number(inserted), "updated": number(updated),
            "deleted": number(deleted), "left": number(left),
        }
    }

    pub(crate) fn from_document(document: &Document) -> Self {
        let number = |key| integer(document, key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Self {
            step: text(document, "step").unwrap_or_default(),
            collection: text(document, "collection").unwrap_or_default(),
            inserted: number("inserted"),
            updated: number("updated"),
            deleted: number("deleted"),
            left: number("left"),
        }
    }
}

impl fmt::Display for StepCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.step, self.collection)?;
        let parts = [
            (self.inserted, "inserted"),
            (self.updated, "changed"),
            (self.deleted, "deleted"),
            (self.left, "left as they are"),
        ];
        let told: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(&if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") })
    }
}

/// One entry of the ledger, as far as decisions depend on it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document by itself")]
pub(crate) struct Entry {
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
    pub(crate) by: By,
    pub(crate) started_at: Option<DateTime>,
    pub(crate) duration_ms: Option<i64>,
    /// How far its steps have come.
    pub(crate) progress: Progress,
    /// Whether what it changed is in the journal.
    pub(crate) journalled: bool,
    /// The backup that was taken before it.
    pub(crate) backup_id: Option<String>,
}

/// Who wrote something down: which run of which program, where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct By {
    /// The run.
    pub run_id: String,
    /// Who started it.
    pub actor: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: i64,
    /// The version of the program.
    pub app_version: String,
    /// The revision that it was built from, if it was told when it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_revision: Option<String>,
}

impl By {
    pub(crate) fn from_document(document: &Document) -> Self {
        let word = |key| text(document, key).unwrap_or_default();
        Self {
            run_id: word("run_id"),
            actor: word("actor"),
            host: word("host"),
            pid: integer(document, "pid").unwrap_or(0),
            app_version: word("app_version"),
            git_revision: text(document, "git_revision"),
        }
    }
}

impl Entry {
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
            by: By::default(),
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
            return Err(Error::UnknownFormat { collection: collection.into(), id, format, known: FORMAT });
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
        let by = By::from_document(document);
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

pub(crate) fn counts_to_bson(counts: &[StepCounts]) -> Bson {
    Bson::Array(counts.iter().map(|c| c.to_document().into()).collect())
}

pub(crate) fn texts_to_bson(texts: &[String]) -> Bson {
    Bson::Array(texts.iter().map(|t| Bson::String(t.clone())).collect())
}

/// The id of a document, for people.
pub(crate) fn id_of(document: &Document) -> String {
    document.get("_id").map_or_else(|| "without _id".into(), ToString::to_string)
}

pub(crate) fn text(document: &Document, key: &str) -> Option<String> {
    document.get_str(key).ok().map(str::to_owned)
}

pub(crate) fn integer(document: &Document, key: &str) -> Option<i64> {
    match document.get(key) {
        Some(Bson::Int64(n)) => Some(*n),
        Some(Bson::Int32(n)) => Some(i64::from(*n)),
        _ => None,
    }
}

pub(crate) fn texts(document: &Document, key: &str) -> Vec<String> {
    let list = document.get_array(key).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

pub(crate) fn documents<'a>(document: &'a Document, key: &str) -> impl Iterator<Item = &'a Document> {
    document.get_array(key).map(Vec::as_slice).unwrap_or_default().iter().filter_map(Bson::as_document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
        let read = |d| Entry::from_document("_migrations", &d);
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
        let error = Entry::from_document("_migrations", &later).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        for part in ["_migrations", "0001_a", "form 3", "form 2", "nothing was changed"] {
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
        let entry = Entry::from_document("_migrations", &document).unwrap();
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

    #[test]
    fn counts_survive_the_ledger() {
        let mut counts = StepCounts::new("seed", "sections");
        (counts.inserted, counts.updated, counts.deleted, counts.left) = (1, 2, 3, 4);
        assert_eq!(StepCounts::from_document(&counts.to_document()), counts);
        assert_eq!(
            counts.to_string(),
            "seed (sections): 1 inserted, 2 changed, 3 deleted, 4 left as they are"
        );
        assert_eq!(StepCounts::new("a", "b").to_string(), "a (b): nothing to do");
    }
}
