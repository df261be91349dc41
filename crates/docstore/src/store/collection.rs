use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf};
use futures_util::stream::StreamExt;

use crate::engine::{Executor, Operation, Output, RawStream, Reach};
use crate::{Error, Filter, Find, Result, Update, UpdateResult, Write};

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

    /// Updates the first match and returns the document after the update, not decoded.
    pub async fn find_one_and_update(
        &self,
        filter: Filter,
        update: Update,
    ) -> Result<Option<RawDocumentBuf>> {
        self.execute(Operation::FindAndUpdate { filter, update, upsert: false }).await
    }

    /// As [`Collection::find_one_and_update`], but inserts a document as [`Collection::upsert_one`] does if none matches.
    pub async fn find_one_and_upsert(&self, filter: Filter, update: Update) -> Result<RawDocumentBuf> {
        let found = self.execute::<Option<_>>(Operation::FindAndUpdate { filter, update, upsert: true });
        Ok(found.await?.expect("an upsert returns the document"))
    }

    /// Deletes the first match; returns the number of deleted documents.
    pub async fn delete_one(&self, filter: &Filter) -> Result<u64> {
        self.execute(Operation::Delete { filter: filter.clone(), many: false }).await
    }

    /// Deletes every match; returns the number of deleted documents.
    pub async fn delete_many(&self, filter: &Filter) -> Result<u64> {
        self.execute(Operation::Delete { filter: filter.clone(), many: true }).await
    }

    /// Executes writes in order; returns the sum of the updates.
    ///
    /// # Errors
    /// [`Error::Batch`] at the first that fails: those before it stay done.
    pub async fn bulk_write(&self, mut writes: Vec<Write>) -> Result<UpdateResult> {
        for write in &mut writes {
            if let Write::Insert(document) = write {
                give_id(document);
            }
        }
        if writes.is_empty() {
            return Ok(UpdateResult::default());
        }
        self.execute(Operation::Bulk(writes)).await
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
        let Some(raw) = self.next_raw().await? else { return Ok(None) };
        bson::deserialize_from_slice(raw.as_bytes()).map(Some).map_err(|source| Error::Decode {
            collection: self.collection.to_string(),
            source: Box::new(source),
        })
    }

    /// Returns the remaining documents, not decoded.
    pub async fn raw_documents(mut self) -> Result<Vec<RawDocumentBuf>> {
        let mut documents = Vec::new();
        while let Some(document) = self.next_raw().await? {
            documents.push(document);
        }
        Ok(documents)
    }

    /// Returns the remaining documents that can be read, not decoded, and the errors of those that are damaged.
    pub async fn readable_documents(mut self) -> Result<(Vec<RawDocumentBuf>, Vec<Error>)> {
        let (mut documents, mut damaged) = (Vec::new(), Vec::new());
        while let Some(next) = self.stream.next().await {
            match next {
                Ok(document) => documents.push(document),
                Err(error @ Error::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok((documents, damaged))
    }

    /// Returns the remaining documents.
    pub async fn documents(mut self) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        while let Some(document) = self.next_document().await? {
            documents.push(document);
        }
        Ok(documents)
    }
}
