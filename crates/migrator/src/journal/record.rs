use std::sync::atomic::{AtomicI64, Ordering};

use bson::{Bson, Document, doc};
use docstore::Store;

use super::{JOURNAL, content_hash, key};
use crate::run::{RunSession, Scope};
use crate::{Error, Result};

/// The changes of one batch, written before they are made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// Changed fields of documents.
    Fields { ids: Vec<Bson>, changes: Vec<FieldChange> },
    /// Inserted documents, with their content hashes.
    Inserted { ids: Vec<Bson>, prints: Vec<i64> },
    /// Deleted documents.
    Deleted { documents: Vec<Document> },
    /// A created index.
    IndexMade { index: Document },
    /// A dropped index.
    IndexDropped { index: Document },
}

/// The change of one field in the documents of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldChange {
    pub(crate) field: String,
    pub(crate) after: NewValue,
    pub(crate) before: SparseValues,
}

/// The value of a changed field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NewValue {
    /// The same value in all documents.
    Set(Bson),
    /// Removed from all documents.
    Unset,
    /// A value of its own in each document.
    Each(SparseValues),
}

/// Values of some documents of a list, by ascending position.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SparseValues {
    at: Vec<i32>,
    values: Vec<Bson>,
}

impl SparseValues {
    /// Adds the value of the document at a position after all earlier ones.
    pub(crate) fn push(&mut self, at: usize, value: Bson) {
        self.at.push(i32::try_from(at).expect("a batch has fewer than 2^31 documents"));
        self.values.push(value);
    }

    /// Returns the value of the document at a position.
    pub(crate) fn get(&self, at: usize) -> Option<&Bson> {
        let at = i32::try_from(at).ok()?;
        self.values.get(self.at.binary_search(&at).ok()?)
    }

    fn to_bson(&self) -> Bson {
        doc! { "at": self.at.clone(), "values": self.values.clone() }.into()
    }

    fn read(document: &Document, name: &str) -> Self {
        let Ok(sparse) = document.get_document(name) else { return Self::default() };
        let at = sparse.get_array("at").map(Vec::as_slice).unwrap_or_default();
        Self {
            at: at.iter().filter_map(Bson::as_i32).collect(),
            values: sparse.get_array("values").cloned().unwrap_or_default(),
        }
    }
}

impl FieldChange {
    /// Returns the value of the document at a position after the change.
    pub(crate) fn after(&self, at: usize) -> Option<&Bson> {
        match &self.after {
            NewValue::Set(value) => Some(value),
            NewValue::Unset => None,
            NewValue::Each(values) => values.get(at),
        }
    }

    fn to_bson(&self) -> Bson {
        let mut change = doc! { "field": &self.field };
        match &self.after {
            NewValue::Set(value) => change.insert("set", value.clone()),
            NewValue::Unset => change.insert("unset", true),
            NewValue::Each(values) => change.insert("after", values.to_bson()),
        };
        if !self.before.at.is_empty() {
            change.insert("before", self.before.to_bson());
        }
        change.into()
    }

    fn read(document: &Document) -> Option<Self> {
        let after = match (document.get("set"), document.get("unset")) {
            (Some(value), _) => NewValue::Set(value.clone()),
            (None, Some(_)) => NewValue::Unset,
            (None, None) => NewValue::Each(SparseValues::read(document, "after")),
        };
        Some(Self {
            field: document.get_str("field").ok()?.to_owned(),
            after,
            before: SparseValues::read(document, "before"),
        })
    }
}

impl Record {
    /// Returns the record of documents that are about to be inserted.
    pub(crate) fn inserted(documents: &[Document]) -> Result<Self> {
        let ids = documents.iter().filter_map(|document| document.get("_id").cloned()).collect();
        let prints = documents.iter().map(content_hash).collect::<Result<_>>()?;
        Ok(Self::Inserted { ids, prints })
    }

    /// Returns the journal entry.
    pub(crate) fn to_document(&self, migration: &str, n: i64) -> Document {
        let mut entry = doc! { "_id": key(migration, n) };
        let fields = match self {
            Self::Fields { ids, changes } => {
                let changes: Vec<Bson> = changes.iter().map(FieldChange::to_bson).collect();
                doc! { "kind": "fields", "ids": ids.clone(), "changes": changes }
            }
            Self::Inserted { ids, prints } => {
                doc! { "kind": "insert", "ids": ids.clone(), "prints": prints.clone() }
            }
            Self::Deleted { documents } => doc! { "kind": "delete", "documents": documents.clone() },
            Self::IndexMade { index } => doc! { "kind": "index_made", "index": index.clone() },
            Self::IndexDropped { index } => doc! { "kind": "index_dropped", "index": index.clone() },
        };
        entry.extend(fields);
        entry
    }

