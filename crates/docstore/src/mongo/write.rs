//! Writes.

use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::action::{self, Action};
use mongodb::error::{CommandError, Error as DriverError, ErrorKind, TRANSIENT_TRANSACTION_ERROR};
use mongodb::options::ReturnDocument;

use crate::engine::Reach;
use crate::mongo::engine::{Core, Session, number};
use crate::mongo::error::{
    DELETING, INSERTING, MAX_DOCUMENT, ServerError, UPDATING, classify, failed, from_code, has_code, refused,
};
use crate::mongo::translate;
use crate::{Error, Filter, Result, Update, UpdateResult, Write};

const RESTORING: &str = "restoring documents";
const UNAUTHORIZED: i32 = 13;
/// Maximum number of documents or statements in one command.
const MAX_STATEMENTS: usize = 1000;
/// Maximum size of one command in bytes; the server accepts 48 MB.
const MAX_BYTES: usize = 8 * 1024 * 1024;

impl Core {
    /// Inserts in order; [`Error::Batch`] at the first that fails.
    pub(crate) async fn insert(
        &self,
        name: &str,
        documents: &[Document],
        session: Session<'_>,
    ) -> Result<()> {
        let mut raw = Vec::with_capacity(documents.len());
        let mut too_large = Ok(());
        for (at, document) in documents.iter().enumerate() {
            let encoded = encoded(document)?;
            let bytes = encoded.as_bytes().len();
            if bytes > MAX_DOCUMENT {
                let collection = name.to_owned();
                too_large = Err(in_batch(Some(at), Error::TooLarge { collection, bytes }));
                break;
            }
            raw.push(encoded);
        }
        if !raw.is_empty() {
            let _permit = self.permit(session.is_some()).await?;
            let collection = self.raw(name);
            let insert = collection.insert_many(&raw).ordered(true);
            let inserted = insert.optional(session, action::InsertMany::session).await;
            inserted.map_err(|error| in_batch(failed_at(&error), classify(INSERTING, name, &error)))?;
        }
        too_large
    }

    pub(crate) async fn update(
        &self,
        name: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
        session: Session<'_>,
    ) -> Result<UpdateResult> {
        let _permit = self.permit(session.is_some()).await?;
        let collection = self.raw(name);
        let update = match reach {
            Reach::One => collection.update_one(filter.to_mql(), update.to_mql()),
            Reach::OneOrInsert => collection
                .update_one(translate::filter_to_upsert(filter), translate::upsert(filter, update))
                .upsert(true),
            Reach::Many => collection.update_many(filter.to_mql(), update.to_mql()),
        };
        let update = update.collation(translate::simple_collation());
        let updated = update.optional(session, action::Update::session).await;
        let updated = updated.map_err(failed(UPDATING, name))?;
        Ok(UpdateResult {
            matched: updated.matched_count,
            modified: updated.modified_count,
            upserted_id: updated.upserted_id,
        })
    }

    pub(crate) async fn find_one_and_update(
        &self,
        name: &str,
        filter: &Filter,
        update: &Update,
        upsert: bool,
        session: Session<'_>,
    ) -> Result<Option<RawDocumentBuf>> {
        let _permit = self.permit(session.is_some()).await?;
        let collection = self.raw(name);
        let (query, update) = if upsert {
            (translate::filter_to_upsert(filter), translate::upsert(filter, update))
        } else {
            (filter.to_mql(), update.to_mql())
        };
        let update = collection.find_one_and_update(query, update).upsert(upsert);
        let update = update.return_document(ReturnDocument::After).collation(translate::simple_collation());
        let found = update.optional(session, action::FindOneAndUpdate::session).await;
        found.map_err(failed(UPDATING, name))
    }

    pub(crate) async fn delete(
        &self,
        name: &str,
        filter: &Filter,
        many: bool,
        session: Session<'_>,
    ) -> Result<u64> {
        let _permit = self.permit(session.is_some()).await?;
        let collection = self.raw(name);
        let query = filter.to_mql();
        let delete = if many { collection.delete_many(query) } else { collection.delete_one(query) };
        let delete = delete.collation(translate::simple_collation());
        let deleted = delete.optional(session, action::Delete::session).await;
        deleted.map(|deleted| deleted.deleted_count).map_err(failed(DELETING, name))
    }

