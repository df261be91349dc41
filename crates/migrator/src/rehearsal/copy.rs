use bson::Document;
use bson::oid::ObjectId;
use docstore::{CollectionOptions, Database, Field, Filter, Find, Sort};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::raw_batch::RawBatch;

/// A copied collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopiedCollection {
    /// The name.
    pub collection: String,
    /// The number of documents copied.
    pub documents: u64,
    /// The number of documents in the original.
    #[serde(rename = "of")]
    pub total: u64,
    /// The bytes copied.
    pub bytes: u64,
}

/// Copies a collection with its indexes, validator and options, and up to `limit` of its documents, sampled evenly. The
/// source is only read.
pub(super) async fn copy(
    from: &Database,
    to: &Database,
    name: &str,
    limit: Option<u64>,
) -> Result<CopiedCollection> {
    let shape = from.collection_options(name).await?;
    to.create_collection(name, &shape).await?;
    let mut copied = CopiedCollection { collection: name.to_owned(), documents: 0, total: 0, bytes: 0 };
    if shape.is_view() {
        return Ok(copied);
    }
    let every = match limit {
        Some(limit) => from.collection(name).count(&Filter::All).await?.div_ceil(limit.max(1)).max(1),
        None => 1,
    };
    let all = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    let mut documents = from.collection(name).find(all).await?;
    let mut batch = RawBatch::default();
    while let Some(document) = documents.next_raw().await? {
        copied.total += 1;
        if !(copied.total - 1).is_multiple_of(every) || limit.is_some_and(|limit| copied.documents >= limit) {
            continue;
        }
        copied.documents += 1;
        copied.bytes += document.as_bytes().len() as u64;
        batch.push(document);
        if batch.is_full() {
            to.insert_raw(name, batch.take()).await?;
        }
    }
    to.insert_raw(name, batch.take()).await?;
    to.complete_collection(name, &shape).await?;
    Ok(copied)
}

/// Creates a collection with these documents. A document without an id gets a deterministic one.
pub(super) async fn fill(to: &Database, name: &str, mut documents: Vec<Document>) -> Result<()> {
    for (nth, document) in documents.iter_mut().enumerate() {
        if !document.contains_key("_id") {
            let sum = Sha256::digest(format!("{name} {nth}"));
            let id = sum[..12].try_into().expect("a SHA-256 has 32 bytes");
            document.insert("_id", ObjectId::from_bytes(id));
        }
    }
    to.create_collection(name, &CollectionOptions::default()).await?;
    to.collection(name).insert_many(documents).await?;
    Ok(())
}
