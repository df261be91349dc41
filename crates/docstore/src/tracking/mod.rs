//! Tracks which collections are read and written, so that a cache knows when its entries are out of date.
//!
//! Each collection has a version that grows with every write to it. A read under [`ReadTracker::track`] notes the
//! version *before* it asks the store; a write increments it *after* the store has answered, whatever the answer was,
//! since a write that failed may have been executed. A result made of reads is current as long as the versions are the
//! noted ones.
//!
//! A collection can be split by a field ([`CollectionVersions::split_by`]): then a read of documents with certain values of it is
//! only invalidated by writes of such documents.

mod write_set;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bson::Bson;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tracing::Instrument as _;

use crate::engine::{Engine, EngineTransaction, Executor, Operation, Output, Reach};
use crate::model::query::{check_collection_name, check_document};
use crate::{Error, Field, Filter, Result, Write};
use write_set::{PartSet, WriteSet};
pub use write_set::{StalenessBound, WriteLog};

type Version = Arc<AtomicU64>;

tokio::task_local! {
    static TRACKER: ReadTracker;
}

/// The versions of a database's collections. Cheap to clone; all handles of a database share them.
#[derive(Clone, Default)]
pub struct CollectionVersions {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Grows with every write to any collection.
    any: Version,
    collections: RwLock<HashMap<String, Version>>,
    /// Collections that this process wrote and [`CollectionVersions::own_writes`] has not returned yet.
    own: Mutex<BTreeSet<String>>,
    own_changed: Notify,
    /// The written documents of the collections for which someone asked.
    logs: RwLock<HashMap<String, Arc<WriteLog>>>,
    /// The collections that are split.
    splits: RwLock<HashMap<String, Arc<Split>>>,
    staleness_bound: Mutex<StalenessBound>,
}

/// The number of parts from which those that no one reads are dropped.
const MIN_PARTS: usize = 1024;

/// The versions of the parts of a collection that is split by a field.
struct Split {
    field: Field,
    /// The versions of parts that a result may depend on, and the number at which the others are dropped.
    parts: Mutex<(HashMap<String, Version>, usize)>,
}

impl Split {
    /// Returns the version of a part.
    fn version(&self, part: &str) -> Version {
        let (parts, limit) = &mut *self.parts.lock();
        if let Some(version) = parts.get(part) {
            return Arc::clone(version);
        }
        if parts.len() >= *limit {
            // A version that no result holds need not be kept: the next read begins a new one.
            parts.retain(|_, version| Arc::strong_count(version) > 1);
            *limit = (2 * parts.len()).max(MIN_PARTS);
        }
        Arc::clone(parts.entry(part.to_owned()).or_default())
    }

