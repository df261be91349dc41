use std::future::Future;
use std::panic::resume_unwind;

use tracing::Instrument as _;

use crate::{Error, Result};

/// Carries work out in a task of its own: once begun it goes on to its end, whether anybody waits for it or not. If it
/// panics, so does who waits.
///
/// # Errors
/// [`Error::Unavailable`] if the process ends before the work does.
pub async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work.in_current_span()).await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Error::Unavailable("the process is ending".into()),
    })
}
