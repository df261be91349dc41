use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf};
use futures_util::stream::StreamExt;
use serde::de::DeserializeOwned;

use crate::engine::{Executor, Operation, Output, RawStream, Reach};
use crate::{Error, Filter, Find, FindAndUpdate, Result, Update, UpdateResult, Write, WriteResult};

/// A handle to a collection, of a database or within a transaction. Cheap to clone.
#[derive(Clone)]
pub struct Collection {
    executor: Arc<dyn Executor>,
    name: Arc<str>,
}

impl Collection {
    pub(crate) fn new(executor: Arc<dyn Executor>, name: &str) -> Self {
        Self { executor, name: name.into() }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn execute<T: From<Output>>(&self, operation: Operation) -> Result<T> {
        self.executor.execute(&self.name, operation).await.map(T::from)
    }

    async fn update(&self, filter: &Filter, update: &Update, reach: Reach) -> Result<UpdateResult> {
        self.execute(Operation::Update { filter: filter.clone(), update: update.clone(), reach }).await
    }

    /// Streams the documents of a read.
    pub async fn find(&self, find: Find) -> Result<Cursor> {
        let stream = self.execute(Operation::Find(find)).await?;
        Ok(Cursor { stream, collection: Arc::clone(&self.name) })
    }

    /// Returns the first document of a read.
    pub async fn find_one(&self, find: Find) -> Result<Option<Document>> {
        let mut cursor = self.find(find.limit(1)).await?;
        cursor.next_document().await
    }

    /// As [`Collection::find_one`], not decoded.
    pub async fn find_one_raw(&self, find: Find) -> Result<Option<RawDocumentBuf>> {
        self.find(find.limit(1)).await?.next_raw().await
    }

    /// Counts matches.
    pub async fn count(&self, filter: &Filter) -> Result<u64> {
        self.execute(Operation::Count(filter.clone())).await
    }

    /// Inserts a document and returns its id; a document without `_id` gets an object id.
    pub async fn insert_one(&self, mut document: Document) -> Result<Bson> {
        let id = give_id(&mut document);
        match self.execute::<()>(Operation::Insert(vec![document])).await {
            Ok(()) => Ok(id),
            Err(Error::Batch { source, .. }) => Err(*source),
            Err(other) => Err(other),
        }
    }

    /// Inserts documents in order and returns their ids; those without `_id` get object ids.
    ///
    /// # Errors
    /// [`Error::Batch`] at the first that cannot be inserted: those before it stay.
    pub async fn insert_many(&self, mut documents: Vec<Document>) -> Result<Vec<Bson>> {
        let ids = documents.iter_mut().map(give_id).collect();
        if !documents.is_empty() {
            self.execute::<()>(Operation::Insert(documents)).await?;
        }
        Ok(ids)
    }

    /// Updates the first match.
    pub async fn update_one(&self, filter: &Filter, update: &Update) -> Result<UpdateResult> {
        self.update(filter, update, Reach::One).await
    }

    /// Updates the first match, or inserts a document built from the filter's equalities and the update.
    pub async fn upsert_one(&self, filter: &Filter, update: &Update) -> Result<UpdateResult> {
        self.update(filter, update, Reach::OneOrInsert).await
    }

    /// Updates every match. Outside a transaction a failure midway leaves the earlier ones updated.
    pub async fn update_many(&self, filter: &Filter, update: &Update) -> Result<UpdateResult> {
        self.update(filter, update, Reach::Many).await
    }

    /// Updates the first match and returns it.
    pub async fn find_one_and_update(&self, find: FindAndUpdate) -> Result<Option<Document>> {
        let found = self.find_one_and_update_raw(find).await?;
        found.map(|raw| self.decode(&raw)).transpose()
    }

    /// As [`Collection::find_one_and_update`], not decoded.
    pub async fn find_one_and_update_raw(&self, find: FindAndUpdate) -> Result<Option<RawDocumentBuf>> {
        self.execute(Operation::FindAndUpdate(find)).await
    }

    /// Deletes the first match; returns the number of deleted documents.
    pub async fn delete_one(&self, filter: &Filter) -> Result<u64> {
        self.execute(Operation::Delete { filter: filter.clone(), many: false }).await
    }

    /// Deletes every match; returns the number of deleted documents.
    pub async fn delete_many(&self, filter: &Filter) -> Result<u64> {
        self.execute(Operation::Delete { filter: filter.clone(), many: true }).await
    }

    /// Executes writes in order.
    ///
    /// # Errors
    /// [`Error::Batch`] at the first that fails: those before it stay done.
    pub async fn bulk_write(&self, mut writes: Vec<Write>) -> Result<WriteResult> {
        for write in &mut writes {
            if let Write::Insert(document) = write {
                give_id(document);
            }
        }
        if writes.is_empty() {
            return Ok(WriteResult::default());
        }
        self.execute(Operation::Bulk(writes)).await
    }

    fn decode(&self, raw: &RawDocumentBuf) -> Result<Document> {
        decode(&self.name, raw)
    }
}

fn give_id(document: &mut Document) -> Bson {
    if let Some(id) = document.get("_id") {
        return id.clone();
    }
    let id = Bson::ObjectId(ObjectId::new());
    // The id goes first, as with the driver, where readers of raw documents expect it.
    let rest = std::mem::take(document);
    document.insert("_id", id.clone());
    document.extend(rest);
    id
}

fn decode<T: DeserializeOwned>(collection: &str, raw: &RawDocumentBuf) -> Result<T> {
    bson::deserialize_from_slice(raw.as_bytes())
        .map_err(|source| Error::Decode { collection: collection.to_owned(), source: Box::new(source) })
}

/// A stream of the documents of a read.
pub struct Cursor {
    stream: RawStream,
    collection: Arc<str>,
}

impl Cursor {
    /// Returns the next document, not decoded; `None` at the end.
    pub async fn next_raw(&mut self) -> Result<Option<RawDocumentBuf>> {
        self.stream.next().await.transpose()
    }

    /// Returns the next document; `None` at the end.
    pub async fn next_document(&mut self) -> Result<Option<Document>> {
        let raw = self.next_raw().await?;
        raw.map(|raw| decode(&self.collection, &raw)).transpose()
    }

    /// Returns the remaining documents, not decoded.
    pub async fn raw_documents(mut self) -> Result<Vec<RawDocumentBuf>> {
        let mut documents = Vec::new();
        while let Some(document) = self.next_raw().await? {
            documents.push(document);
        }
        Ok(documents)
    }

    /// Returns the remaining documents.
    pub async fn documents(mut self) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        while let Some(document) = self.next_document().await? {
            documents.push(document);
        }
        Ok(documents)
    }

    /// Returns the remaining documents as rows.
    ///
    /// # Errors
    /// [`Error::Decode`] for a document that is not such a row.
    pub async fn rows<T: DeserializeOwned>(mut self) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        while let Some(raw) = self.next_raw().await? {
            rows.push(decode(&self.collection, &raw)?);
        }
        Ok(rows)
    }
}