    fn advance(&self, set: &PartSet) {
        let (parts, _) = &*self.parts.lock();
        let versions: Box<dyn Iterator<Item = &Version>> = match set {
            PartSet::All => Box::new(parts.values()),
            PartSet::Parts(names) => Box::new(names.iter().filter_map(|name| parts.get(name))),
        };
        for version in versions {
            version.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The changes that a write may have made in a collection.
#[derive(Debug, Clone, PartialEq)]
struct WriteRecord {
    documents: WriteSet,
    parts: PartSet,
}

impl WriteRecord {
    const ANYTHING: Self = Self { documents: WriteSet::Anything, parts: PartSet::All };
    const NOTHING: Self =
        Self { documents: WriteSet::Documents(Vec::new()), parts: PartSet::Parts(Vec::new()) };

    fn and(self, other: Self) -> Self {
        Self { documents: self.documents.and(other.documents), parts: self.parts.and(other.parts) }
    }
}

impl CollectionVersions {
    /// Keeps a version for each value of a field of a collection, beside that of the whole collection: a read that names
    /// values of the field (strings or object ids) is invalidated by writes of documents with these values alone.
    ///
    /// Change streams name documents by their ids. Of a collection that is split by another field, they invalidate all parts,
    /// except for writes in transactions: a program that splits a collection this way must write a document that names the
    /// part in the same transaction, and its reads must call [`CollectionVersions::record_part_read`] for that document.
    pub fn split_by(&self, collection: &str, field: impl Into<Field>) {
        let split =
            || Arc::new(Split { field: field.into(), parts: Mutex::new((HashMap::new(), MIN_PARTS)) });
        self.inner.splits.write().entry(collection.to_owned()).or_insert_with(split);
    }

    /// Records that another process wrote to a collection.
    pub fn record_change(&self, collection: &str) {
        self.advance(collection, &WriteRecord::ANYTHING);
    }

    /// Records that another process wrote a document, possibly in a transaction.
    pub fn record_document_change(&self, collection: &str, id: &Bson, in_transaction: bool) {
        let parts = match self.split(collection) {
            Some(split) if split.field == Field::ID => {
                PartSet::value(id).map_or(PartSet::All, |part| PartSet::Parts(vec![part]))
            }
            Some(_) if in_transaction => PartSet::Parts(Vec::new()),
            _ => PartSet::All,
        };
        self.advance(collection, &WriteRecord { documents: WriteSet::document(id), parts });
    }

    fn split(&self, collection: &str) -> Option<Arc<Split>> {
        self.inner.splits.read().get(collection).cloned()
    }

    /// Records that another process may have written to any collection.
    pub fn record_change_anywhere(&self) {
        for log in self.inner.logs.read().values() {
            log.append(&WriteSet::Anything);
        }
        for split in self.inner.splits.read().values() {
            split.advance(&PartSet::All);
        }
        for version in self.inner.collections.read().values() {
            version.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.any.fetch_add(1, Ordering::SeqCst);
    }

    /// Appends to the log before it increments the version: a reader that sees the version finds the write in the log.
    fn advance(&self, collection: &str, record: &WriteRecord) {
        if let Some(log) = self.inner.logs.read().get(collection) {
            log.append(&record.documents);
        }
        if let Some(split) = self.split(collection) {
            split.advance(&record.parts);
        }
        self.version(collection).fetch_add(1, Ordering::SeqCst);
        self.inner.any.fetch_add(1, Ordering::SeqCst);
    }

    /// Records a write of this process.
    fn record_write(&self, collection: &str, record: &WriteRecord) {
        self.advance(collection, record);
        self.inner.own.lock().insert(collection.to_owned());
        self.inner.own_changed.notify_one();
    }

    /// Returns the collections that were written through this database since the last call; waits until there is one.
    pub async fn own_writes(&self) -> BTreeSet<String> {
        loop {
            let changed = self.inner.own_changed.notified();
            let names = std::mem::take(&mut *self.inner.own.lock());
            if !names.is_empty() {
                return names;
            }
            changed.await;
        }
    }

    /// Returns a read set of every collection as of now.
    pub fn everything(&self) -> ReadSet {
        let tracker = ReadTracker::default();
        tracker.note("", &self.inner.any);
        tracker.so_far()
    }

    /// Returns the log of the written documents of a collection, which starts with the first call.
    pub fn write_log(&self, collection: &str) -> Arc<WriteLog> {
        Arc::clone(self.inner.logs.write().entry(collection.to_owned()).or_default())
    }

    /// Sets how long a write of another process may go unnoticed.
    pub fn set_staleness_bound(&self, bound: StalenessBound) {
        *self.inner.staleness_bound.lock() = bound;
    }

    /// Returns how long a write of another process may go unnoticed.
    pub fn staleness_bound(&self) -> StalenessBound {
        *self.inner.staleness_bound.lock()
    }

    /// Notes the version of a collection in the current [`ReadTracker`], if there is one. Reads do so by themselves; call it
    /// for an answer about a collection that was given without asking the store.
    pub fn record_read(&self, collection: &str) {
        let _ = TRACKER.try_with(|tracker| tracker.note(collection, &self.version(collection)));
    }

    /// As [`CollectionVersions::record_read`], for one part of a collection that is split.
    pub fn record_part_read(&self, collection: &str, part: &str) {
        let Some(split) = self.split(collection) else { return self.record_read(collection) };
        let _ = TRACKER.try_with(|tracker| tracker.note(collection, &split.version(part)));
    }

    /// Records a read of the documents that a filter selects.
    fn record_read_of(&self, collection: &str, filter: &Filter) {
        if TRACKER.try_with(|_| ()).is_err() {
            return;
        }
        let parts = self.split(collection).map(|split| PartSet::matching(filter, &split.field));
        match parts {
            Some(PartSet::Parts(parts)) => {
                for part in parts {
                    self.record_part_read(collection, &part);
                }
            }
            _ => self.record_read(collection),
        }
    }

    /// As [`CollectionVersions::record_read`], for a read in a transaction: its snapshot may be older than the version.
    fn record_snapshot_read(&self, collection: &str) {
        let _ = TRACKER.try_with(|tracker| tracker.note_outdated(collection, &self.version(collection)));
    }

    /// Adds the parts that an operation writes.
    fn with_parts(
        &self,
        written: Vec<(String, WriteSet)>,
        operation: &Operation,
    ) -> Vec<(String, WriteRecord)> {
        let record = |(collection, documents): (String, WriteSet)| {
            let split = self.split(&collection);
            let parts = split.map_or(PartSet::All, |split| PartSet::written(operation, &split.field));
            (collection, WriteRecord { documents, parts })
        };
        written.into_iter().map(record).collect()
    }

    fn version(&self, collection: &str) -> Version {
        if let Some(version) = self.inner.collections.read().get(collection) {
            return Arc::clone(version);
        }
        Arc::clone(self.inner.collections.write().entry(collection.to_owned()).or_default())
    }
}

/// Collects what a piece of work reads. Cheap to clone; all clones share one collection.
#[derive(Clone, Default)]
pub struct ReadTracker {
    entries: Arc<Mutex<Vec<TrackedVersion>>>,
}

#[derive(Clone)]
struct TrackedVersion {
    collection: Box<str>,
    version: Version,
    /// `None` if what was read may be older than the version.
    at: Option<u64>,
}

impl TrackedVersion {
    fn is_current(&self) -> bool {
        self.at == Some(self.version.load(Ordering::SeqCst))
    }
}

impl ReadTracker {
    /// Runs `work` and collects what it reads, in any database. Reads in tasks that it spawns are not seen.
    pub async fn track<F: Future>(&self, work: F) -> F::Output {
        TRACKER.scope(self.clone(), work).await
    }

    /// Returns whether nothing that was read so far has been written since.
    pub fn is_current(&self) -> bool {
        self.entries.lock().iter().all(TrackedVersion::is_current)
    }

    /// Returns what was read so far.
    pub fn so_far(&self) -> ReadSet {
        ReadSet(self.entries.lock().as_slice().into())
    }

    fn note(&self, collection: &str, version: &Version) {
        let mut entries = self.entries.lock();
        // The first version counts: it is the oldest.
        if !entries.iter().any(|entry| Arc::ptr_eq(&entry.version, version)) {
            let at = Some(version.load(Ordering::SeqCst));
            entries.push(TrackedVersion { collection: collection.into(), version: Arc::clone(version), at });
        }
    }

    fn note_outdated(&self, collection: &str, version: &Version) {
        let entry = TrackedVersion { collection: collection.into(), version: Arc::clone(version), at: None };
        self.entries.lock().push(entry);
    }
}

/// Runs `work` and returns what it read.
pub async fn track_reads<F: Future>(work: F) -> (F::Output, ReadSet) {
    let tracker = ReadTracker::default();
    let output = tracker.track(work).await;
    (output, tracker.so_far())
}

/// The collections that a result was made of, with their versions at the time.
#[derive(Clone)]
pub struct ReadSet(Box<[TrackedVersion]>);

impl ReadSet {
    /// Returns whether none of it has been written since. Costs two loads and a comparison per collection, and no lock.
    pub fn are_current(&self) -> bool {
        self.0.iter().all(TrackedVersion::is_current)
    }

    /// Returns whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the collections.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.collection)
    }
}

impl fmt::Debug for ReadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.collections()).finish()
    }
}

