use std::sync::Arc;
use std::time::Duration;

use docstore::bson::DateTime;
use migrator::{Observer, Settings};

/// Returns the settings of all processes of a test, with a fixed clock so that results can be compared.
pub(crate) fn settings(observer: Option<Arc<dyn Observer>>) -> Settings {
    Settings {
        // Short, so that a successor takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        first_batch: 100,
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    }
}
