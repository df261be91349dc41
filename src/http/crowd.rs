use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ApiError;

/// How much work is under way. What is ready needs no work and is not counted; neither is waiting for the work of
/// another.
pub struct Crowd(Arc<Semaphore>);

impl Crowd {
    /// So many requests are worked on at a time.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// A place for one request, until it is dropped.
    ///
    /// # Errors
    /// 503 if there is none: a queue would only grow.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| ApiError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_place_beyond_the_last() {
        let crowd = Crowd::new(2);
        let (first, _second) = (crowd.enter().unwrap(), crowd.enter().unwrap());
        assert!(matches!(crowd.enter(), Err(ApiError::Overloaded)));
        drop(first);
        assert!(crowd.enter().is_ok());
    }
}
