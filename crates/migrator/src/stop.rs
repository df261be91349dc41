use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// Says that a run is to end at the next place between two batches. Clones are the same flag.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// A flag that nobody has raised.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Raises it. It stays up.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is up.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Comes back when it is up.
    pub async fn requested(&self) {
        // The sender lives as long as we do, so this ends only when the value is true.
        let _ = self.0.subscribe().wait_for(|up| *up).await;
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