    /// Executes writes in order; returns the sum of the updates. `Client::bulk_write` needs MongoDB 8.0; this is a command for
    /// each run of writes of one kind.
    pub(crate) async fn bulk_write(
        &self,
        name: &str,
        writes: &[Write],
        mut session: Session<'_>,
    ) -> Result<UpdateResult> {
        let mut total = UpdateResult::default();
        let mut start = 0;
        for run in writes.chunk_by(|a, b| kind(a) == kind(b)) {
            let session = session.as_deref_mut();
            if kind(&run[0]) == Kind::Insert {
                let document = |write: &Write| match write {
                    Write::Insert(document) => Some(document.clone()),
                    _ => None,
                };
                let documents: Vec<_> = run.iter().filter_map(document).collect();
                self.insert(name, &documents, session).await.map_err(|error| match error {
                    Error::Batch { at, source } => Error::Batch { at: start + at, source },
                    other => other,
                })?;
            } else {
                self.command_run(name, run, start, session, &mut total).await?;
            }
            start += run.len();
        }
        Ok(total)
    }

    /// Executes updates or deletes, in several commands if they are too large for one.
    async fn command_run(
        &self,
        name: &str,
        run: &[Write],
        mut start: usize,
        mut session: Session<'_>,
        total: &mut UpdateResult,
    ) -> Result<()> {
        let kind = kind(&run[0]);
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for write in run.iter().filter_map(statement) {
            let size = encoded(&write)?.as_bytes().len();
            if !chunk.is_empty() && (chunk.len() == MAX_STATEMENTS || bytes + size > MAX_BYTES) {
                let count = chunk.len();
                let full = std::mem::take(&mut chunk);
                self.command(name, kind, full, start, session.as_deref_mut(), total).await?;
                start += count;
                bytes = 0;
            }
            bytes += size;
            chunk.push(write);
        }
        self.command(name, kind, chunk, start, session, total).await
    }

    async fn command(
        &self,
        name: &str,
        kind: Kind,
        statements: Vec<Document>,
        start: usize,
        session: Session<'_>,
        total: &mut UpdateResult,
    ) -> Result<()> {
        let (command, what) = match kind {
            Kind::Delete => (doc! { "delete": name, "deletes": statements, "ordered": true }, DELETING),
            _ => (doc! { "update": name, "updates": statements, "ordered": true }, UPDATING),
        };
        let in_transaction = session.is_some();
        let _permit = self.permit(in_transaction).await?;
        let response = self.write_command(command, session).await.map_err(|error| {
            // A failed statement inside a transaction fails the whole command; the response still names it.
            let response = error.server_response().and_then(|raw| Document::try_from(raw.as_ref()).ok());
            let at = response.as_ref().and_then(first_write_error).map(|(at, _)| start + at);
            in_batch(at, classify(what, name, &error))
        })?;
        if let Some((at, coded)) = first_write_error(&response) {
            let transient = in_transaction && has_transient_label(&response);
            return Err(in_batch(Some(start + at), from_code(what, name, &coded, transient)));
        }
        if let Ok(unconfirmed) = response.get_document("writeConcernError") {
            let message = unconfirmed.get_str("errmsg").unwrap_or_default();
            return Err(Error::Unconfirmed(format!("{what}: not confirmed by a majority: {message}")));
        }
        if kind == Kind::Update {
            total.matched += number(&response, "n").unwrap_or(0);
            total.modified += number(&response, "nModified").unwrap_or(0);
        }
        Ok(())
    }

