//! Reads: a plan's documents in batches, from a small pool of read-only connections. Readers and the writer never wait for
//! each other.
//!
//! Short reads run on the calling thread, since a switch to another thread takes longer than reading a few documents. All
//! others run on the runtime's blocking threads.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::engine::RawStream;
use crate::eval::matcher::Matcher;
use crate::eval::project::{included, project};
use crate::order::{self, KeyField, key_fields, sort_key};
use crate::sqlite::catalog::{Catalog, CollectionMeta};
use crate::sqlite::faults::{Condition, FileIdentities, closed, failed};
use crate::sqlite::open;
use crate::sqlite::query::plan::{self, AccessPath};
use crate::sqlite::query::scan::{Scan, with_document};
use crate::{Error, Find, Plan, Result};

/// Number of idle connections that are kept. More are opened when all are in use, so that nested reads never wait.
const IDLE: usize = 4;
/// Maximum number of documents of a short read. One that examines too many others ends at [`HERE`].
const FEW: u64 = 64;
/// Limits of a read on the calling thread.
const HERE: BatchLimits = BatchLimits { documents: 64, bytes: 256 * 1024, visits: 256 };
/// Limits of the first batch, and of those that follow.
const FIRST: BatchLimits = BatchLimits { documents: 128, bytes: 256 * 1024, visits: usize::MAX };
const NEXT: BatchLimits = BatchLimits { documents: 1000, bytes: 2 * 1024 * 1024, visits: usize::MAX };

/// Maximum time to wait for the connection of a snapshot.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(30);

/// The pool.
pub(crate) struct Readers {
    path: PathBuf,
    files: Arc<FileIdentities>,
    condition: Arc<Condition>,
    access: Mutex<open::FileAccess>,
    idle: Mutex<Vec<Reader>>,
    /// Set if the pool has one connection, whose transaction stays open, so that all reads see one state.
    snapshot: bool,
    returned: Condvar,
    closed: AtomicBool,
}

struct Reader {
    connection: Connection,
    access: open::FileAccess,
    catalog: Arc<Catalog>,
}

/// A connection within a read transaction, which sees one snapshot until it returns to the pool.
struct PooledReader {
    reader: Option<Reader>,
    pool: Arc<Readers>,
}