    /// Parses a journal entry; `None` if it is not one that this program writes.
    pub(crate) fn read(entry: &Document) -> Option<Self> {
        let ids = || entry.get_array("ids").ok().cloned();
        Some(match entry.get_str("kind").ok()? {
            "fields" => {
                let changes = entry.get_array("changes").ok()?.iter();
                let changes =
                    changes.map(|c| c.as_document().and_then(FieldChange::read)).collect::<Option<_>>()?;
                Self::Fields { ids: ids()?, changes }
            }
            "insert" => {
                let prints =
                    entry.get_array("prints").ok()?.iter().map(Bson::as_i64).collect::<Option<_>>()?;
                Self::Inserted { ids: ids()?, prints }
            }
            "delete" => {
                let documents = entry.get_array("documents").ok()?.iter();
                Self::Deleted {
                    documents: documents.map(|d| d.as_document().cloned()).collect::<Option<_>>()?,
                }
            }
            "index_made" => Self::IndexMade { index: entry.get_document("index").ok()?.clone() },
            "index_dropped" => Self::IndexDropped { index: entry.get_document("index").ok()?.clone() },
            _ => return None,
        })
    }
}

/// Writes the journal of one attempt at a migration.
#[derive(Debug, Default)]
pub(crate) struct JournalWriter {
    /// The number of the last entry. A retried batch takes a new number, since the entry of its first try may exist.
    n: AtomicI64,
    /// The size of all entries.
    bytes: AtomicI64,
}

impl JournalWriter {
    /// Continues after the last entry of an earlier attempt: its number, and the size of all entries.
    pub(crate) fn after((n, bytes): (i64, i64)) -> Self {
        Self { n: n.into(), bytes: bytes.into() }
    }

    /// Adds the size of an entry whose batch was committed.
    pub(crate) fn written(&self, bytes: i64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Writes an entry. Returns its size, to be passed to [`JournalWriter::written`] once the batch is committed.
    ///
    /// # Errors
    /// [`Error::JournalFull`] if the journal would exceed its limit; nothing of the batch is written.
    pub(crate) async fn write(
        &self,
        session: &RunSession<'_>,
        scope: &Scope,
        (migration, step, collection): (&str, &str, &str),
        record: &Record,
    ) -> Result<i64> {
        let n = self.n.fetch_add(1, Ordering::SeqCst) + 1;
        let mut entry = record.to_document(migration, n);
        entry.insert("step", step);
        entry.insert("collection", collection);
        entry.insert("run_id", session.runner.run_id.as_str());
        let size = bson::serialize_to_raw_document_buf(&entry)
            .map_err(|_| Error::migration(format!("failed to encode the journal entry of step {step:?}")))?;
        let size = i64::try_from(size.as_bytes().len()).unwrap_or(i64::MAX);
        let total = self.bytes.load(Ordering::SeqCst).saturating_add(size);
        let cap = session.settings.journal_cap_bytes;
        if u64::try_from(total).unwrap_or(0) > cap {
            return Err(Error::JournalFull { id: migration.into(), cap });
        }
        entry.insert("total", total);
        scope.collection(JOURNAL).insert_one(entry).await?;
        session.boundary(migration, scope).await?;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_through_documents() {
        let mut sparse = SparseValues::default();
        sparse.push(1, "b".into());
        sparse.push(3, Bson::Null);
        let change = |after| FieldChange { field: "x".into(), after, before: sparse.clone() };
        let ids: Vec<Bson> = vec![1.into(), "t".into()];
        let records = [
            Record::Fields {
                ids: ids.clone(),
                changes: vec![
                    change(NewValue::Set(1.into())),
                    change(NewValue::Unset),
                    change(NewValue::Each(sparse.clone())),
                ],
            },
            Record::Inserted { ids, prints: vec![1, -2] },
            Record::Deleted { documents: vec![doc! { "_id": 1 }] },
            Record::IndexMade { index: doc! { "name": "x_1" } },
            Record::IndexDropped { index: doc! { "name": "x_1" } },
        ];
        for record in records {
            assert_eq!(Record::read(&record.to_document("0001_a", 7)), Some(record));
        }
        assert_eq!(
            (sparse.get(0), sparse.get(1), sparse.get(3)),
            (None, Some(&"b".into()), Some(&Bson::Null))
        );
        assert_eq!(Record::read(&doc! { "_id": 1, "kind": "odd" }), None);
    }
}
