use std::time::{Duration, Instant};

use docstore::{Change, EngineKind, StalenessBound};

use super::tracker::{ChangeTracker, POLL_INTERVAL, RETRY_DELAY};

/// Records changes from the store's change feed until the database is closed. While the feed is broken, results older
/// than `max_age` are stale.
pub(super) async fn follow(tracker: &ChangeTracker, engine: EngineKind, max_age: Duration) {
    let database = &tracker.database;
    let versions = database.versions();
    loop {
        let mut feed = match database.watch(POLL_INTERVAL).await {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(%error, "failed to watch changes; retrying");
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        // Writes before the feed was opened are not in it.
        versions.record_change_anywhere();
        versions.set_staleness_bound(StalenessBound::Zero);
        tracker.set_max_age(Duration::ZERO);
        tracker.set_last_seen(Instant::now());
        loop {
            // A feed is silent while nothing is written, and reports when it breaks. A polling feed has polled by now.
            let Ok(change) = tokio::time::timeout(2 * POLL_INTERVAL, feed.next()).await else {
                if !tracker.store_is_away() {
                    tracker.set_last_seen(Instant::now());
                }
                continue;
            };
            match change {
                // The embedded store names only writes of this process, which are recorded already.
                Ok(Some(Change::Document { .. })) if engine == EngineKind::Embedded => {}
                Ok(Some(Change::Document { collection, id, .. })) => {
                    versions.record_document_change(&collection, &id);
                }
                Ok(Some(Change::Unknown)) => versions.record_change_anywhere(),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the change feed broke; reopening it");
                    versions.set_staleness_bound(StalenessBound::Unknown);
                    tracker.set_max_age(max_age);
                    break;
                }
            }
            tracker.set_last_seen(Instant::now());
        }
    }
}
