use std::time::{Duration, Instant};

use docstore::{Change, EngineKind, StalenessBound};

use super::tracker::{ChangeTracker, PAUSE, POLL};

/// Passes on what the store tells, until the database is closed. While it tells nothing, what was made longer than
/// `unseen` ago is out of date.
pub(super) async fn follow(tracker: &ChangeTracker, engine: EngineKind, unseen: Duration) {
    let database = &tracker.database;
    let revisions = database.versions();
    loop {
        let mut feed = match database.watch(POLL).await {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(%error, "changes cannot be watched; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // What was written before the feed was open is not in it.
        revisions.all_changed();
        revisions.set_staleness_bound(StalenessBound::Zero);
        tracker.set_max_age(Duration::ZERO);
        tracker.last_seen(Instant::now());
        loop {
            // A feed is silent while nothing is written, and says so if it breaks. A feed that looks at intervals has looked
            // by now.
            let Ok(change) = tokio::time::timeout(2 * POLL, feed.next()).await else {
                if !tracker.store_is_away() {
                    tracker.last_seen(Instant::now());
                }
                continue;
            };
            match change {
                // Of the embedded store only our own writes come by name, and they are known.
                Ok(Some(Change::Document { .. })) if engine == EngineKind::Embedded => {}
                Ok(Some(Change::Document { collection, id, .. })) => {
                    revisions.changed_document(&collection, &id);
                }
                Ok(Some(Change::Unknown)) => revisions.all_changed(),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the feed of changes broke; opening it anew");
                    revisions.set_staleness_bound(StalenessBound::Unknown);
                    tracker.set_max_age(unseen);
                    break;
                }
            }
            tracker.last_seen(Instant::now());
        }
    }
}
