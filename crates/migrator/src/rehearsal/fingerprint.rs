use std::collections::{BTreeMap, BTreeSet};

use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Database, Field, Filter, Find, Sort};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ledger::is_own;
use crate::{Error, Result};

/// So many documents are named of one collection.
const NAMED: usize = 5;

/// The object ids that documents had before anything was tried. All others were made up by a run.
#[derive(Debug, Clone, Default)]
pub struct KnownIds(BTreeSet<ObjectId>);

impl KnownIds {
    /// Those of a database.
    pub async fn read(db: &Database) -> Result<Self> {
        let mut known = BTreeSet::new();
        for (_, documents) in content(db).await? {
            known.extend(documents.iter().filter_map(|document| document.get_object_id("_id").ok()));
        }
        Ok(Self(known))
    }
}

/// What is in a database, as far as two runs of the same have to agree on it: documents, indexes and validators of all
/// collections but the engine's own.
///
/// Object ids that a run made up are replaced by what they stand for, also where other documents name them. The order of
/// fields in a document does not count, nor does a collection without documents, indexes and validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, Content>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    shape: Vec<String>,
    /// Sums by how the document is called; several may be called alike.
    documents: BTreeMap<String, Vec<[u8; 32]>>,
}

/// In what two fingerprints differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The collection.
    pub collection: String,
    /// What is different in it. Names documents by their ids and shows nothing of their content.
    pub what: String,
}

impl Fingerprint {
    /// That of a database. The documents are all held in memory: it is meant for what is tried on.
    pub async fn read(db: &Database, known: &KnownIds) -> Result<Self> {
        let all = content(db).await?;
        let names = GeneratedIds::in_content(&all, known)?;
        let mut fingerprint = BTreeMap::new();
        for (name, documents) in all {
            let shape = db.collection_options(&name).await?;
            let mut content = Content {
                shape: shape.indexes.iter().map(|index| format!("index {index}")).collect(),
                ..Content::default()
            };
            content.shape.extend(shape.validator().iter().map(|validator| format!("validator {validator}")));
            content.shape.sort_unstable();
            for document in documents {
                let document = names.put_into(&document);
                let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
                content.documents.entry(id).or_default().push(sum(&document)?);
            }
            content.documents.values_mut().for_each(|sums| sums.sort_unstable());
            if content != Content::default() {
                fingerprint.insert(name, content);
            }
        }
        Ok(Self(fingerprint))
    }

    /// In what another one differs from this one; nothing if they are equal.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let none = Content::default();
        let mut differences = Vec::new();
        for name in self.0.keys().chain(other.0.keys()).collect::<BTreeSet<_>>() {
            let (before, after) = (self.0.get(name).unwrap_or(&none), other.0.get(name).unwrap_or(&none));
            let mut tell = |what| differences.push(Difference { collection: name.clone(), what });
            for lost in before.shape.iter().filter(|one| !after.shape.contains(one)) {
                tell(format!("{lost} is missing"));
            }
            for new in after.shape.iter().filter(|one| !before.shape.contains(one)) {
                tell(format!("{new} is there and should not be"));
            }
            let ids = before.documents.keys().chain(after.documents.keys()).collect::<BTreeSet<_>>();
            let unlike: Vec<_> =
                ids.into_iter().filter(|id| before.documents.get(*id) != after.documents.get(*id)).collect();
            for id in unlike.iter().take(NAMED) {
                let count = |content: &Content| content.documents.get(*id).map_or(0, Vec::len);
                tell(match (count(before), count(after)) {
                    (_, 0) => format!("the document {id} is missing"),
                    (0, _) => format!("the document {id} is there and should not be"),
                    (1, 1) => format!("the document {id} is different"),
                    (was, is) => format!("there are {is} documents {id} instead of {was}"),
                });
            }
            if unlike.len() > NAMED {
                tell(format!("and {} more documents", unlike.len() - NAMED));
            }
        }
        differences
    }
}

/// The documents of all collections but the engine's own.
async fn content(db: &Database) -> Result<BTreeMap<String, Vec<Document>>> {
    let mut all = BTreeMap::new();
    for name in db.collection_names().await?.into_iter().filter(|name| !is_own(name)) {
        let read = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
        let documents = db.collection(&name).find(read).await?.documents().await?;
        all.insert(name, documents);
    }
    Ok(all)
}

/// What the object ids stand for that a run made up: the collection, and the content without such ids.
#[derive(Debug, Clone, Default)]
pub struct GeneratedIds(BTreeMap<ObjectId, String>);

impl GeneratedIds {
    /// Those of a database.
    pub async fn read(db: &Database, known: &KnownIds) -> Result<Self> {
        Self::in_content(&content(db).await?, known)
    }

    fn in_content(all: &BTreeMap<String, Vec<Document>>, known: &KnownIds) -> Result<Self> {
        let made =
            |document: &Document| document.get_object_id("_id").ok().filter(|id| !known.0.contains(id));
        let blank = Self(all.values().flatten().filter_map(made).map(|id| (id, "made".to_owned())).collect());
        let mut names = BTreeMap::new();
        for (collection, documents) in all {
            for document in documents {
                if let Some(id) = made(document) {
                    let [a, b, c, d, ..] = sum(&blank.put_into(document))?;
                    names.insert(id, format!("made in {collection}: {a:02x}{b:02x}{c:02x}{d:02x}"));
                }
            }
        }
        Ok(Self(names))
    }

    /// The document with names in the place of such ids, be they object ids or texts.
    #[must_use]
    pub fn put_into(&self, document: &Document) -> Document {
        document.iter().map(|(key, value)| (key.clone(), self.put_into_value(value))).collect()
    }

    fn put_into_value(&self, value: &Bson) -> Bson {
        let name = |id: Option<ObjectId>| id.and_then(|id| self.0.get(&id)).map(|name| name.clone().into());
        match value {
            Bson::ObjectId(id) => name(Some(*id)).unwrap_or_else(|| value.clone()),
            Bson::String(text) => name(ObjectId::parse_str(text).ok()).unwrap_or_else(|| value.clone()),
            Bson::Document(document) => self.put_into(document).into(),
            Bson::Array(values) => {
                Bson::Array(values.iter().map(|value| self.put_into_value(value)).collect())
            }
            other => other.clone(),
        }
    }
}

fn sum(document: &Document) -> Result<[u8; 32]> {
    let ordered: BTreeMap<&str, &Bson> = document.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let ordered: Document = ordered.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let bytes = bson::serialize_to_vec(&ordered).map_err(|error| Error::migration(error.to_string()))?;
    Ok(Sha256::digest(bytes).into())
}
