use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::http::ApiError;

/// Bounds the memory of response bodies: those in the cache, and those that clients are still receiving. A body that is
/// sent to several clients counts once, so that cached responses cost nothing. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    used: Arc<AtomicU64>,
    limit: u64,
}

/// A body of exactly the size that it needs, counted until its last copy is dropped.
struct CountedBody {
    bytes: Box<[u8]>,
    used: Arc<AtomicU64>,
}

impl AsRef<[u8]> for CountedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

impl BodyBudget {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Counts a body.
    ///
    /// # Errors
    /// 503 if the limit is reached.
    pub(super) fn count(&self, body: impl Into<Vec<u8>>) -> Result<Bytes, ApiError> {
        let bytes = body.into().into_boxed_slice();
        let length = bytes.len() as u64;
        // From here on the body counts, also while it is refused.
        let used = self.used.fetch_add(length, Ordering::Relaxed) + length;
        let body = CountedBody { bytes, used: Arc::clone(&self.used) };
        if used > self.limit {
            return Err(ApiError::Overloaded);
        }
        Ok(Bytes::from_owner(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_count_until_their_last_copy_is_dropped() {
        let budget = BodyBudget::new(10);
        let first = budget.count(vec![0; 6]).unwrap();
        assert!(budget.count(vec![0; 5]).is_err());
        let second = budget.count(vec![0; 4]).unwrap();
        let part = first.slice(1..2);
        drop((first, second));
        assert!(budget.count(vec![0; 5]).is_err());
        drop(part);
        assert_eq!(budget.count(vec![0; 10]).unwrap().len(), 10);
    }
}
