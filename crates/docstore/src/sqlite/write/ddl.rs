//! Creating, renaming and dropping collections and indexes, within an SQLite transaction.

use crate::sqlite::catalog::Catalog;
use crate::sqlite::write::session::Session;
use crate::{Change, Error, Index, Result};

/// Creates an index unless it exists.
pub(crate) fn create_index(session: &mut Session<'_>, collection: &str, index: &Index) -> Result<()> {
    if let Some(stored) = session.collection(collection) {
        let existing = stored.indexes.iter().map(|stored| &stored.index);
        if existing.clone().any(|existing| existing.name() == index.name() && existing.same_definition(index))
        {
            return Ok(());
        }
        index.check_conflict(collection, existing)?;
    }
    let run = |session: &Session<'_>, sql: &str| {
        session.connection.execute_batch(sql).map_err(crate::sqlite::faults::failed("creating an index"))
    };
    // This is the only operation that a document can make fail halfway.
    run(session, "SAVEPOINT making_an_index")?;
    let built = session.collection_or_new(collection).and_then(|stored| session.build_index(&stored, index));
    if built.is_err() {
        run(session, "ROLLBACK TO making_an_index")?;
        session.catalog = std::sync::Arc::default();
    }
    run(session, "RELEASE making_an_index")?;
    session.refresh()?;
    built
}

/// Drops an index by name, if it exists.
pub(crate) fn drop_index(session: &mut Session<'_>, collection: &str, name: &str) -> Result<()> {
    let Some(stored) = session.collection(collection) else { return Ok(()) };
    if let Some(index) = stored.indexes.iter().find(|stored| stored.index.name() == name) {
        Catalog::remove_index(session.connection, index)?;
        session.refresh()?;
    }
    Ok(())
}

/// Drops a collection, if it exists.
pub(crate) fn drop_collection(session: &mut Session<'_>, collection: &str) -> Result<()> {
    let Some(stored) = session.collection(collection) else { return Ok(()) };
    Catalog::remove_collection(session.connection, &stored)?;
    session.changes.push(Change::Unknown);
    session.refresh()
}

/// Renames a collection, replacing one that has the name.
pub(crate) fn rename_collection(session: &mut Session<'_>, from: &str, to: &str) -> Result<()> {
    let Some(stored) = session.collection(from) else {
        return Err(Error::Invalid(format!("{from:?} cannot be renamed: it does not exist")));
    };
    if from == to {
        return Err(Error::Invalid(format!("{from:?} has that name already")));
    }
    if let Some(old) = session.collection(to) {
        Catalog::remove_collection(session.connection, &old)?;
    }
    Catalog::rename_collection(session.connection, &stored, to)?;
    session.changes.push(Change::Unknown);
    session.refresh()
}
