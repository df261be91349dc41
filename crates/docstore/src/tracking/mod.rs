//! Which collections were written, and what was read of them: so that whoever keeps something that is made of reads
//! knows when it no longer holds.
//!
//! Each collection has a number that grows with every write to it. A read under [`track_reads`] takes the number down
//! *before* it asks the store; a write moves it on *after* the store has answered, whatever the answer was, since a
//! write that failed may have been carried out. What was made of reads holds for as long as the numbers are those that
//! were taken down.

/// Writes that are noted when they end, however they do.
mod on_cancel;
/// The engine that every [`crate::Database`] goes through.
mod tracked;
/// Transactions of that engine.
mod transaction;
/// Which documents were written.
mod write_set;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::Bson;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use on_cancel::OnCancel;
pub(crate) use tracked::Tracked;
pub(crate) use write_set::WriteSet;
pub use write_set::{StalenessBound, WriteLog};

type Counter = Arc<AtomicU64>;

tokio::task_local! {
    static LOG: ReadTracker;
}

/// The numbers of a database's collections. Cheap to clone; all handles of a database share them.
#[derive(Clone, Default)]
pub struct CollectionVersions {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Grows with every write to any collection.
    any: Counter,
    collections: RwLock<HashMap<String, Counter>>,
    /// Written by this process and not yet taken by [`CollectionVersions::own_writes`].
    own: Mutex<BTreeSet<String>>,
    more: Notify,
    /// Which documents were written, where anybody wants to know.
    logs: RwLock<HashMap<String, Arc<WriteLog>>>,
    trust: Mutex<StalenessBound>,
}

impl CollectionVersions {
    /// Somebody else wrote to a collection.
    pub fn changed(&self, collection: &str) {
        self.touched(collection, &WriteSet::Anything);
    }

    /// Somebody else wrote a document.
    pub fn changed_document(&self, collection: &str, id: &Bson) {
        self.touched(collection, &WriteSet::one(id));
    }

    /// The log before the number: who sees the number finds the write in the log.
    fn touched(&self, collection: &str, what: &WriteSet) {
        if let Some(log) = self.inner.logs.read().get(collection) {
            log.note(what);
        }
        self.counter(collection).fetch_add(1, Ordering::SeqCst);
        self.inner.any.fetch_add(1, Ordering::SeqCst);
    }

    /// Somebody else may have written to any collection.
    pub fn all_changed(&self) {
        for log in self.inner.logs.read().values() {
            log.note(&WriteSet::Anything);
        }
        for counter in self.inner.collections.read().values() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.any.fetch_add(1, Ordering::SeqCst);
    }

    /// The collections that were written through this database since the last call; waits until there is one.
    pub async fn own_writes(&self) -> BTreeSet<String> {
        loop {
            let more = self.inner.more.notified();
            let names = std::mem::take(&mut *self.inner.own.lock());
            if !names.is_empty() {
                return names;
            }
            more.await;
        }
    }

    /// As if every collection had been read now.
    pub fn everything(&self) -> ReadSet {
        let log = ReadTracker::default();
        log.note("", &self.inner.any);
        log.so_far()
    }

    /// Which documents of a collection are written, from the first time that this is asked.
    pub fn write_log(&self, collection: &str) -> Arc<WriteLog> {
        let mut logs = self.inner.logs.write();
        Arc::clone(logs.entry(collection.to_owned()).or_default())
    }

    /// Says how far others' writes are learned. Nobody does before this is said.
    pub fn set_staleness_bound(&self, trust: StalenessBound) {
        *self.inner.trust.lock() = trust;
    }

    /// How far others' writes are learned.
    pub fn staleness_bound(&self) -> StalenessBound {
        *self.inner.trust.lock()
    }

    fn written(&self, collection: &str, what: &WriteSet) {
        self.touched(collection, what);
        self.inner.own.lock().insert(collection.to_owned());
        self.inner.more.notify_one();
    }

    /// Takes the number of a collection down, if anybody wants to know. For what is known of a collection without
    /// asking the store; reads do it by themselves.
    pub fn read(&self, collection: &str) {
        let _ = LOG.try_with(|log| log.note(collection, &self.counter(collection)));
    }

    fn counter(&self, collection: &str) -> Counter {
        if let Some(counter) = self.inner.collections.read().get(collection) {
            return Arc::clone(counter);
        }
        let mut collections = self.inner.collections.write();
        Arc::clone(collections.entry(collection.to_owned()).or_default())
    }
}

/// What a piece of work has read so far. Cheap to clone; all clones are one log.
#[derive(Clone, Default)]
pub struct ReadTracker {
    entries: Arc<Mutex<Vec<Entry>>>,
}

#[derive(Clone)]
struct Entry {
    collection: Box<str>,
    counter: Counter,
    /// `None` if what was read may be older than the number.
    at: Option<u64>,
}

impl Entry {
    fn is_current(&self) -> bool {
        self.at == Some(self.counter.load(Ordering::SeqCst))
    }
}

impl ReadTracker {
    /// Runs `work` and notes what it reads, in any database. What it reads in tasks of its own is not seen.
    pub async fn track<F: Future>(&self, work: F) -> F::Output {
        LOG.scope(self.clone(), work).await
    }

    /// Whether nothing that was read so far has been written since.
    pub fn is_current(&self) -> bool {
        self.entries.lock().iter().all(Entry::is_current)
    }

    /// What was read so far.
    pub fn so_far(&self) -> ReadSet {
        ReadSet(self.entries.lock().as_slice().into())
    }

    fn note(&self, collection: &str, counter: &Counter) {
        let mut entries = self.entries.lock();
        // The first number counts: it is the oldest.
        if !entries.iter().any(|entry| Arc::ptr_eq(&entry.counter, counter)) {
            let at = Some(counter.load(Ordering::SeqCst));
            entries.push(Entry { collection: collection.into(), counter: Arc::clone(counter), at });
        }
    }

    /// Something was read whose age is not known.
    fn note_undated(&self, collection: &str, counter: &Counter) {
        let entry = Entry { collection: collection.into(), counter: Arc::clone(counter), at: None };
        self.entries.lock().push(entry);
    }
}

/// Notes what `work` reads.
pub async fn track_reads<F: Future>(work: F) -> (F::Output, ReadSet) {
    let log = ReadTracker::default();
    let output = log.track(work).await;
    (output, log.so_far())
}

/// What something was made of.
#[derive(Clone)]
pub struct ReadSet(Box<[Entry]>);

impl ReadSet {
    /// Whether nothing of it has been written since. Two loads and a comparison for each collection; takes no lock.
    pub fn are_current(&self) -> bool {
        self.0.iter().all(Entry::is_current)
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The collections.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.collection)
    }
}

impl fmt::Debug for ReadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.collections()).finish()
    }
}