impl Readers {
    pub(crate) fn new(
        path: &Path,
        access: open::FileAccess,
        files: Arc<FileIdentities>,
        condition: Arc<Condition>,
    ) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            files,
            condition,
            access: Mutex::new(access),
            idle: Mutex::default(),
            snapshot: false,
            returned: Condvar::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Returns a pool whose reads all see the present state.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Result<Arc<Self>> {
        let pool = Arc::clone(self);
        let reader = blocking(move || pool.acquire()?.reader.take().ok_or_else(closed)).await?;
        Ok(Arc::new(Self {
            path: self.path.clone(),
            files: Arc::clone(&self.files),
            condition: Arc::clone(&self.condition),
            access: Mutex::new(*self.access.lock()),
            idle: Mutex::new(vec![reader]),
            snapshot: true,
            returned: Condvar::new(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Returns how connections reach the file.
    pub(crate) fn access(&self) -> open::FileAccess {
        *self.access.lock()
    }

    /// Changes how connections reach the file, from now on.
    pub(crate) fn set_access(&self, access: open::FileAccess) {
        *self.access.lock() = access;
        self.idle.lock().clear();
    }

    /// Returns whether [`Readers::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Closes the connections; those in use are closed when they return.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.idle.lock().clear();
    }

    /// Takes an idle connection, if there is one.
    fn idle(&self) -> Result<Option<Reader>> {
        if self.is_closed() {
            return Err(closed());
        }
        let mut idle = self.idle.lock();
        if self.snapshot && idle.is_empty() {
            self.returned.wait_for(&mut idle, SNAPSHOT_WAIT);
        }
        Ok(idle.pop())
    }

    fn acquire(self: &Arc<Self>) -> Result<PooledReader> {
        let reader = match self.idle()? {
            Some(reader) => reader,
            None if self.snapshot => {
                return Err(Error::Invalid("a snapshot answers one read at a time".into()));
            }
            None => {
                let access = self.access();
                // It would read another file than the others.
                self.files.check()?;
                let connection = open::open_reader(&self.path, access)?;
                self.files.check()?;
                Reader { connection, access, catalog: Arc::default() }
            }
        };
        self.begin(reader)
    }

    fn begin(self: &Arc<Self>, mut reader: Reader) -> Result<PooledReader> {
        if self.snapshot {
            return Ok(PooledReader { reader: Some(reader), pool: Arc::clone(self) });
        }
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
        let outcome = blocking(move || {
            let pooled = pool.acquire()?;
            let Reader { connection, catalog, .. } = pooled.reader();
            read(connection, catalog)
        });
        outcome.await.inspect_err(|error| self.condition.record(error))
    }

    /// Streams the documents of a read; a short one as a single batch.
    pub(crate) async fn find(self: &Arc<Self>, collection: String, find: Find) -> Result<RawStream> {
        let first = self.first_batch(collection, find).await;
        let first = first.inspect_err(|error| self.condition.record(error))?;
        let pool = Arc::clone(self);
        let batches = stream::try_unfold(first, next_documents);
        let documents = batches.map_ok(stream::iter).try_flatten();
        let documents = documents.inspect_err(move |error| pool.condition.record(error));
        Ok(documents.boxed())
    }

    /// Plans a read and reads its first batch.
    async fn first_batch(self: &Arc<Self>, collection: String, find: Find) -> Result<Pending> {
        let is_short =
            !self.snapshot && find.limit.is_some_and(|limit| limit.saturating_add(find.skip) <= FEW);
        let idle = if is_short { self.idle()? } else { None };
        if let Some(reader) = idle {
            let pooled = self.begin(reader)?;
            let read = PlannedRead::new(&pooled.reader().catalog, &collection, find)?;
            if read.is_ordered() {
                return pooled.start(read, HERE);
            }
            return blocking(move || pooled.start(read, FIRST)).await;
        }
        let pool = Arc::clone(self);
        blocking(move || {
            let pooled = pool.acquire()?;
            let read = PlannedRead::new(&pooled.reader().catalog, &collection, find)?;
            pooled.start(read, FIRST)
        })
        .await
    }
}

/// A stream between two batches: documents that were read, and the read if more may follow.
type Pending = (Vec<Result<RawDocumentBuf>>, Option<(PooledReader, RunningRead)>);

/// Batches after the first are read on demand; a dropped stream returns its connection.
async fn next_documents(
    (documents, rest): Pending,
) -> Result<Option<(Vec<Result<RawDocumentBuf>>, Pending)>> {
    if !documents.is_empty() {
        return Ok(Some((documents, (Vec::new(), rest))));
    }
    let Some((pooled, running)) = rest else { return Ok(None) };
    let (documents, rest) = blocking(move || pooled.next(running, NEXT)).await?;
    Ok(Some((documents, (Vec::new(), rest))))
}

impl PooledReader {
    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("the reader is taken when this is dropped")
    }

    fn start(self, read: PlannedRead, limits: BatchLimits) -> Result<Pending> {
        let running = read.open(&self.reader().connection)?;
        self.next(running, limits)
    }

    /// Reads a batch, and returns the connection to the pool after the last.
    fn next(self, mut running: RunningRead, limits: BatchLimits) -> Result<Pending> {
        let batch = running.next_batch(&self.reader().connection, limits)?;
        let more = batch.more;
        Ok((batch.into_results().collect(), more.then_some((self, running))))
    }
}

impl Drop for PooledReader {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        if self.pool.snapshot {
            self.pool.idle.lock().push(reader);
            self.pool.returned.notify_one();
            return;
        }
        // A connection that cannot end its transaction is not reused.
        let unusable =
            statement(&reader.connection, "ROLLBACK").is_err() || reader.access != self.pool.access();
        if unusable || self.pool.closed.load(Ordering::SeqCst) {
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Engine { what: "reading from the store", source: Box::new(error) }),
    }
}

/// A planned read that has not run yet.
pub(crate) struct PlannedRead {
    find: Find,
    matcher: Matcher,
    /// The collection and how its documents are reached; `None` if there is nothing to read.
    access: Option<(Arc<CollectionMeta>, AccessPath)>,
}

impl PlannedRead {
    pub(crate) fn new(catalog: &Catalog, collection: &str, find: Find) -> Result<Self> {
        let matcher = Matcher::new(&find)?;
        let stored = catalog.collections.get(collection).filter(|_| find.limit != Some(0));
        let access = stored.map(|stored| {
            let mut access = plan::choose(stored, &find.filter, &find.sort, find.limit.is_some())?;
            if let Some(position) = &find.after {
                access
                    .seek(&find.sort, &position.iter().map(order::encode_value).collect::<Result<Vec<_>>>()?);
            }
            Ok((Arc::clone(stored), access))
        });
        Ok(Self { matcher, access: access.transpose()?, find })
    }

    /// Returns the plan in the form of the public API.
    pub(crate) fn explain(&self) -> Plan {
        let nothing = Plan { index: None, sorts_in_memory: false };
        self.access.as_ref().map_or(nothing, |(_, access)| access.explain(&self.find.sort))
    }

    /// Returns whether documents come in the order of the sort, so that a batch costs only its share of the work.
    fn is_ordered(&self) -> bool {
        self.access.as_ref().is_none_or(|(_, access)| access.ordered == self.find.sort.fields().len())
    }

    /// Starts the read; sorts now if the sort must be done in memory.
    pub(crate) fn open(self, connection: &Connection) -> Result<RunningRead> {
        let is_ordered = self.is_ordered();
        let Self { find, matcher, access } = self;
        let Find { sort, mut skip, limit, projection, .. } = find;
        let rows = match access {
            None => Rows::None,
            Some((collection, access)) if is_ordered => {
                // A read goes on beside damaged documents.
                let mut scan = Scan::new(&collection, access).passing_over_damaged();
                // Only documents show whether they come after a position; index entries do not.
                if !matcher.has_position() && skip > 0 && scan.pass(connection, skip)? {
                    skip = 0;
                }
                Rows::Scan(scan)
            }
            Some((collection, access)) => {
                let limit = limit.map(|limit| limit.saturating_add(skip));
                let mut scan = Scan::new(&collection, access).passing_over_damaged();
                let rids = sorted(connection, &mut scan, &matcher, &key_fields(sort.fields()), limit)?;
                Rows::Sorted { collection, rids: rids.into_iter(), damaged: scan.take_damaged() }
            }
        };
        let projection = projection.as_ref().map(included);
        Ok(RunningRead { matcher, projection, skip, left: limit.unwrap_or(u64::MAX), rows })
    }
}

enum Rows {
    None,
    /// In the order of the scan.
    Scan(Scan),
    /// Sorted in memory: row numbers only, so that a long result takes little memory.
    Sorted {
        collection: Arc<CollectionMeta>,
        rids: std::vec::IntoIter<i64>,
        damaged: Vec<Error>,
    },
}

/// Limits of one batch.
#[derive(Debug, Clone, Copy)]
struct BatchLimits {
    documents: usize,
    /// Bytes of the examined documents, whether they match or not.
    bytes: usize,
    /// Number of examined documents.
    visits: usize,
}

/// A batch of documents, and whether more may follow.
struct Batch {
    documents: Vec<RawDocumentBuf>,
    /// The errors of damaged documents. Whether the filter selects them is not known.
    damaged: Vec<Error>,
    more: bool,
}

impl Batch {
    /// Returns the documents, and after them the errors of damaged ones, so that the first document is found beside them.
    fn into_results(self) -> impl Iterator<Item = Result<RawDocumentBuf>> {
        self.documents.into_iter().map(Ok).chain(self.damaged.into_iter().map(Err))
    }
}

/// A read that gives its documents in batches.
pub(crate) struct RunningRead {
    matcher: Matcher,
    /// The paths to return; whole documents if `None`.
    projection: Option<Vec<Vec<String>>>,
    skip: u64,
    left: u64,
    rows: Rows,
}

impl RunningRead {
    /// Returns all documents, and the errors of damaged ones.
    pub(crate) fn read_all(
        mut self,
        connection: &Connection,
    ) -> Result<impl Iterator<Item = Result<RawDocumentBuf>> + Send + use<>> {
        let unlimited = BatchLimits { documents: usize::MAX, bytes: usize::MAX, visits: usize::MAX };
        Ok(self.next_batch(connection, unlimited)?.into_results())
    }

    /// Returns the next batch; smaller than its limits if documents are large or matches rare.
    fn next_batch(&mut self, connection: &Connection, limits: BatchLimits) -> Result<Batch> {
        let mut documents = Vec::new();
        let (mut bytes, mut visits, mut visited_bytes) = (0, 0, 0);
        let Self { matcher, projection, skip, left, rows } = self;
        let mut take = |document: &RawDocument| -> Result<bool> {
            if *skip > 0 {
                *skip -= 1;
                return Ok(false);
            }
            let document = match projection {
                Some(paths) => project(document, paths)?,
                None => document.to_owned(),
            };
            bytes += document.as_bytes().len();
            documents.push(document);
            *left -= 1;
            Ok(*left == 0 || documents.len() >= limits.documents || bytes >= limits.bytes)
        };
        let (ended, damaged) = match rows {
            Rows::None => (true, Vec::new()),
            Rows::Scan(scan) => {
                let ended = scan.run(connection, &mut |_, document| {
                    visits += 1;
                    visited_bytes += document.as_bytes().len();
                    let is_full = matcher.matches(document)? && take(document)?;
                    Ok(is_full || visits >= limits.visits || visited_bytes >= limits.bytes)
                })?;
                (ended, scan.take_damaged())
            }
            Rows::Sorted { collection, rids, damaged } => loop {
                let Some(rid) = rids.next() else { break (true, std::mem::take(damaged)) };
                match with_document(connection, collection, rid, &mut take) {
                    Ok(Some(true)) => break (false, std::mem::take(damaged)),
                    Ok(_) => {}
                    Err(error @ Error::Damaged { .. }) => damaged.push(error),
                    Err(error) => return Err(error),
                }
            },
        };
        Ok(Batch { documents, damaged, more: !ended && *left > 0 })
    }
}

/// A document to sort, compared by key and then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SortEntry {
    key: Vec<u8>,
    nth: usize,
    rid: i64,
    /// The part of the key by which the scan is already ordered.
    leading: Vec<u8>,
}

/// Sorts in memory. With a limit only that many documents are kept, and where the scan is ordered by the leading fields, it
/// ends as soon as no better document can follow.
fn sorted(
    connection: &Connection,
    scan: &mut Scan,
    matcher: &Matcher,
    fields: &[KeyField],
    limit: Option<u64>,
) -> Result<Vec<i64>> {
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let ordered = if limit == usize::MAX { 0 } else { scan.ordered() };
    let mut heap: BinaryHeap<SortEntry> = BinaryHeap::new();
    let mut nth = 0;
    scan.run(connection, &mut |rid, document| {
        if !matcher.matches(document)? {
            return Ok(false);
        }
        let leading = if ordered > 0 { sort_key(document, &fields[..ordered])? } else { Vec::new() };
        if heap.len() >= limit && heap.peek().is_some_and(|last| last.leading < leading) {
            return Ok(true);
        }
        heap.push(SortEntry { key: sort_key(document, fields)?, nth, rid, leading });
        nth += 1;
        if heap.len() > limit {
            heap.pop();
        }
        Ok(false)
    })?;
    Ok(heap.into_sorted_vec().into_iter().map(|entry| entry.rid).collect())
}
