//! Execution of operations within an SQLite transaction. A rejected write keeps what was written before it, as on MongoDB.

use bson::oid::ObjectId;
use bson::{Document, RawDocumentBuf};
use futures_util::stream::{self, StreamExt};

use crate::engine::{Operation, Output, RawStream, Reach};
use crate::eval::{id_first, update};
use crate::model::query::check_document;
use crate::order::unreadable;
use crate::sqlite::catalog::CollectionMeta;
use crate::sqlite::query::read::PlannedRead;
use crate::sqlite::query::scan::{self, with_document};
use crate::sqlite::write::ddl;
use crate::sqlite::write::session::Session;
use crate::{Error, Filter, Find, Result, Update, UpdateResult, Write};

/// Executes any operation in the writer's session: a single write, or any operation of a transaction.
pub(crate) fn execute(session: &mut Session<'_>, collection: &str, operation: Operation) -> Result<Output> {
    Ok(match operation {
        Operation::Find(find) => Output::Documents(find_all(session, collection, find)?),
        Operation::Count(filter) => {
            Output::Count(scan::count(session.connection, &session.catalog, collection, &filter)?)
        }
        Operation::Insert(documents) => Output::Done(insert_many(session, collection, documents)?),
        Operation::Update { filter, update, reach } => {
            Output::Updated(self::update(session, collection, &filter, &update, reach)?)
        }
        Operation::FindAndUpdate { filter, update, upsert } => {
            Output::Document(find_one_and_update(session, collection, &filter, &update, upsert)?)
        }
        Operation::Delete { filter, many } => Output::Count(delete(session, collection, &filter, many)?),
        Operation::Bulk(writes) => Output::Updated(bulk_write(session, collection, writes)?),
        Operation::InsertRaw(documents) => Output::Done(insert_raw(session, collection, &documents)?),
        Operation::RenameTo(name) => Output::Done(ddl::rename_collection(session, collection, &name)?),
        Operation::Drop => Output::Done(ddl::drop_collection(session, collection)?),
    })
}

/// Reads everything at once: later writes of the transaction do not show in a stream that is still open.
fn find_all(session: &Session<'_>, collection: &str, find: Find) -> Result<RawStream> {
    let read = PlannedRead::new(&session.catalog, collection, find)?;
    let documents = read.open(session.connection)?.read_all(session.connection)?;
    Ok(stream::iter(documents).boxed())
}

/// Inserts in order, up to the first that is rejected.
fn insert_many(session: &mut Session<'_>, collection: &str, documents: Vec<Document>) -> Result<()> {
    for (at, document) in documents.into_iter().enumerate() {
        session.insert(collection, &id_first(document)).map_err(|source| batch(at, source))?;
    }
    Ok(())
}

/// Updates matches.
pub(crate) fn update(
    session: &mut Session<'_>,
    collection: &str,
    filter: &Filter,
    update: &Update,
    reach: Reach,
) -> Result<UpdateResult> {
    let mut result = UpdateResult::default();
    if let Some(stored) = session.collection(collection) {
        let limit = (reach != Reach::Many).then_some(1);
        let rids = scan::matches(session.connection, &stored, filter, limit)?;
        for rid in rids {
            let changed = change(session, &stored, rid, update)?;
            result.matched += 1;
            result.modified += u64::from(changed.after.is_some());
        }
    }
    if result.matched == 0 && reach == Reach::OneOrInsert {
        let document = insert_for(session, collection, filter, update)?;
        result.upserted_id = document.get("_id").cloned();
    }
    Ok(result)
}

/// Updates the first match and returns it.
fn find_one_and_update(
    session: &mut Session<'_>,
    collection: &str,
    filter: &Filter,
    update: &Update,
    upsert: bool,
) -> Result<Option<RawDocumentBuf>> {
    if let Some(stored) = session.collection(collection) {
        let rids = scan::matches(session.connection, &stored, filter, Some(1))?;
        if let Some(rid) = rids.first() {
            let Changed { before, after } = change(session, &stored, *rid, update)?;
            return Ok(Some(after.unwrap_or(before)));
        }
    }
    if !upsert {
        return Ok(None);
    }
    let document = insert_for(session, collection, filter, update)?;
    RawDocumentBuf::try_from(&document).map(Some).map_err(unreadable)
}

