use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::service::ReadTracker;

type InFlightMap<T> = Arc<Mutex<HashMap<Box<str>, InFlight<T>>>>;

/// The loads in flight, by key. Concurrent requests for the same key share one load.
pub(crate) struct SingleFlight<T> {
    in_flight: InFlightMap<T>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { in_flight: Arc::default() }
    }
}

struct InFlight<T> {
    reads: ReadTracker,
    outcome: watch::Receiver<Option<T>>,
}

/// Removes a load from the map when it ends, even if it panics.
struct InFlightGuard<T> {
    in_flight: InFlightMap<T>,
    key: Box<str>,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.lock();
        // A later load may have replaced this one.
        let is_this = |load: &InFlight<T>| load.outcome.same_channel(&self.outcome.subscribe());
        if in_flight.get(&*self.key).is_some_and(is_this) {
            in_flight.remove(&*self.key);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Returns the outcome of `load`, or of a load of the same key that is in flight, and whether it was joined. A load is
    /// joined only if nothing that it has read so far was written since: then it is as good as one that starts now. It
    /// runs to its end even if no one waits for it any more.
    ///
    /// # Errors
    /// If the load panicked.
    pub(crate) async fn join<F>(
        &self,
        key: &str,
        load: impl FnOnce(ReadTracker) -> F,
    ) -> Result<(T, bool), LoadPanicked>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut outcome, started) = {
            let mut in_flight = self.in_flight.lock();
            match in_flight.get(key) {
                Some(current) if current.reads.is_current() => (current.outcome.clone(), None),
                _ => {
                    let reads = ReadTracker::default();
                    let (sender, outcome) = watch::channel(None);
                    in_flight.insert(key.into(), InFlight { reads: reads.clone(), outcome: outcome.clone() });
                    let in_flight = Arc::clone(&self.in_flight);
                    (outcome, Some((reads, InFlightGuard { in_flight, key: key.into(), outcome: sender })))
                }
            }
        };
        let joined = started.is_none();
        if let Some((reads, guard)) = started {
            let load = load(reads);
            let work = async move {
                let outcome = load.await;
                guard.outcome.send_replace(Some(outcome));
            };
            tokio::spawn(work.in_current_span());
        }
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| LoadPanicked)?;
        Ok((outcome.clone().expect("the channel was waited for until it held an outcome"), joined))
    }
}

/// The load panicked. The panic itself is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the load panicked")]
pub(crate) struct LoadPanicked;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn concurrent_requests_for_one_key_share_one_load() {
        let single_flight = Arc::new(SingleFlight::default());
        let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let wait = |key: &'static str| {
            let (single_flight, loads, gate) =
                (Arc::clone(&single_flight), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = |_| async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    key
                };
                single_flight.join(key, load).await
            })
        };
        let waiting: Vec<_> = (0..50).map(|_| wait("a")).chain([wait("b")]).collect();
        tokio::task::yield_now().await;
        gate.add_permits(2);
        let mut joined = 0;
        for request in waiting {
            joined += usize::from(request.await.unwrap().unwrap().1);
        }
        assert_eq!((loads.load(Ordering::SeqCst), joined), (2, 49));
        assert!(single_flight.in_flight.lock().is_empty());
    }

    #[tokio::test]
    async fn panicked_load_is_removed() {
        let single_flight = SingleFlight::<()>::default();
        assert!(single_flight.join("a", |_| async { panic!("on purpose") }).await.is_err());
        assert!(single_flight.join("a", |_| async {}).await.is_ok());
    }
}
