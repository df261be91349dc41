use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::repository::{ChangeTracker, Problem};

/// Results are cached for this long, so that concurrent checks cost the store one ping.
const CACHED_FOR: Duration = Duration::from_secs(1);
/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports the health of the store. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    tracker: ChangeTracker,
    last: Arc<Mutex<Option<(Instant, StoreHealth)>>>,
}

/// The health of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// It answers.
    Good,
    /// It answers, with a problem that lets content be served: writes fail, or some documents are damaged.
    Degraded(String),
    /// It does not answer.
    Silent,
    /// It should not be used, for this reason.
    Unfit(String),
}

impl Health {
    /// Reports the health of the tracked store.
    pub fn new(tracker: ChangeTracker) -> Self {
        Self { tracker, last: Arc::default() }
    }

    /// Returns the health of the store, now or in the last second. A store is silent if it does not answer a ping within
    /// two seconds.
    pub async fn store(&self) -> StoreHealth {
        // The lock is held during the ping, so that concurrent checks wait for its result.
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = &*last
            && asked.elapsed() < CACHED_FOR
        {
            return answer.clone();
        }
        let answer = self.ask().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn ask(&self) -> StoreHealth {
        match self.tracker.problem(PING_TIMEOUT).await {
            Some(Problem { reason, serves: false }) => return StoreHealth::Unfit(reason),
            Some(Problem { reason, serves: true }) => return StoreHealth::Degraded(reason),
            None => {}
        }
        match self.tracker.ping(PING_TIMEOUT).await {
            Ok(()) => StoreHealth::Good,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store does not answer");
                StoreHealth::Silent
            }
        }
    }
}