/// The effect of an operation on its collection.
enum Effect {
    /// It reads documents.
    Read,
    /// It writes documents, by collection.
    Write(Vec<(String, WriteSet)>),
}

impl Operation {
    /// Checks the arguments, so that engines get valid ones alone.
    fn check(&self, collection: &str) -> Result<()> {
        check_collection_name(collection)?;
        match self {
            Self::Find(find) => find.check(),
            Self::Count(filter) | Self::Delete { filter, .. } => filter.check(),
            Self::Insert(documents) => documents.iter().try_for_each(check_document),
            Self::Update { filter, update, .. } | Self::FindAndUpdate { filter, update, .. } => {
                filter.check().and_then(|()| update.check())
            }
            Self::Bulk(writes) => writes.iter().try_for_each(Write::check),
            Self::RenameTo(name) => check_collection_name(name),
            Self::InsertRaw(_) | Self::Drop => Ok(()),
        }
    }

    /// Returns what the operation reads or writes.
    fn effect(&self, collection: &str) -> Effect {
        let set = match self {
            Self::Find(_) | Self::Count(_) => return Effect::Read,
            Self::Insert(documents) => WriteSet::documents(documents),
            Self::Update { filter, reach, .. } => WriteSet::matching(filter, *reach == Reach::OneOrInsert),
            Self::FindAndUpdate { filter, upsert, .. } => WriteSet::matching(filter, *upsert),
            Self::Delete { filter, .. } => WriteSet::matching(filter, false),
            Self::Bulk(writes) => {
                writes.iter().map(WriteSet::of_write).fold(WriteSet::Documents(Vec::new()), WriteSet::and)
            }
            Self::InsertRaw(_) | Self::Drop => WriteSet::Anything,
            Self::RenameTo(name) => {
                let both = [collection, name].map(|name| (name.to_owned(), WriteSet::Anything));
                return Effect::Write(both.into());
            }
        };
        Effect::Write(vec![(collection.to_owned(), set)])
    }
}

/// Decides about a write whose caller is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is dropped. The engine may execute it nevertheless, after it was recorded.
    Drop,
    /// It continues in its own task, and is recorded when it has ended.
    Complete,
}

