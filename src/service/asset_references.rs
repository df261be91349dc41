use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;

use super::Error;
use crate::domain::ReferrerType;
use crate::repository::{ChangeTracker, ReadSet, ReadTracker, Referrers, ReferringItem};

/// The number of types of items that can refer to files.
const TYPES: usize = ReferrerType::ALL.len();

/// The content that refers to files of the library. Finding it takes a read of all content, so the result is kept in memory
/// for each type of content until that changes. Cheap to clone.
#[derive(Clone)]
pub(super) struct AssetReferences {
    referrers: Referrers,
    tracker: ChangeTracker,
    /// By the position of the type in [`ReferrerType::ALL`]. A request that reads holds the lock, and others wait for its
    /// result.
    kept: Arc<[Mutex<Option<Kept>>; TYPES]>,
}

/// The referring items of one type.
struct Kept {
    items: Arc<[ReferringItem]>,
    reads: ReadSet,
    made: Instant,
}

impl AssetReferences {
    /// Reads content through `referrers`.
    pub(super) fn new(referrers: Referrers, tracker: ChangeTracker) -> Self {
        Self { referrers, tracker, kept: Arc::default() }
    }

    /// Returns all items that refer to files of the library, by their types and ids.
    pub(super) async fn all(&self) -> Result<[Arc<[ReferringItem]>; TYPES], Error> {
        let mut all = [const { None }; TYPES];
        for ((kind, kept), items) in ReferrerType::ALL.iter().zip(&*self.kept).zip(&mut all) {
            let mut kept = kept.lock().await;
            let is_valid = |kept: &&Kept| self.tracker.holds(&kept.reads, kept.made);
            *items = Some(match kept.as_ref().filter(is_valid) {
                Some(kept) => Arc::clone(&kept.items),
                None => Arc::clone(&kept.insert(self.read(*kind).await?).items),
            });
        }
        Ok(all.map(|items| items.expect("there is one for each type")))
    }

    async fn read(&self, kind: ReferrerType) -> Result<Kept, Error> {
        let (tracker, made) = (ReadTracker::default(), Instant::now());
        let found = tracker.track(self.referrers.find(kind)).await?;
        Ok(Kept { items: found.into(), reads: tracker.so_far(), made })
    }
}
