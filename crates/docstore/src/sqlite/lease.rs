//! Leases: a document each, taken in a write transaction, judged by this machine's clock.
//!
//! Beside it the holder's process keeps an operating-system lock on `<file>.<lease>.lock` and writes its fencing token
//! into that file. The system frees the lock when the process dies, however it dies. So a lease that has not run out
//! can be taken over at once if the lock is free and the file names this lease's token: its holder had the lock, and
//! is dead. Where the file names another token, the holder never got the lock, and only the clock counts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bson::{DateTime, Document, doc};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::engine::Reach;
use crate::order::unreadable;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::query::read::PlannedRead;
use crate::sqlite::write::operations as write;
use crate::sqlite::write::session::Session;
use crate::{Error, Field, Filter, Find, LeaseHolder, LeaseRequest, Result, Update, UpdateOp};

/// The locks that this process holds, by collection and name of the lease.
pub(crate) struct Locks {
    store: PathBuf,
    held: Mutex<HashMap<(String, String), Lock>>,
}

struct Lock {
    file: File,
    fence: i64,
}

impl Locks {
    pub(crate) fn new(store: &Path) -> Self {
        Self { store: store.to_owned(), held: Mutex::default() }
    }

    /// Releases all locks.
    pub(crate) fn clear(&self) {
        self.held().clear();
    }

    /// Releases the lock if it belongs to this token.
    pub(crate) fn free(&self, request: &LeaseRequest, fence: i64) {
        let mut held = self.held();
        if held.get(&name(request)).is_some_and(|lock| lock.fence == fence) {
            held.remove(&name(request));
        }
    }

    /// Locks the file for the holder of this token, if possible. The lease is valid without the lock.
    fn keep(&self, request: &LeaseRequest, fence: i64) {
        let mut held = self.held();
        let file = if let Some(lock) = held.remove(&name(request)) {
            lock.file
        } else {
            let mut options = OpenOptions::new();
            let Ok(file) = options
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .mode(0o600)
                .open(self.path(request))
            else {
                return;
            };
            if file.try_lock().is_err() {
                return;
            }
            file
        };
        let mut writing = &file;
        let written = file
            .set_len(0)
            .and_then(|()| writing.seek(SeekFrom::Start(0)))
            .and_then(|_| writing.write_all(fence.to_string().as_bytes()));
        if written.is_ok() {
            held.insert(name(request), Lock { file, fence });
        }
    }

    /// Returns whether the holder of this token had the lock and lost it, so that its process is dead.
    fn is_dead(&self, request: &LeaseRequest, fence: i64) -> bool {
        if self.held().contains_key(&name(request)) {
            return false;
        }
        // The lock is released at the end. No other process takes it concurrently: that happens only in a write
        // transaction, and this is one.
        let Ok(mut file) = File::open(self.path(request)) else { return false };
        let mut token = String::new();
        file.try_lock().is_ok() && file.read_to_string(&mut token).is_ok() && token == fence.to_string()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, String), Lock>> {
        self.held.lock()
    }

    fn path(&self, request: &LeaseRequest) -> PathBuf {
        let mut path = self.store.clone().into_os_string();
        path.push(".");
        let mut name = String::new();
        for byte in request.name.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                name.push(char::from(byte));
            } else {
                name.push('%');
                name.extend(
                    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
                );
            }
        }
        path.push(name);
        path.push(".lock");
        path.into()
    }
}

fn name(request: &LeaseRequest) -> (String, String) {
    (request.collection.clone(), request.name.clone())
}

/// Acquires the lease if it is free, has expired, is held by this owner or by a process that died.
pub(crate) fn acquire(
    session: &mut Session<'_>,
    locks: &Locks,
    request: &LeaseRequest,
) -> Result<LeaseHolder> {
    let found = look(session.connection, &session.catalog, &request.collection, &request.name)?;
    let fence = found.as_ref().map_or(0, |holder| holder.fence) + 1;
    let fields = doc! { "owner": &request.owner, "fence": fence, "expires_at": end(request.ttl) };
    if let Some(holder) = found {
        if !holder.remaining.is_zero() && !holder.owner.is_empty() && holder.owner != request.owner {
            if !locks.is_dead(request, holder.fence) {
                return Ok(holder);
            }
            tracing::info!(lease = %request.name, owner = %holder.owner, "the holder of a lease has died");
        }
        let mut update = Update::new();
        for (field, value) in fields {
            update = update.with(UpdateOp::Set(Field::parse(field)?, value));
        }
        write::update(session, &request.collection, &id(request), &update, Reach::One)?;
    } else {
        let mut document = doc! { "_id": &request.name };
        document.extend(fields);
        session.insert(&request.collection, &document)?;
    }
    locks.keep(request, fence);
    Ok(LeaseHolder { owner: request.owner.clone(), fence, remaining: request.ttl })
}

/// Renews the lease if it is still held.
pub(crate) fn renew(
    session: &mut Session<'_>,
    locks: &Locks,
    request: &LeaseRequest,
    fence: i64,
) -> Result<bool> {
    let update = Update::new().set("expires_at", end(request.ttl));
    let result = write::update(session, &request.collection, &held_by(request, fence), &update, Reach::One)?;
    if result.matched == 0 {
        locks.free(request, fence);
    }
    Ok(result.matched > 0)
}

/// Releases the lease if it is still held. The document stays, and with it the fencing token.
pub(crate) fn release(
    session: &mut Session<'_>,
    locks: &Locks,
    request: &LeaseRequest,
    fence: i64,
) -> Result<()> {
    let update = Update::new().set("owner", "").set("expires_at", DateTime::now());
    write::update(session, &request.collection, &held_by(request, fence), &update, Reach::One)?;
    locks.free(request, fence);
    Ok(())
}

/// Returns the holder of a lease.
pub(crate) fn holder(
    connection: &Connection,
    catalog: &Catalog,
    collection: &str,
    name: &str,
) -> Result<Option<LeaseHolder>> {
    let found = look(connection, catalog, collection, name)?;
    Ok(found.filter(|holder| !holder.owner.is_empty()))
}

fn look(
    connection: &Connection,
    catalog: &Catalog,
    collection: &str,
    name: &str,
) -> Result<Option<LeaseHolder>> {
    let read = PlannedRead::new(catalog, collection, Find::new(Filter::id(name)).limit(1))?;
    let Some(found) = read.open(connection)?.read_all(connection)?.next().transpose()? else {
        return Ok(None);
    };
    let found = Document::try_from(found.as_ref()).map_err(unreadable)?;
    let read = || {
        let left =
            found.get_datetime("expires_at").ok()?.timestamp_millis() - DateTime::now().timestamp_millis();
        Some(LeaseHolder {
            owner: found.get_str("owner").ok()?.to_owned(),
            fence: found.get_i64("fence").ok()?,
            remaining: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
        })
    };
    read().map(Some).ok_or_else(|| Error::Decode {
        collection: collection.to_owned(),
        source: "it is not a lease".into(),
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
