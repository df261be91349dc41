use std::time::{Duration, Instant};

use docstore::{Change, CollectionVersions, EngineKind, ServerFacts, StalenessBound};

use super::polling;
use super::tracker::{ChangeTracker, POLL_INTERVAL, RETRY_DELAY};

/// The interval between pings.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// After this number of failed pings the store is away.
const MAX_FAILED_PINGS: u32 = 2;

impl ChangeTracker {
    /// Follows the writes of other processes until the database is closed or the future is dropped. Results older than
    /// `max_age` are stale where and while other processes can write unseen.
    pub async fn follow(&self, max_age: Duration) {
        self.set_max_age(max_age);
        let _guard = FollowGuard(self.database.versions());
        tokio::select! {
            () = self.follow_writes(max_age) => {}
            () = self.follow_availability() => {}
        }
    }

    async fn follow_writes(&self, max_age: Duration) {
        let facts = loop {
            match self.database.facts().await {
                Ok(facts) => break facts,
                Err(error) => {
                    tracing::warn!(%error, "failed to read the server's capabilities; retrying");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        };
        let ServerFacts { precise_changes, engine, .. } = facts;
        if precise_changes {
            follow_feed(self, engine, max_age).await;
        } else {
            // A total may have this age when it is rendered, and the response this age again.
            self.set_max_age(max_age / 2);
            polling::follow(self).await;
        }
    }

    /// Pings the store.
    async fn follow_availability(&self) {
        let mut failed = 0;
        loop {
            tokio::time::sleep(PING_INTERVAL).await;
            failed = if self.ping(PING_TIMEOUT).await.is_ok() { 0 } else { failed + 1 };
            let away = failed >= MAX_FAILED_PINGS;
            match (self.set_away(away), away) {
                (true, true) => {
                    tracing::warn!("the store is away: cached responses are served even if stale");
                }
                (true, false) => tracing::info!("the store is back"),
                (false, _) => {}
            }
        }
    }
}

/// Stops trust in cached results when nothing follows the writes of other processes any more.
struct FollowGuard<'a>(&'a CollectionVersions);

impl Drop for FollowGuard<'_> {
    fn drop(&mut self) {
        self.0.set_staleness_bound(StalenessBound::Unknown);
    }
}

/// Records changes from the store's change feed until the database is closed. While the feed is broken, results older
/// than `max_age` are stale.
async fn follow_feed(tracker: &ChangeTracker, engine: EngineKind, max_age: Duration) {
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
                Ok(Some(Change::Document { collection, id, in_transaction })) => {
                    versions.record_document_change(&collection, &id, in_transaction);
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
