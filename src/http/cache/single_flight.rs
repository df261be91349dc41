use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::service::ReadTracker;

/// Loads under way, by key: whoever wants the same waits for the one that is there.
pub(crate) struct SingleFlight<T> {
    under_way: Arc<Mutex<HashMap<Box<str>, InFlight<T>>>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

struct InFlight<T> {
    reading: ReadTracker,
    outcome: watch::Receiver<Option<T>>,
}

/// Takes a flight off the board when it ends, however it ends.
struct InFlightGuard<T> {
    under_way: Arc<Mutex<HashMap<Box<str>, InFlight<T>>>>,
    key: Box<str>,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock();
        // Another may have taken its place.
        let is_mine = |flight: &InFlight<T>| flight.outcome.same_channel(&self.outcome.subscribe());
        if under_way.get(&*self.key).is_some_and(is_mine) {
            under_way.remove(&*self.key);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// What `load` comes to, or a load of the same that is under way: if nothing that it has read so far was written
    /// since, it is as good as one that begins now. Says which it was. The load goes on if nobody waits for it any more.
    ///
    /// # Errors
    /// If the load panicked.
    pub(crate) async fn join<F>(
        &self,
        key: &str,
        load: impl FnOnce(ReadTracker) -> F,
    ) -> Result<(T, bool), Panicked>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut outcome, begun) = {
            let mut under_way = self.under_way.lock();
            match under_way.get(key) {
                Some(flight) if flight.reading.is_current() => (flight.outcome.clone(), None),
                _ => {
                    let reading = ReadTracker::default();
                    let (sender, outcome) = watch::channel(None);
                    let flight = InFlight { reading: reading.clone(), outcome: outcome.clone() };
                    under_way.insert(key.into(), flight);
                    let landing = InFlightGuard {
                        under_way: Arc::clone(&self.under_way),
                        key: key.into(),
                        outcome: sender,
                    };
                    (outcome, Some((reading, landing)))
                }
            }
        };
        let joined = begun.is_none();
        if let Some((reading, landing)) = begun {
            let load = load(reading);
            let work = async move {
                let loaded = load.await;
                landing.outcome.send_replace(Some(loaded));
            };
            tokio::spawn(work.in_current_span());
        }
        let loaded = outcome.wait_for(Option::is_some).await.map_err(|_| Panicked)?;
        loaded.clone().map(|loaded| (loaded, joined)).ok_or(Panicked)
    }
}

/// A load panicked; the log has said why.
#[derive(Debug, thiserror::Error)]
#[error("a load panicked")]
pub(crate) struct Panicked;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_who_want_the_same_make_one_load() {
        let flights = Arc::new(SingleFlight::default());
        let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let wait = |key: &'static str| {
            let (flights, loads, gate) = (Arc::clone(&flights), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = |_| async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    key
                };
                flights.join(key, load).await
            })
        };
        let waiting: Vec<_> = (0..50).map(|_| wait("a")).chain([wait("b")]).collect();
        tokio::task::yield_now().await;
        gate.add_permits(2);
        let mut joined = 0;
        for one in waiting {
            joined += usize::from(one.await.unwrap().unwrap().1);
        }
        assert_eq!((loads.load(Ordering::SeqCst), joined), (2, 49));
        assert!(flights.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn a_load_that_panics_leaves_nothing_behind() {
        let flights = SingleFlight::<()>::default();
        assert!(flights.join("a", |_| async { panic!("on purpose") }).await.is_err());
        assert!(flights.join("a", |_| async {}).await.is_ok());
    }
}
