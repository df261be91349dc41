use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// A flag that stops a run at the next boundary between two batches. Clones share the flag.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Creates a flag that is not set.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Sets the flag for good.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether the flag is set.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the flag is set.
    pub async fn requested(&self) {
        // The sender lives as long as `self`, so this only returns once the value is true.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_requested()).finish()
    }
}
