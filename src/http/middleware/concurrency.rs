use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::ApiError;

/// Limits concurrent requests. Cache hits, requests that join an in-flight load, and requests still receiving their body
/// are not counted.
pub struct ConcurrencyLimit {
    running: Arc<Semaphore>,
    receiving: Semaphore,
}

/// The permit of a running request, released when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Permit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl ConcurrencyLimit {
    /// Allows `limit` requests to run, and as many more to receive their bodies.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(limit)), receiving: Semaphore::new(limit) }
    }

    /// Acquires a permit for one request.
    ///
    /// # Errors
    /// 503 if the limit is reached. Requests are not queued: the queue would only grow.
    pub(crate) fn try_acquire(&self) -> Result<Permit, ApiError> {
        self.try_acquire_running().map(|permit| Permit(Arc::new(Mutex::new(Some(permit)))))
    }

    /// Receives a body while the permit is released, so that slow clients do not block other requests.
    ///
    /// # Errors
    /// 503 if too many bodies are being received, or if no permit is available afterwards.
    pub(crate) async fn without_permit<T>(
        &self,
        permit: &Permit,
        receive: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let receiving = self.receiving.try_acquire().map_err(|_| ApiError::Overloaded)?;
        *permit.0.lock() = None;
        let received = receive.await;
        drop(receiving);
        *permit.0.lock() = Some(self.try_acquire_running()?);
        Ok(received)
    }

    fn try_acquire_running(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.running).try_acquire_owned().map_err(|_| ApiError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_limit_are_refused() {
        let limit = ConcurrencyLimit::new(2);
        let (first, _second) = (limit.try_acquire().unwrap(), limit.try_acquire().unwrap());
        assert!(matches!(limit.try_acquire(), Err(ApiError::Overloaded)));
        drop(first);
        assert!(limit.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn receiving_a_body_holds_no_permit() {
        let limit = ConcurrencyLimit::new(1);
        let permit = limit.try_acquire().unwrap();
        let receiving = limit.without_permit(&permit, async {
            assert!(limit.try_acquire().is_ok());
            // The number of bodies is limited, too.
            let other = limit.try_acquire().unwrap();
            assert!(matches!(limit.without_permit(&other, async {}).await, Err(ApiError::Overloaded)));
        });
        receiving.await.unwrap();
        assert!(matches!(limit.try_acquire(), Err(ApiError::Overloaded)));
        // It does not wait for a permit that another request has acquired in the meantime.
        let taken = limit.without_permit(&permit, async { limit.try_acquire().unwrap() }).await;
        assert!(matches!(taken, Err(ApiError::Overloaded)));
    }
}
