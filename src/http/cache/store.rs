use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::ops::compute::Op;
use moka::sync::Cache;

use super::entry::CacheEntry;

/// What is rendered, by path and query; so many bytes at the most. What is asked for often stays.
pub(crate) struct CacheStore {
    entries: Cache<Arc<str>, Arc<CacheEntry>>,
    pub(crate) counts: Counts,
}

/// What was served how often.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) joined: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl CacheStore {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let weigh = |key: &Arc<str>, entry: &Arc<CacheEntry>| {
            u32::try_from(key.len() + entry.weight()).unwrap_or(u32::MAX)
        };
        Self {
            entries: Cache::builder().max_capacity(max_bytes).weigher(weigh).build(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<CacheEntry>> {
        self.entries.get(key)
    }

    /// Keeps an entry, unless it is out of date already and there is another.
    pub(crate) fn keep(&self, key: &str, entry: &Arc<CacheEntry>) {
        if entry.is_fresh() || !self.entries.contains_key(key) {
            self.entries.insert(key.into(), Arc::clone(entry));
            // What is too much goes now, not some time.
            self.entries.run_pending_tasks();
        }
    }

    /// Puts `new` in the place of `old`, if that is still there.
    pub(crate) fn replace(&self, key: &str, old: &Arc<CacheEntry>, new: CacheEntry) {
        self.entries.entry(key.into()).and_compute_with(|held| match held {
            Some(held) if Arc::ptr_eq(held.value(), old) => Op::Put(Arc::new(new)),
            _ => Op::Nop,
        });
        self.entries.run_pending_tasks();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.entry_count() == 0
    }

    /// How many there are, and their bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}
