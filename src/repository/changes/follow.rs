use std::sync::atomic::Ordering;
use std::time::Duration;

use docstore::{CollectionVersions, ServerFacts, StalenessBound};

use super::tracker::{ChangeTracker, PAUSE};
use super::{change_stream, polling};

/// How often it is asked for a sign of life, and how long it has to give one.
const HEARTBEAT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// After so many heartbeats without an answer the store is away.
const SILENT: u32 = 2;

impl ChangeTracker {
    /// Learns what others write, until the database is closed or the future is dropped. Whatever was made longer than
    /// `unseen` ago counts as out of date where and while others can write without being seen.
    pub async fn follow(&self, unseen: Duration) {
        self.set_max_age(unseen);
        let _until_it_ends = FollowGuard(self.database.versions());
        tokio::select! {
            () = self.learn(unseen) => {}
            () = self.listen() => {}
        }
    }

    async fn learn(&self, unseen: Duration) {
        let facts = loop {
            match self.database.facts().await {
                Ok(facts) => break facts,
                Err(error) => {
                    tracing::warn!(%error, "the store does not say what it is; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let ServerFacts { precise_changes, engine, .. } = facts;
        if precise_changes {
            change_stream::follow(self, engine, unseen).await;
        } else {
            // A total may be as old as that when it is rendered, and what is rendered as old again.
            self.set_max_age(unseen / 2);
            polling::follow(self).await;
        }
    }

    /// Asks for signs of life.
    async fn listen(&self) {
        let mut silent = 0;
        loop {
            tokio::time::sleep(HEARTBEAT.0).await;
            let answers =
                tokio::time::timeout(HEARTBEAT.1, self.database.ping()).await.is_ok_and(|a| a.is_ok());
            silent = if answers { 0 } else { silent + 1 };
            let away = silent >= SILENT;
            self.state.is_away.store(away, Ordering::Relaxed);
            let turned = self.state.away.send_if_modified(|was| std::mem::replace(was, away) != away);
            match (turned, away) {
                (true, true) => tracing::warn!("the store is away: what is rendered is served all the same"),
                (true, false) => tracing::info!("the store is back"),
                (false, _) => {}
            }
        }
    }
}

/// Once nobody learns any more what others write, nothing is to be trusted.
struct FollowGuard<'a>(&'a CollectionVersions);

impl Drop for FollowGuard<'_> {
    fn drop(&mut self) {
        self.0.set_staleness_bound(StalenessBound::Unknown);
    }
}
