//! Operations on documents, their arguments checked, ready to be run in a session: by the writer itself, or within a
//! transaction.

use bson::{Document, RawDocumentBuf};
use rusqlite::Connection;

use crate::engine::Reach;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::query::cursor;
use crate::sqlite::write::operations as write;
use crate::sqlite::write::session::Session;
use crate::{Filter, Find, FindAndUpdate, Result, Update, UpdateResult, Write, WriteResult};

/// A read that has only to be run.
type CheckedRead<T> = Box<dyn FnOnce(&Connection, &Catalog) -> Result<T> + Send>;
/// A write that has only to be run.
type Checked<T> = Box<dyn FnOnce(&mut Session<'_>) -> Result<T> + Send>;

/// The name of the collection that is read.
pub(crate) fn find(collection: &str, find: &Find) -> Result<String> {
    find.check()?;
    write::check_name(collection)
}

pub(crate) fn count(collection: &str, filter: &Filter) -> Result<CheckedRead<u64>> {
    filter.check()?;
    let (collection, filter) = (write::check_name(collection)?, filter.clone());
    Ok(Box::new(move |connection, catalog| cursor::count(connection, catalog, &collection, &filter)))
}

pub(crate) fn insert_many(collection: &str, documents: Vec<Document>) -> Result<Checked<()>> {
    documents.iter().try_for_each(write::check_document)?;
    let collection = write::check_name(collection)?;
    Ok(Box::new(move |session| write::insert_many(session, &collection, documents)))
}

pub(crate) fn update(
    collection: &str,
    filter: &Filter,
    update: &Update,
    reach: Reach,
) -> Result<Checked<UpdateResult>> {
    filter.check()?;
    update.check()?;
    let (collection, filter, update) = (write::check_name(collection)?, filter.clone(), update.clone());
    Ok(Box::new(move |session| write::update(session, &collection, &filter, &update, reach)))
}

pub(crate) fn find_one_and_update(
    collection: &str,
    find: FindAndUpdate,
) -> Result<Checked<Option<RawDocumentBuf>>> {
    find.check()?;
    let collection = write::check_name(collection)?;
    Ok(Box::new(move |session| write::find_one_and_update(session, &collection, &find)))
}

pub(crate) fn delete(collection: &str, filter: &Filter, many: bool) -> Result<Checked<u64>> {
    filter.check()?;
    let (collection, filter) = (write::check_name(collection)?, filter.clone());
    Ok(Box::new(move |session| write::delete(session, &collection, &filter, many)))
}

pub(crate) fn bulk_write(collection: &str, writes: Vec<Write>) -> Result<Checked<WriteResult>> {
    writes.iter().try_for_each(|write| match write {
        Write::Insert(document) => write::check_document(document),
        Write::UpdateOne { filter, update, .. } | Write::UpdateMany { filter, update } => {
            filter.check().and_then(|()| update.check())
        }
        Write::DeleteOne(filter) | Write::DeleteMany(filter) => filter.check(),
    })?;
    let collection = write::check_name(collection)?;
    Ok(Box::new(move |session| write::bulk_write(session, &collection, writes)))
}
