use bson::Document;
use bson::oid::ObjectId;
use docstore::{CollectionOptions, Database, Field, Filter, Find, Sort};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Result;

/// Documents and bytes of one batch at the most.
const BATCH: (usize, usize) = (500, 1024 * 1024);

/// A collection that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CopiedCollection {
    /// Its name.
    pub collection: String,
    /// The documents of the copy.
    pub documents: u64,
    /// The documents that there are.
    pub of: u64,
    /// The bytes of the copy's documents.
    pub bytes: u64,
}

/// Copies a collection with its indexes, validator and options; of its documents at most so many, taken from all of it
/// at equal distances. The source is only read.
pub(super) async fn copy(
    from: &Database,
    to: &Database,
    name: &str,
    most: Option<u64>,
) -> Result<CopiedCollection> {
    let shape = from.collection_options(name).await?;
    to.create_collection(name, &shape).await?;
    let mut copied = CopiedCollection { collection: name.to_owned(), documents: 0, of: 0, bytes: 0 };
    if shape.is_view() {
        return Ok(copied);
    }
    let every = match most {
        Some(most) => from.collection(name).count(&Filter::All).await?.div_ceil(most.max(1)).max(1),
        None => 1,
    };
    let all = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    let mut documents = from.collection(name).find(all).await?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(document) = documents.next_raw().await? {
        copied.of += 1;
        if !(copied.of - 1).is_multiple_of(every) || most.is_some_and(|most| copied.documents >= most) {
            continue;
        }
        let size = document.as_bytes().len();
        bytes += size;
        copied.documents += 1;
        copied.bytes += size as u64;
        batch.push(document);
        if batch.len() >= BATCH.0 || bytes >= BATCH.1 {
            bytes = 0;
            to.insert_raw(name, std::mem::take(&mut batch)).await?;
        }
    }
    to.insert_raw(name, batch).await?;
    to.complete_collection(name, &shape).await?;
    Ok(copied)
}

/// Makes a collection of these documents. One without an id gets the same each time.
pub(super) async fn fill(to: &Database, name: &str, mut documents: Vec<Document>) -> Result<()> {
    for (nth, document) in documents.iter_mut().enumerate() {
        if !document.contains_key("_id") {
            let sum: [u8; 32] = Sha256::digest(format!("{name} {nth}")).into();
            let mut id = [0; 12];
            id.copy_from_slice(&sum[..12]);
            document.insert("_id", ObjectId::from_bytes(id));
        }
    }
    to.create_collection(name, &CollectionOptions::new(Vec::new(), None)).await?;
    to.collection(name).insert_many(documents).await?;
    Ok(())
}
