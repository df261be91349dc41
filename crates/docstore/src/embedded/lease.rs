//! Leases: a document each, taken in a write transaction, judged by this machine's clock.
//!
//! Beside it the holder's process keeps an operating-system lock on `<file>.<lease>.lock`. The system frees that lock
//! when the process dies, however it dies. So a lease that has not run out, and says that its holder keeps such a
//! lock, can be taken over at once when the lock turns out to be free. Where no lock could be had (`locked` is false),
//! only the clock counts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bson::{DateTime, Document};
use rusqlite::Connection;

use super::catalog::Catalog;
use super::cursor::Cursor;
use super::key::unreadable;
use super::session::Session;
use super::write;
use crate::engine::Reach;
use crate::{Error, Filter, Find, LeaseHolder, LeaseRequest, Result, Update};

/// The locks that this process keeps, by collection and name of the lease.
pub(super) struct Locks {
    store: PathBuf,
    held: Mutex<HashMap<(String, String), File>>,
}

impl Locks {
    pub(super) fn new(store: &Path) -> Self {
        Self { store: store.to_owned(), held: Mutex::default() }
    }

    /// Frees all locks.
    pub(super) fn clear(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether this process keeps the lock now; it tries to take it if not.
    fn keep(&self, request: &LeaseRequest) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (request.collection.clone(), request.name.clone());
        if held.contains_key(&name) {
            return true;
        }
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(self.path(request));
        match file {
            Ok(file) if file.try_lock().is_ok() => {
                held.insert(name, file);
                true
            }
            _ => false,
        }
    }

    fn is_kept(&self, request: &LeaseRequest) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(&(request.collection.clone(), request.name.clone()))
    }

    pub(super) fn free(&self, request: &LeaseRequest) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&(request.collection.clone(), request.name.clone()));
    }

    fn path(&self, request: &LeaseRequest) -> PathBuf {
        let mut path = self.store.clone().into_os_string();
        path.push(".");
        let mut name = String::new();
        for byte in request.name.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                name.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(name, "%{byte:02x}");
            }
        }
        path.push(name);
        path.push(".lock");
        path.into()
    }
}

struct Held {
    holder: LeaseHolder,
    locked: bool,
}

/// Takes the lease if it is free, has run out, is this owner's or was left by a process that died.
pub(super) fn acquire(
    session: &mut Session<'_>,
    locks: &Locks,
    request: &LeaseRequest,
) -> Result<LeaseHolder> {
    let found = look(session.connection, &session.catalog, &request.collection, &request.name)?;
    let fence = found.as_ref().map_or(0, |held| held.holder.fence) + 1;
    if let Some(Held { holder, locked }) = found
        && !holder.remaining.is_zero()
        && !holder.owner.is_empty()
        && holder.owner != request.owner
    {
        let dead = locked && !locks.is_kept(request) && locks.keep(request);
        if !dead {
            return Ok(holder);
        }
        tracing::info!(lease = %request.name, owner = %holder.owner, "the holder of a lease has died");
    }
    let update = Update::new()
        .set("owner", request.owner.clone())
        .set("fence", fence)
        .set("expires_at", end(request.ttl))
        .set("locked", locks.keep(request));
    write::update(session, &request.collection, &id(request), &update, Reach::OneOrInsert)?;
    Ok(LeaseHolder { owner: request.owner.clone(), fence, remaining: request.ttl })
}

/// Starts the term anew, if the lease is still held.
pub(super) fn renew(
    session: &mut Session<'_>,
    locks: &Locks,
    request: &LeaseRequest,
    fence: i64,
) -> Result<bool> {
    let update = Update::new().set("expires_at", end(request.ttl));
    let result = write::update(session, &request.collection, &held_by(request, fence), &update, Reach::One)?;
    if result.matched == 0 {
        // Another process has it, and could not get the lock from us.
        let found = look(session.connection, &session.catalog, &request.collection, &request.name)?;
        if found.is_some_and(|held| !held.locked) {
            locks.free(request);
        }
    }
    Ok(result.matched > 0)
}

/// Gives the lease back, if it is still held; the document stays, and with it the fencing token.
pub(super) fn release(session: &mut Session<'_>, request: &LeaseRequest, fence: i64) -> Result<bool> {
    let update = Update::new().set("owner", "").set("expires_at", DateTime::now()).set("locked", false);
    let result = write::update(session, &request.collection, &held_by(request, fence), &update, Reach::One)?;
    Ok(result.matched > 0)
}

/// Who holds a lease.
pub(super) fn holder(
    connection: &Connection,
    catalog: &Catalog,
    collection: &str,
    name: &str,
) -> Result<Option<LeaseHolder>> {
    let found = look(connection, catalog, collection, name)?;
    Ok(found.map(|held| held.holder).filter(|holder| !holder.owner.is_empty()))
}

fn look(connection: &Connection, catalog: &Catalog, collection: &str, name: &str) -> Result<Option<Held>> {
    let mut cursor = Cursor::open(connection, catalog, collection, Find::new(Filter::id(name)).limit(1))?;
    let found = cursor.next_batch(connection, 1, 1)?.documents;
    let Some(found) = found.first() else { return Ok(None) };
    let found = Document::try_from(found.as_ref()).map_err(unreadable)?;
    let read = || {
        let left =
            found.get_datetime("expires_at").ok()?.timestamp_millis() - DateTime::now().timestamp_millis();
        let holder = LeaseHolder {
            owner: found.get_str("owner").ok()?.to_owned(),
            fence: found.get_i64("fence").ok()?,
            remaining: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
        };
        Some(Held { holder, locked: found.get_bool("locked").unwrap_or(false) })
    };
    read().map(Some).ok_or_else(|| Error::Decode {
        collection: collection.to_owned(),
        source: "it is no document of a lease".into(),
    })
}

fn id(request: &LeaseRequest) -> Filter {
    Filter::id(request.name.clone())
}

fn held_by(request: &LeaseRequest, fence: i64) -> Filter {
    id(request).also(Filter::eq("owner", request.owner.clone())).also(Filter::eq("fence", fence))
}

fn end(ttl: Duration) -> DateTime {
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(DateTime::now().timestamp_millis().saturating_add(ttl))
}
