use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::repository::ChangeTracker;

/// Results are cached for this long, so that concurrent checks cost the store one ping.
const CACHED_FOR: Duration = Duration::from_secs(1);
/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports the health of the store. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    tracker: ChangeTracker,
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Health {
    /// Reports the health of the tracked store.
    pub fn new(tracker: ChangeTracker) -> Self {
        Self { tracker, last: Arc::default() }
    }

    /// Reports whether the store answered a ping within two seconds, now or in the last second.
    pub async fn store_answers(&self) -> bool {
        // The lock is held during the ping, so that concurrent checks wait for its result.
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = *last
            && asked.elapsed() < CACHED_FOR
        {
            return answer;
        }
        let answer = self.tracker.ping(PING_TIMEOUT).await;
        if let Err(error) = &answer {
            tracing::warn!(error = error as &dyn std::error::Error, "the store does not answer");
        }
        let answer = answer.is_ok();
        *last = Some((Instant::now(), answer));
        answer
    }
}