    pub(crate) async fn insert_raw(&self, collection: &str, documents: &[RawDocumentBuf]) -> Result<()> {
        let size = |document: &RawDocumentBuf| document.as_bytes().len();
        if let Some(bytes) = documents.iter().map(size).find(|bytes| *bytes > MAX_DOCUMENT) {
            return Err(Error::TooLarge { collection: collection.to_owned(), bytes });
        }
        let mut rest = documents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |document: &&RawDocumentBuf| {
                bytes += size(document);
                bytes <= MAX_BYTES
            };
            let count = rest.iter().take(MAX_STATEMENTS).take_while(fits).count().max(1);
            let (chunk, after) = rest.split_at(count);
            let raw = self.raw(collection);
            let insert = || raw.insert_many(chunk).ordered(true);
            match insert().bypass_document_validation(true).await {
                // Only a validator makes the bypass necessary, and `readWrite` does not include its privilege.
                Err(error) if has_code(&error, &[UNAUTHORIZED]) => {
                    insert().await.map_err(failed(RESTORING, collection)).map_err(|error| match error {
                        Error::InvalidDocument { .. } => Error::Unauthorized(format!(
                            "{RESTORING}: a document does not satisfy the validator of {collection}, and the user lacks the \
                             privilege bypassDocumentValidation on the database {}",
                            self.database.name()
                        )),
                        other => other,
                    })?;
                }
                inserted => _ = inserted.map_err(failed(RESTORING, collection))?,
            }
            rest = after;
        }
        Ok(())
    }

    pub(crate) async fn drop_collection(&self, collection: &str) -> Result<()> {
        self.raw(collection).drop().await.map_err(failed("dropping a collection", collection))
    }

    pub(crate) async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        let full = |name: &str| format!("{}.{name}", self.database.name());
        let mut command = doc! { "renameCollection": full(from), "to": full(to), "dropTarget": true };
        if let Some(concern) = &self.write_concern {
            let concern = bson::serialize_to_bson(concern).map_err(|e| Error::Invalid(e.to_string()))?;
            command.insert("writeConcern", concern);
        }
        let renamed = self.database.client().database("admin").run_command(command).await;
        renamed.map(drop).map_err(failed("renaming a collection", from))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update,
    Delete,
}

fn kind(write: &Write) -> Kind {
    match write {
        Write::Insert(_) => Kind::Insert,
        Write::UpdateOne { .. } | Write::UpdateMany { .. } => Kind::Update,
        Write::DeleteMany(_) => Kind::Delete,
    }
}

/// Encodes a statement of an `update` or `delete` command; `None` for an insert.
fn statement(write: &Write) -> Option<Document> {
    let mut statement = match write {
        Write::Insert(_) => return None,
        Write::UpdateOne { filter, update } => doc! { "q": filter.to_mql(), "u": update.to_mql() },
        Write::UpdateMany { filter, update } => {
            doc! { "q": filter.to_mql(), "u": update.to_mql(), "multi": true }
        }
        Write::DeleteMany(filter) => doc! { "q": filter.to_mql(), "limit": 0 },
    };
    statement.insert("collation", doc! { "locale": "simple" });
    Some(statement)
}

fn encoded(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|_| Error::Invalid("a document contains a field name that cannot be stored".into()))
}

fn first_write_error(response: &Document) -> Option<(usize, ServerError)> {
    let Some(Bson::Document(error)) = response.get_array("writeErrors").ok()?.first() else { return None };
    let at = number(error, "index").and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let failure: CommandError = bson::deserialize_from_document(error.clone()).ok()?;
    Some((
        at,
        ServerError {
            code: failure.code,
            name: failure.code_name,
            message: failure.message,
            key_pattern: error.get_document("keyPattern").ok().cloned(),
            refused: refused(response),
        },
    ))
}

fn has_transient_label(response: &Document) -> bool {
    response
        .get_array("errorLabels")
        .is_ok_and(|labels| labels.iter().any(|label| label.as_str() == Some(TRANSIENT_TRANSACTION_ERROR)))
}

/// The position of the document that an insert failed at; `None` if it did not fail at a document.
fn failed_at(error: &DriverError) -> Option<usize> {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(failure) => failure.write_errors.as_ref()?.first().map(|first| first.index),
        _ => None,
    }
}

/// An error without a position stays as it is: how many writes are done is not known.
fn in_batch(at: Option<usize>, source: Error) -> Error {
    match at {
        Some(at) => Error::Batch { at, source: Box::new(source) },
        None => source,
    }
}