/// Records writes when it is dropped, whatever their outcome.
struct RecordOnDrop {
    versions: CollectionVersions,
    written: Vec<(String, WriteRecord)>,
}

impl Drop for RecordOnDrop {
    fn drop(&mut self) {
        for (collection, record) in &self.written {
            self.versions.record_write(collection, record);
        }
    }
}

/// The reason for which writes are refused, if they are. Cheap to clone; all handles of a database share it.
#[derive(Clone, Default)]
pub(crate) struct WriteRefusal(Arc<RwLock<Option<String>>>);

impl WriteRefusal {
    pub(crate) fn set(&self, reason: Option<String>) {
        *self.0.write() = reason;
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.0.read().clone()
    }

    /// Checks that a collection may be written. Internal collections always may: they have no declared indexes.
    fn check(&self, collection: &str) -> Result<()> {
        match &*self.0.read() {
            Some(reason) if !collection.starts_with('_') => Err(Error::ReadOnly(reason.clone())),
            _ => Ok(()),
        }
    }
}

/// An engine whose reads and writes are recorded in [`CollectionVersions`].
#[derive(Clone)]
pub(crate) struct Tracked {
    engine: Arc<dyn Engine>,
    versions: CollectionVersions,
    refusal: WriteRefusal,
    on_cancel: OnCancel,
}

impl Tracked {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        let (versions, refusal) = (CollectionVersions::default(), WriteRefusal::default());
        Self { engine, versions, refusal, on_cancel: OnCancel::Drop }
    }

    pub(crate) fn completing_writes(&self) -> Self {
        Self { on_cancel: OnCancel::Complete, ..self.clone() }
    }

    pub(crate) fn refusal(&self) -> &WriteRefusal {
        &self.refusal
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn versions(&self) -> &CollectionVersions {
        &self.versions
    }

    /// Begins a transaction whose writes are recorded when it ends, since nothing sees them before.
    pub(crate) async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        let inner = self.engine.begin().await?;
        Ok(Arc::new(TrackedTransaction { inner, tracked: self.clone(), written: Mutex::default() }))
    }

    /// Executes a write and records it after the store has answered, before the caller gets the answer.
    async fn record<T: Send + 'static>(
        &self,
        written: Vec<(String, WriteRecord)>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let record = RecordOnDrop { versions: self.versions.clone(), written };
        let work = async move {
            let result = work.await;
            drop(record);
            result
        };
        match self.on_cancel {
            OnCancel::Drop => work.await,
            OnCancel::Complete => run_to_completion(work).await?,
        }
    }
}

#[async_trait]
impl Executor for Tracked {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        operation.check(collection)?;
        match operation.effect(collection) {
            Effect::Read => {
                match &operation {
                    Operation::Find(find) => self.versions.record_read_of(collection, &find.filter),
                    Operation::Count(filter) => self.versions.record_read_of(collection, filter),
                    _ => self.versions.record_read(collection),
                }
                self.engine.execute(collection, operation).await
            }
            Effect::Write(written) => {
                self.refusal.check(collection)?;
                let written = self.versions.with_parts(written, &operation);
                let (engine, collection) = (Arc::clone(&self.engine), collection.to_owned());
                self.record(written, async move { engine.execute(&collection, operation).await }).await
            }
        }
    }
}

struct TrackedTransaction {
    inner: Arc<dyn EngineTransaction>,
    tracked: Tracked,
    written: Mutex<BTreeMap<String, WriteRecord>>,
}

#[async_trait]
impl Executor for TrackedTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        operation.check(collection)?;
        match operation.effect(collection) {
            Effect::Read => self.tracked.versions.record_snapshot_read(collection),
            Effect::Write(sets) => {
                self.tracked.refusal.check(collection)?;
                let records = self.tracked.versions.with_parts(sets, &operation);
                let mut written = self.written.lock();
                for (collection, record) in records {
                    let before = written.remove(&collection).unwrap_or(WriteRecord::NOTHING);
                    written.insert(collection, before.and(record));
                }
            }
        }
        self.inner.execute(collection, operation).await
    }
}

#[async_trait]
impl EngineTransaction for TrackedTransaction {
    async fn commit(&self) -> Result<()> {
        let written = std::mem::take(&mut *self.written.lock()).into_iter().collect();
        let inner = Arc::clone(&self.inner);
        self.tracked.record(written, async move { inner.commit().await }).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Runs work in its own task, so that it completes even if the caller is dropped. A panic is propagated to the caller.
///
/// # Errors
/// [`Error::Unavailable`] if the process ends before the work does.
pub async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work.in_current_span()).await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Error::Unavailable("the process is shutting down".into()),
    })
}
