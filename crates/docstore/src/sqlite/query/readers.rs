//! A small pool of read-only connections. Readers and the writer never wait for each other.
//!
//! Short reads run on the calling thread, since a switch to another thread takes longer than reading a few documents. All
//! others run on the runtime's blocking threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::RawDocumentBuf;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::engine::RawStream;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::error::failed;
use crate::sqlite::file;
use crate::sqlite::query::cursor::{Batch, BatchLimits, Cursor, Planned};
use crate::{Error, Find, Result};

/// Number of idle connections that are kept. More are opened when all are in use, so that nested reads never wait.
const IDLE: usize = 4;
/// Maximum number of documents of a short read. One that examines too many others ends at [`HERE`].
const FEW: u64 = 64;
/// Limits of a read on the calling thread.
const HERE: BatchLimits = BatchLimits { documents: 64, bytes: 256 * 1024, visits: 256 };
/// Limits of the first batch, and of those that follow.
const FIRST: BatchLimits = BatchLimits { documents: 128, bytes: 256 * 1024, visits: usize::MAX };
const NEXT: BatchLimits = BatchLimits { documents: 1000, bytes: 2 * 1024 * 1024, visits: usize::MAX };

/// The pool.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    closed: AtomicBool,
}

struct Reader {
    connection: Connection,
    catalog: Arc<Catalog>,
}

/// A connection within a read transaction, which sees one snapshot until it returns to the pool.
struct PooledReader {
    reader: Option<Reader>,
    pool: Arc<Readers>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), idle: Mutex::default(), closed: AtomicBool::new(false) })
    }

    /// Closes the connections; those in use are closed when they return.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.idle.lock().clear();
    }

    /// Takes an idle connection, if there is one.
    fn idle(&self) -> Result<Option<Reader>> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(self.idle.lock().pop())
    }

    fn lend(self: &Arc<Self>) -> Result<PooledReader> {
        let reader = match self.idle()? {
            Some(reader) => reader,
            None => Reader { connection: file::open_reader(&self.path)?, catalog: Arc::default() },
        };
        self.begin(reader)
    }

    fn begin(self: &Arc<Self>, mut reader: Reader) -> Result<PooledReader> {
        statement(&reader.connection, "BEGIN").map_err(failed("beginning to read"))?;
        Catalog::refresh(&mut reader.catalog, &reader.connection)?;
        Ok(PooledReader { reader: Some(reader), pool: Arc::clone(self) })
    }

    /// Runs a read on one of the connections.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection, &Catalog) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = Arc::clone(self);
        blocking(move || pool.lend()?.with(read)).await
    }

    /// Streams the documents of a read; a short one as a single batch.
    pub(crate) async fn find(self: &Arc<Self>, collection: String, find: Find) -> Result<RawStream> {
        let few = find.limit.is_some_and(|limit| limit.saturating_add(find.skip) <= FEW);
        let idle = if few { self.idle()? } else { None };
        let first = if let Some(reader) = idle {
            let lent = self.begin(reader)?;
            let planned = lent.with(|_, catalog| Planned::new(catalog, &collection, find))?;
            if planned.is_walk() {
                start(lent, planned, HERE)?
            } else {
                blocking(move || start(lent, planned, FIRST)).await?
            }
        } else {
            let pool = Arc::clone(self);
            let first = move || {
                let lent = pool.lend()?;
                let planned = lent.with(|_, catalog| Planned::new(catalog, &collection, find))?;
                start(lent, planned, FIRST)
            };
            blocking(first).await?
        };
        Ok(stream::unfold(Some(first), step).flat_map(stream::iter).boxed())
    }
}

/// A stream between two batches.
enum Pending {
    Ready(Vec<RawDocumentBuf>, Option<(PooledReader, Cursor)>),
    Rest(PooledReader, Cursor),
}

/// Returns the next batch and the rest of the stream. Batches after the first are read on demand; a dropped stream returns
/// its connection.
async fn step(pending: Option<Pending>) -> Option<(Vec<Result<RawDocumentBuf>>, Option<Pending>)> {
    let ready = match pending? {
        Pending::Rest(lent, cursor) => blocking(move || next(lent, cursor, NEXT)).await,
        ready @ Pending::Ready(..) => Ok(ready),
    };
    match ready {
        Err(error) => Some((vec![Err(error)], None)),
        Ok(Pending::Ready(documents, rest)) => Some((
            documents.into_iter().map(Ok).collect(),
            rest.map(|(lent, cursor)| Pending::Rest(lent, cursor)),
        )),
        Ok(rest @ Pending::Rest(..)) => Some((Vec::new(), Some(rest))),
    }
}

fn start(lent: PooledReader, planned: Planned, limits: BatchLimits) -> Result<Pending> {
    let cursor = lent.with(|connection, _| planned.open(connection))?;
    next(lent, cursor, limits)
}

fn next(lent: PooledReader, mut cursor: Cursor, limits: BatchLimits) -> Result<Pending> {
    let Batch { documents, more } = lent.with(|connection, _| cursor.next_batch(connection, limits))?;
    Ok(Pending::Ready(documents, more.then_some((lent, cursor))))
}

impl PooledReader {
    fn with<T>(&self, read: impl FnOnce(&Connection, &Catalog) -> Result<T>) -> Result<T> {
        match &self.reader {
            Some(reader) => read(&reader.connection, &reader.catalog),
            None => Err(closed()),
        }
    }
}

impl Drop for PooledReader {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        // A connection that cannot end its transaction is not reused.
        if statement(&reader.connection, "ROLLBACK").is_err() || self.pool.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut idle = self.pool.idle.lock();
        if idle.len() < IDLE {
            idle.push(reader);
        }
    }
}

fn statement(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Returns the error of every operation on a closed store.
pub(crate) fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Engine { what: "reading from the store", source: Box::new(error) }),
    }
}
