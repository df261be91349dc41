use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::repository::{Error, Probe};

/// An answer is good for so long: many questions at once cost the store one.
const FRESH: Duration = Duration::from_secs(1);
/// The store has so long to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Whether the store answers. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    probe: Probe,
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Health {
    /// Asks by this probe.
    pub fn new(probe: Probe) -> Self {
        Self { probe, last: Arc::default() }
    }

    /// Whether the store answered within two seconds, now or in the last second.
    pub async fn store_answers(&self) -> bool {
        // ContentCounts while asking, so that the others wait for this one's answer.
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = *last
            && asked.elapsed() < FRESH
        {
            return answer;
        }
        let answer = match self.probe.ping(DEADLINE).await {
            Ok(()) => true,
            Err(Error::Unavailable(error) | Error::Store(error)) => {
                tracing::warn!(error = %error, "the store does not answer");
                false
            }
            Err(Error::Corrupt { .. } | Error::Duplicate { .. } | Error::Cursor) => false,
        };
        *last = Some((Instant::now(), answer));
        answer
    }
}
