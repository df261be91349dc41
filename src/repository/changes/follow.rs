use std::time::Duration;

use docstore::{CollectionVersions, ServerFacts, StalenessBound};

use super::tracker::{ChangeTracker, RETRY_DELAY};
use super::{change_stream, polling};

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
            change_stream::follow(self, engine, max_age).await;
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
            let ping = tokio::time::timeout(PING_TIMEOUT, self.database.ping()).await;
            failed = if ping.is_ok_and(|answer| answer.is_ok()) { 0 } else { failed + 1 };
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
