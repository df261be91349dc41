use std::future::Future;
use std::panic::resume_unwind;

use tracing::Instrument as _;

use crate::{Error, Result};

/// Runs work in its own task, so that it completes even if the caller is dropped. A panic is propagated to the caller.
///
/// # Errors
/// [`Error::Unavailable`] if the process ends before the work does.
pub async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work.in_current_span()).await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Error::Unavailable("the process is shutting down".into()),
    })
}