/// Deletes the first match or every match.
fn delete(session: &mut Session<'_>, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
    let Some(stored) = session.collection(collection) else { return Ok(0) };
    let limit = (!many).then_some(1);
    let rids = scan::matches(session.connection, &stored, filter, limit)?;
    for rid in &rids {
        let old = fetch(session, &stored, *rid)?;
        session.remove(&stored, *rid, &old)?;
    }
    Ok(rids.len() as u64)
}

/// Executes writes in order, up to the first that is rejected.
fn bulk_write(session: &mut Session<'_>, collection: &str, writes: Vec<Write>) -> Result<UpdateResult> {
    let mut done = UpdateResult::default();
    for (at, write) in writes.into_iter().enumerate() {
        bulk_one(session, collection, write, &mut done).map_err(|source| batch(at, source))?;
    }
    Ok(done)
}

fn bulk_one(
    session: &mut Session<'_>,
    collection: &str,
    write: Write,
    done: &mut UpdateResult,
) -> Result<()> {
    let result = match write {
        Write::Insert(document) => return session.insert(collection, &id_first(document)),
        Write::DeleteMany(filter) => return delete(session, collection, &filter, true).map(drop),
        Write::UpdateOne { filter, update } => {
            self::update(session, collection, &filter, &update, Reach::One)?
        }
        Write::UpdateMany { filter, update } => {
            self::update(session, collection, &filter, &update, Reach::Many)?
        }
    };
    done.matched += result.matched;
    done.modified += result.modified;
    Ok(())
}

/// Inserts encoded documents.
fn insert_raw(session: &mut Session<'_>, collection: &str, documents: &[RawDocumentBuf]) -> Result<()> {
    for (at, raw) in documents.iter().enumerate() {
        let document = Document::try_from(raw.as_ref()).map_err(unreadable)?;
        check_document(&document)
            .and_then(|()| session.insert(collection, &document))
            .map_err(|source| batch(at, source))?;
    }
    Ok(())
}

struct Changed {
    before: RawDocumentBuf,
    /// `None` if nothing changed.
    after: Option<RawDocumentBuf>,
}

fn change(session: &mut Session<'_>, stored: &CollectionMeta, rid: i64, update: &Update) -> Result<Changed> {
    let before = fetch(session, stored, rid)?;
    let mut document = Document::try_from(before.as_ref()).map_err(unreadable)?;
    let changed = update::apply(&mut document, update, false).map_err(|what| unfit(&stored.name, what))?;
    let after = if changed { Some(session.replace(stored, rid, &before, &document)?) } else { None };
    Ok(Changed { before, after })
}

fn fetch(session: &Session<'_>, stored: &CollectionMeta, rid: i64) -> Result<RawDocumentBuf> {
    with_document(session.connection, stored, rid, &mut |document| Ok(document.to_owned()))?
        .ok_or_else(|| Error::Engine { what: "reading documents", source: "a document is missing".into() })
}

fn insert_for(
    session: &mut Session<'_>,
    collection: &str,
    filter: &Filter,
    update: &Update,
) -> Result<Document> {
    let mut document = update::upserted(filter, update)?.map_err(|what| unfit(collection, what))?;
    if !document.contains_key("_id") {
        document.insert("_id", ObjectId::new());
    }
    let document = id_first(document);
    session.insert(collection, &document)?;
    Ok(document)
}

fn unfit(collection: &str, what: String) -> Error {
    Error::Inapplicable { collection: collection.to_owned(), what }
}

fn batch(at: usize, source: Error) -> Error {
    Error::Batch { at, source: Box::new(source) }
}

/// Returns whether an error concerns only this write, so that the writes grouped with it are not affected.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(
        error.root(),
        Error::DuplicateKey { .. }
            | Error::Inapplicable { .. }
            | Error::TooLarge { .. }
            | Error::Invalid(_)
            | Error::IndexConflict { .. }
            | Error::Unsupported(_)
    )
}
