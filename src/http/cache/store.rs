use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::ops::compute::Op;
use moka::sync::Cache;

use super::entry::CacheEntry;

/// Entries by path and query, bounded by bytes. Frequently requested entries are kept.
pub(crate) struct CacheStore {
    entries: Cache<Arc<str>, Arc<CacheEntry>>,
    pub(crate) counters: CacheCounters,
}

/// Numbers of responses since the start, by their origin.
#[derive(Default)]
pub(crate) struct CacheCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) joined: AtomicU64,
}

impl CacheCounters {
    pub(crate) fn increment(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl CacheStore {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let weigh = |key: &Arc<str>, entry: &Arc<CacheEntry>| {
            u32::try_from(key.len() + entry.weight()).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder().max_capacity(max_bytes).weigher(weigh).build();
        Self { entries, counters: CacheCounters::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<CacheEntry>> {
        self.entries.get(key)
    }

    /// Stores an entry, unless it is stale already and there is another one. Returns whether it was stored.
    pub(crate) fn insert(&self, key: &str, entry: &Arc<CacheEntry>) -> bool {
        let stores = entry.is_fresh() || !self.entries.contains_key(key);
        if stores {
            self.entries.insert(key.into(), Arc::clone(entry));
            // Evict now, so that the limit holds at any time.
            self.entries.run_pending_tasks();
        }
        stores
    }

    /// Replaces `old` by `new`, unless another entry has replaced it already.
    pub(crate) fn replace(&self, key: &str, old: &Arc<CacheEntry>, new: Arc<CacheEntry>) {
        self.entries.entry(key.into()).and_compute_with(|current| match current {
            Some(current) if Arc::ptr_eq(current.value(), old) => Op::Put(new),
            _ => Op::Nop,
        });
        self.entries.run_pending_tasks();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.entry_count() == 0
    }

    /// Returns the number of entries, and their bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}
