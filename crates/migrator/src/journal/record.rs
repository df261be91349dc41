use bson::{Bson, Document, doc};

use super::key;

/// What one batch is about to change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// Fields of documents.
    Fields { ids: Vec<Bson>, changes: Vec<Change> },
    /// Documents that come, with their prints.
    Inserted { ids: Vec<Bson>, prints: Vec<i64> },
    /// Documents that go.
    Deleted { documents: Vec<Document> },
    /// An index that comes.
    IndexMade { index: Document },
    /// An index that goes.
    IndexDropped { index: Document },
}

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) after: After,
    /// What each had.
    pub(crate) before: Sparse,
}

/// What documents get.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum After {
    /// All the same.
    Value(Bson),
    /// None has it any more.
    Nothing,
    /// Each its own.
    Each(Sparse),
}

/// Values for some of a list's documents, by position; the others have none. Positions grow.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sparse {
    at: Vec<i32>,
    values: Vec<Bson>,
}

impl Sparse {
    /// Gives the document at a position, beyond those given so far, a value.
    pub(crate) fn put(&mut self, at: usize, value: Bson) {
        self.at.push(i32::try_from(at).unwrap_or(i32::MAX));
        self.values.push(value);
    }

    /// The value of the document at a position.
    pub(crate) fn get(&self, at: usize) -> Option<&Bson> {
        let at = i32::try_from(at).ok()?;
        self.values.get(self.at.binary_search(&at).ok()?)
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
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

impl Change {
    /// What the document at a position has after the change.
    pub(crate) fn after(&self, at: usize) -> Option<&Bson> {
        match &self.after {
            After::Value(value) => Some(value),
            After::Nothing => None,
            After::Each(values) => values.get(at),
        }
    }

    fn to_bson(&self) -> Bson {
        let mut change = doc! { "field": &self.field };
        match &self.after {
            After::Value(value) => change.insert("set", value.clone()),
            After::Nothing => change.insert("unset", true),
            After::Each(values) => change.insert("after", values.to_bson()),
        };
        if !self.before.is_empty() {
            change.insert("before", self.before.to_bson());
        }
        change.into()
    }

    fn read(document: &Document) -> Option<Self> {
        let after = match (document.get("set"), document.get("unset")) {
            (Some(value), _) => After::Value(value.clone()),
            (None, Some(_)) => After::Nothing,
            (None, None) => After::Each(Sparse::read(document, "after")),
        };
        Some(Self {
            field: document.get_str("field").ok()?.to_owned(),
            after,
            before: Sparse::read(document, "before"),
        })
    }
}

impl Record {
    /// The entry.
    pub(crate) fn to_document(&self, migration: &str, n: i64) -> Document {
        let mut entry = doc! { "_id": key(migration, n) };
        let more = match self {
            Self::Fields { ids, changes } => {
                let changes: Vec<Bson> = changes.iter().map(Change::to_bson).collect();
                doc! { "kind": "fields", "ids": ids.clone(), "changes": changes }
            }
            Self::Inserted { ids, prints } => {
                doc! { "kind": "insert", "ids": ids.clone(), "prints": prints.clone() }
            }
            Self::Deleted { documents } => doc! { "kind": "delete", "documents": documents.clone() },
            Self::IndexMade { index } => doc! { "kind": "index_made", "index": index.clone() },
            Self::IndexDropped { index } => doc! { "kind": "index_dropped", "index": index.clone() },
        };
        entry.extend(more);
        entry
    }

    /// Returns why [`Record::read`] cannot read an entry.
    pub(crate) fn unreadable(entry: &Document) -> &'static str {
        match entry.get_str("kind") {
            Ok("validator_set") => {
                "it set a validator, which this version does not restore; set it by hand with `collMod`"
            }
            _ => "it cannot be read",
        }
    }

    /// From an entry; `None` if it cannot be read.
    pub(crate) fn read(entry: &Document) -> Option<Self> {
        let ids = || entry.get_array("ids").ok().cloned();
        Some(match entry.get_str("kind").ok()? {
            "fields" => {
                let changes = entry.get_array("changes").ok()?.iter();
                let changes =
                    changes.map(|c| c.as_document().and_then(Change::read)).collect::<Option<_>>()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_journal() {
        let mut sparse = Sparse::default();
        sparse.put(1, "b".into());
        sparse.put(3, Bson::Null);
        let change = |after| Change { field: "x".into(), after, before: sparse.clone() };
        let ids: Vec<Bson> = vec![1.into(), "t".into()];
        let records = [
            Record::Fields {
                ids: ids.clone(),
                changes: vec![
                    change(After::Value(1.into())),
                    change(After::Nothing),
                    change(After::Each(sparse.clone())),
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
