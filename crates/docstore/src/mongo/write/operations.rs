use bson::{Document, RawDocumentBuf};
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::ReturnDocument;

use crate::engine::{Operation, Output, Reach};
use crate::mongo::core::{Core, Session, encoded};
use crate::mongo::error::MAX_DOCUMENT;
use crate::mongo::translate;
use crate::{Error, Filter, Result, Update, UpdateResult};

pub(crate) const READING: &str = "reading documents";
const INSERTING: &str = "inserting documents";
pub(crate) const UPDATING: &str = "updating documents";
pub(crate) const DELETING: &str = "deleting documents";

impl Core {
    /// Executes an operation, in the session of a transaction if there is one.
    pub(crate) async fn execute(
        &self,
        collection: &str,
        operation: Operation,
        session: Session<'_>,
    ) -> Result<Output> {
        Ok(match (operation, session) {
            (Operation::Find(find), session) => {
                Output::Documents(self.find(collection, &find, session).await?)
            }
            (Operation::Count(filter), session) => {
                Output::Count(self.count(collection, &filter, session).await?)
            }
            (Operation::Insert(documents), session) => {
                Output::Done(self.insert(collection, &documents, session).await?)
            }
            (Operation::Update { filter, update, reach }, session) => {
                Output::Updated(self.update(collection, &filter, &update, reach, session).await?)
            }
            (Operation::FindAndUpdate { filter, update, upsert }, session) => Output::Document(
                self.find_one_and_update(collection, &filter, &update, upsert, session).await?,
            ),
            (Operation::Delete { filter, many }, session) => {
                Output::Count(self.delete(collection, &filter, many, session).await?)
            }
            (Operation::Bulk(writes), session) => {
                Output::Updated(self.bulk_write(collection, &writes, session).await?)
            }
            (Operation::InsertRaw(documents), None) => {
                Output::Done(self.insert_raw(collection, &documents).await?)
            }
            (Operation::RenameTo(name), None) => {
                Output::Done(self.rename_collection(collection, &name).await?)
            }
            (Operation::Drop, None) => Output::Done(self.drop_collection(collection).await?),
            (Operation::InsertRaw(_) | Operation::RenameTo(_) | Operation::Drop, Some(_)) => {
                return Err(Error::Unsupported("this operation takes no part in transactions".into()));
            }
        })
    }

    /// Inserts in order; [`Error::Batch`] at the first that fails.
    pub(crate) async fn insert(
        &self,
        name: &str,
        documents: &[Document],
        session: Session<'_>,
    ) -> Result<()> {
        let mut raw = Vec::with_capacity(documents.len());
        let mut too_large = None;
        for (at, document) in documents.iter().enumerate() {
            let encoded = encoded(document)?;
            let bytes = encoded.as_bytes().len();
            if bytes > MAX_DOCUMENT {
                too_large = Some((at, bytes));
                break;
            }
            raw.push(encoded);
        }
        if !raw.is_empty() {
            let _turn = self.turn(session.is_some()).await?;
            let collection = self.raw(name);
            let mut action = collection.insert_many(&raw).ordered(true);
            if let Some(session) = session {
                action = action.session(session);
            }
            if let Err(error) = action.await {
                let at = failed_at(&error);
                let source = self.error(INSERTING, name, &error).await;
                return Err(in_batch(at, source));
            }
        }
        match too_large {
            None => Ok(()),
            Some((at, bytes)) => {
                Err(in_batch(Some(at), Error::TooLarge { collection: name.to_owned(), bytes }))
            }
        }
    }

    pub(crate) async fn update(
        &self,
        name: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
        session: Session<'_>,
    ) -> Result<UpdateResult> {
        let _turn = self.turn(session.is_some()).await?;
        let collection = self.raw(name);
        let mut action = match reach {
            Reach::One => collection.update_one(translate::filter(filter), translate::update(update)),
            Reach::OneOrInsert => collection
                .update_one(translate::filter_to_upsert(filter), translate::upsert(filter, update))
                .upsert(true),
            Reach::Many => collection.update_many(translate::filter(filter), translate::update(update)),
        };
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(done) => Ok(UpdateResult {
                matched: done.matched_count,
                modified: done.modified_count,
                upserted_id: done.upserted_id,
            }),
            Err(error) => Err(self.error(UPDATING, name, &error).await),
        }
    }

    pub(crate) async fn find_one_and_update(
        &self,
        name: &str,
        filter: &Filter,
        update: &Update,
        upsert: bool,
        session: Session<'_>,
    ) -> Result<Option<RawDocumentBuf>> {
        let _turn = self.turn(session.is_some()).await?;
        let collection = self.raw(name);
        let (query, update) = if upsert {
            (translate::filter_to_upsert(filter), translate::upsert(filter, update))
        } else {
            (translate::filter(filter), translate::update(update))
        };
        let mut action = collection
            .find_one_and_update(query, update)
            .upsert(upsert)
            .return_document(ReturnDocument::After);
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(found) => Ok(found),
            Err(error) => Err(self.error(UPDATING, name, &error).await),
        }
    }

    pub(crate) async fn delete(
        &self,
        name: &str,
        filter: &Filter,
        many: bool,
        session: Session<'_>,
    ) -> Result<u64> {
        let _turn = self.turn(session.is_some()).await?;
        let collection = self.raw(name);
        let query = translate::filter(filter);
        let mut action = if many { collection.delete_many(query) } else { collection.delete_one(query) };
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(done) => Ok(done.deleted_count),
            Err(error) => Err(self.error(DELETING, name, &error).await),
        }
    }
}

/// The position of the document that an insert failed at; `None` if it did not fail at a document.
fn failed_at(error: &DriverError) -> Option<usize> {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(failure) => failure.write_errors.as_ref()?.first().map(|first| first.index),
        _ => None,
    }
}

/// An error without a position stays as it is: how many writes are done is not known.
pub(crate) fn in_batch(at: Option<usize>, source: Error) -> Error {
    match at {
        Some(at) => Error::Batch { at, source: Box::new(source) },
        None => source,
    }
}
