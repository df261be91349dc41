use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::ApiError;

/// How much work is under way. What is ready needs no work and is not counted; neither is waiting for the work of
/// another, or for what a client sends.
pub struct ConcurrencyLimit {
    working: Arc<Semaphore>,
    receiving: Semaphore,
}

/// A place among those that are worked on, until the last copy is dropped.
#[derive(Clone)]
pub(crate) struct Permit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl ConcurrencyLimit {
    /// So many requests are worked on at a time, and the bodies of as many are waited for.
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { working: Arc::new(Semaphore::new(most)), receiving: Semaphore::new(most) }
    }

    /// A place for one request.
    ///
    /// # Errors
    /// 503 if there is none: a queue would only grow.
    pub(crate) fn enter(&self) -> Result<Permit, ApiError> {
        self.permit().map(|permit| Permit(Arc::new(Mutex::new(Some(permit)))))
    }

    /// Waits for what the client sends, and has no place meanwhile: who sends slowly keeps nobody from reading.
    ///
    /// # Errors
    /// 503 if too many are waited for, or if there is no place afterwards.
    pub(crate) async fn outside<T>(
        &self,
        place: &Permit,
        sent: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let receiving = self.receiving.try_acquire().map_err(|_| ApiError::Overloaded)?;
        place.put(None);
        let sent = sent.await;
        drop(receiving);
        place.put(Some(self.permit()?));
        Ok(sent)
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.working).try_acquire_owned().map_err(|_| ApiError::Overloaded)
    }
}

impl Permit {
    fn put(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.0.lock() = permit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_place_beyond_the_last() {
        let crowd = ConcurrencyLimit::new(2);
        let (first, _second) = (crowd.enter().unwrap(), crowd.enter().unwrap());
        assert!(matches!(crowd.enter(), Err(ApiError::Overloaded)));
        drop(first);
        assert!(crowd.enter().is_ok());
    }

    #[tokio::test]
    async fn who_sends_slowly_takes_no_place() {
        let crowd = ConcurrencyLimit::new(1);
        let place = crowd.enter().unwrap();
        let while_it_sends = crowd.outside(&place, async {
            assert!(crowd.enter().is_ok());
            // As many are waited for as are worked on.
            let other = crowd.enter().unwrap();
            assert!(matches!(crowd.outside(&other, async {}).await, Err(ApiError::Overloaded)));
        });
        while_it_sends.await.unwrap();
        assert!(matches!(crowd.enter(), Err(ApiError::Overloaded)));
        // Nobody waits for a place that was taken meanwhile.
        let taken = crowd.outside(&place, async { crowd.enter().unwrap() }).await;
        assert!(matches!(taken, Err(ApiError::Overloaded)));
    }
}
