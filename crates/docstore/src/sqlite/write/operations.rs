//! The writing operations, within a transaction of SQLite. Each either does its part or refuses it; what was done
//! before a refusal stays, as on MongoDB.

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf};

use crate::engine::Reach;
use crate::model::filter::check_value;
use crate::order::key_encoding::unreadable;
use crate::sqlite::catalog::CollectionMeta;
use crate::sqlite::query::cursor;
use crate::sqlite::write::session::Session;
use crate::sqlite::write::update;
use crate::{Error, Filter, FindAndUpdate, Result, Sort, Update, UpdateResult, Write, WriteResult};

/// Checks that every value of a document is of a type that the store keeps, and names the field if not.
pub(crate) fn check_document(document: &Document) -> Result<()> {
    if matches!(document.get("_id"), Some(Bson::Array(_))) {
        return Err(Error::Invalid("the id of a document cannot be an array".into()));
    }
    for (field, value) in document {
        if let Err(error) = check_value(value) {
            return Err(match error {
                Error::Invalid(what) => Error::Invalid(format!("{field}: {what}")),
                other => other,
            });
        }
    }
    Ok(())
}

/// Checks the name of a collection, by MongoDB's rules.
pub(crate) fn check_name(collection: &str) -> Result<String> {
    let bad = collection.is_empty()
        || collection.starts_with('.')
        || collection.ends_with('.')
        || collection.contains(['$', '\0']);
    if bad {
        Err(Error::Invalid(format!("{collection:?} cannot be the name of a collection")))
    } else {
        Ok(collection.to_owned())
    }
}

/// Inserts in order, up to the first that is refused.
pub(crate) fn insert_many(
    session: &mut Session<'_>,
    collection: &str,
    documents: Vec<Document>,
) -> Result<()> {
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
        let most = (reach != Reach::Many).then_some(1);
        let rids = cursor::matches(session.connection, &stored, filter, &Sort::default(), most)?;
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
pub(crate) fn find_one_and_update(
    session: &mut Session<'_>,
    collection: &str,
    find: &FindAndUpdate,
) -> Result<Option<RawDocumentBuf>> {
    if let Some(stored) = session.collection(collection) {
        let rids = cursor::matches(session.connection, &stored, &find.filter, &find.sort, Some(1))?;
        if let Some(rid) = rids.first() {
            let Changed { before, after } = change(session, &stored, *rid, &find.update)?;
            return Ok(Some(if find.return_new { after.unwrap_or(before) } else { before }));
        }
    }
    if !find.upsert {
        return Ok(None);
    }
    let document = insert_for(session, collection, &find.filter, &find.update)?;
    if find.return_new { RawDocumentBuf::try_from(&document).map(Some).map_err(unreadable) } else { Ok(None) }
}

/// Deletes the first match or every match.
pub(crate) fn delete(
    session: &mut Session<'_>,
    collection: &str,
    filter: &Filter,
    many: bool,
) -> Result<u64> {
    let Some(stored) = session.collection(collection) else { return Ok(0) };
    let most = (!many).then_some(1);
    let rids = cursor::matches(session.connection, &stored, filter, &Sort::default(), most)?;
    for rid in &rids {
        let old = fetch(session, &stored, *rid)?;
        session.remove(&stored, *rid, &old)?;
    }
    Ok(rids.len() as u64)
}

/// Carries out writes in order, up to the first that is refused.
pub(crate) fn bulk_write(
    session: &mut Session<'_>,
    collection: &str,
    writes: Vec<Write>,
) -> Result<WriteResult> {
    let mut done = WriteResult::default();
    for (at, write) in writes.into_iter().enumerate() {
        bulk_one(session, collection, write, &mut done).map_err(|source| batch(at, source))?;
    }
    Ok(done)
}

fn bulk_one(session: &mut Session<'_>, collection: &str, write: Write, done: &mut WriteResult) -> Result<()> {
    let (filter, changes, reach) = match write {
        Write::Insert(document) => {
            session.insert(collection, &id_first(document))?;
            done.inserted += 1;
            return Ok(());
        }
        Write::DeleteOne(filter) => {
            done.deleted += delete(session, collection, &filter, false)?;
            return Ok(());
        }
        Write::DeleteMany(filter) => {
            done.deleted += delete(session, collection, &filter, true)?;
            return Ok(());
        }
        Write::UpdateOne { filter, update, upsert } => {
            (filter, update, if upsert { Reach::OneOrInsert } else { Reach::One })
        }
        Write::UpdateMany { filter, update } => (filter, update, Reach::Many),
    };
    let result = update(session, collection, &filter, &changes, reach)?;
    done.matched += result.matched;
    done.modified += result.modified;
    done.upserted += u64::from(result.upserted_id.is_some());
    Ok(())
}

/// Inserts encoded documents.
pub(crate) fn insert_raw(
    session: &mut Session<'_>,
    collection: &str,
    documents: &[RawDocumentBuf],
) -> Result<()> {
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
    /// `None` if nothing is different.
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
    cursor::with_document(session.connection, stored.id, rid, &mut |document| Ok(document.to_owned()))?
        .ok_or_else(|| Error::Engine { what: "reading documents", source: "a document is not there".into() })
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

/// A document begins with its id, wherever it was given.
fn id_first(mut document: Document) -> Document {
    if document.keys().next().is_none_or(|first| first == "_id") {
        return document;
    }
    // Not `swap_remove`: the other fields keep their order.
    let Some(id) = document.remove("_id") else { return document };
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document);
    ordered
}

fn unfit(collection: &str, what: String) -> Error {
    Error::Inapplicable { collection: collection.to_owned(), what }
}

fn batch(at: usize, source: Error) -> Error {
    Error::Batch { at, source: Box::new(source) }
}

/// Whether an error is a refusal of this one write, so that the writes beside it are not concerned.
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
