use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document};

use crate::entry::id_of;
use crate::{Error, Result};

/// The record of one name in the ledger of `pymongo_migrate`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PymongoRecord {
    /// The `_id` of its document, or of the first one if there are several.
    pub(crate) id: Bson,
    /// The time it was applied; `None` if it was rolled back.
    pub(crate) applied: Option<DateTime>,
}

/// Reads documents of the form `{_id, name, applied}`. The collection has no unique index on the name, so several
/// documents can have the same one; the earliest time counts.
///
/// # Errors
/// [`Error::Malformed`] for a document of another form; [`Error::ImportContradiction`] if some documents of a name say
/// that it is applied and others that it is not.
pub(crate) fn read(collection: &str, documents: &[Document]) -> Result<BTreeMap<String, PymongoRecord>> {
    let malformed = |document: &Document, what: &str| Error::Malformed {
        collection: collection.into(),
        what: format!("the document {} {what}", id_of(document)),
    };
    let mut found: BTreeMap<String, PymongoRecord> = BTreeMap::new();
    let mut mixed = Vec::new();
    for document in documents {
        let name = document.get_str("name").map_err(|_| malformed(document, "has no string `name`"))?;
        let applied = match document.get("applied") {
            Some(Bson::DateTime(at)) => Some(*at),
            Some(Bson::Null) => None,
            _ => return Err(malformed(document, "has an `applied` that is neither a date nor null")),
        };
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        match found.get_mut(name) {
            None => {
                found.insert(name.to_owned(), PymongoRecord { id, applied });
            }
            Some(other) if other.applied.is_some() != applied.is_some() => {
                if !mixed.iter().any(|known| known == name) {
                    mixed.push(name.to_owned());
                }
            }
            Some(other) => other.applied = other.applied.min(applied),
        }
    }
    if mixed.is_empty() {
        Ok(found)
    } else {
        Err(Error::ImportContradiction { collection: collection.into(), names: mixed })
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn at(ms: i64) -> DateTime {
        DateTime::from_millis(ms)
    }

    #[test]
    fn equal_duplicates_are_merged() {
        let found = read(
            "old",
            &[
                doc! { "_id": 1, "name": "0001_a", "applied": at(20) },
                doc! { "_id": 2, "name": "0001_a", "applied": at(10) },
                doc! { "_id": 3, "name": "0002_b", "applied": null },
                doc! { "_id": 4, "name": "0002_b", "applied": null },
            ],
        )
        .unwrap();
        assert_eq!(found["0001_a"], PymongoRecord { id: 1.into(), applied: Some(at(10)) });
        assert_eq!(found["0002_b"].applied, None);
    }

    #[test]
    fn contradicting_duplicates_are_listed() {
        let error = read(
            "old",
            &[
                doc! { "_id": 1, "name": "0001_a", "applied": at(20) },
                doc! { "_id": 2, "name": "0001_a", "applied": null },
                doc! { "_id": 3, "name": "0001_a", "applied": null },
            ],
        )
        .unwrap_err();
        assert!(
            matches!(&error, Error::ImportContradiction { names, .. } if names == &["0001_a"]),
            "{error}"
        );
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn malformed_documents_are_named() {
        for bad in [
            doc! { "_id": 77, "applied": at(1) },
            doc! { "_id": 77, "name": 1, "applied": at(1) },
            doc! { "_id": 77, "name": "0001_a" },
            doc! { "_id": 77, "name": "0001_a", "applied": "yesterday" },
        ] {
            let error = read("old", &[bad]).unwrap_err().to_string();
            assert!(error.contains("old") && error.contains("77"), "{error}");
        }
    }
}
