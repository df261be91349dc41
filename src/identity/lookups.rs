use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Lookup, TokenError, VerifiedToken, Verifier};
use crate::clock::{Clock, is_within};

/// The number of concurrent look-ups.
const MAX_LOOKUPS: usize = 64;
/// Those of one client.
const CLIENT_LOOKUPS: usize = 16;
/// The number of look-ups of one client that run or wait.
const CLIENT_REQUESTS: usize = 96;
/// The number of look-ups of all clients that run or wait.
const MAX_REQUESTS: usize = 1024;
/// A look-up of a bad token keeps its place among those of its client for this long, which limits such look-ups to 64 per
/// second and client, and no others.
const FAILURE_HOLD: Duration = Duration::from_millis(250);
/// After this many look-ups in a row without an answer, no more are tried for [`OPEN_FOR`].
const MAX_FAILURES: u32 = 5;
const OPEN_FOR: TimeDelta = TimeDelta::seconds(5);

/// Bounds the look-ups of a verifier that asks an outside party. Clients have a share each, so that a flood of bad tokens
/// from one of them delays no one else; tokens that were valid before have places of their own, so that it does not delay
/// users of the same proxy who are signed in, either.
pub(super) struct BoundedVerifier<V> {
    verifier: V,
    lookups: Arc<Lookups>,
    breaker: CircuitBreaker,
}

impl<V> BoundedVerifier<V> {
    pub(super) fn new(verifier: V, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, lookups: Arc::default(), breaker: CircuitBreaker { clock, state: Mutex::default() } }
    }
}

#[async_trait]
impl<V: Verifier> Verifier for BoundedVerifier<V> {
    async fn verify(&self, lookup: Lookup<'_>) -> Result<VerifiedToken, TokenError> {
        let place = self.lookups.enter(lookup).await?;
        // After the wait, because the issuer may have failed meanwhile.
        self.breaker.check()?;
        let outcome = self.verifier.verify(lookup).await;
        self.breaker.record(!matches!(outcome, Err(TokenError::Unavailable)));
        if matches!(outcome, Err(TokenError::Rejected | TokenError::MissingScope)) {
            place.hold();
        }
        outcome
    }
}

/// The look-ups that run or wait.
struct Lookups {
    running: Arc<Semaphore>,
    returning: Arc<Semaphore>,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    total: usize,
    by_address: HashMap<IpAddr, ClientLookups>,
}

struct ClientLookups {
    /// The number of look-ups that run or wait.
    requests: usize,
    running: Arc<Semaphore>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            returning: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            clients: Mutex::default(),
        }
    }
}

/// A look-up that may run.
struct Place {
    _running: OwnedSemaphorePermit,
    share: Option<Share>,
}

/// The part of a place that belongs to the client's share.
struct Share {
    _running: OwnedSemaphorePermit,
    _request: ClientRequest,
}

/// A look-up of a client that runs or waits.
struct ClientRequest {
    lookups: Arc<Lookups>,
    client: IpAddr,
}

impl Lookups {
    /// Waits for a place.
    ///
    /// # Errors
    /// [`TokenError::Busy`] if too many look-ups wait already.
    async fn enter(self: &Arc<Self>, lookup: Lookup<'_>) -> Result<Place, TokenError> {
        if lookup.was_valid {
            return Ok(Place { _running: acquire(&self.returning).await, share: None });
        }
        let (request, share) = self.register(lookup.client)?;
        let share = Share { _running: acquire(&share).await, _request: request };
        Ok(Place { _running: acquire(&self.running).await, share: Some(share) })
    }

    fn register(self: &Arc<Self>, client: IpAddr) -> Result<(ClientRequest, Arc<Semaphore>), TokenError> {
        let mut clients = self.clients.lock();
        if clients.total >= MAX_REQUESTS {
            return Err(TokenError::Busy);
        }
        let own = clients.by_address.entry(client).or_insert_with(|| ClientLookups {
            requests: 0,
            running: Arc::new(Semaphore::new(CLIENT_LOOKUPS)),
        });
        if own.requests >= CLIENT_REQUESTS {
            return Err(TokenError::Busy);
        }
        own.requests += 1;
        let running = Arc::clone(&own.running);
        clients.total += 1;
        Ok((ClientRequest { lookups: Arc::clone(self), client }, running))
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("the semaphore is never closed")
}

impl Place {
    /// Keeps the client's share for a while.
    fn hold(self) {
        if let Some(share) = self.share {
            tokio::spawn(async move {
                tokio::time::sleep(FAILURE_HOLD).await;
                drop(share);
            });
        }
    }
}

impl Drop for ClientRequest {
    fn drop(&mut self) {
        let mut clients = self.lookups.clients.lock();
        clients.total -= 1;
        match clients.by_address.get_mut(&self.client) {
            Some(own) if own.requests > 1 => own.requests -= 1,
            _ => _ = clients.by_address.remove(&self.client),
        }
    }
}

/// Stops look-ups for a while when the issuer does not answer, so that requests fail at once instead of waiting for it.
struct CircuitBreaker {
    clock: Arc<dyn Clock>,
    state: Mutex<BreakerState>,
}

#[derive(Default)]
struct BreakerState {
    /// The number of look-ups in a row without an answer.
    failures: u32,
    /// The start of the pause.
    paused: Option<DateTime<Utc>>,
}

impl CircuitBreaker {
    /// Admits a look-up. After a pause, one is admitted as a trial.
    fn check(&self) -> Result<(), TokenError> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        match state.paused {
            Some(start) if is_within(OPEN_FOR, start, now) => Err(TokenError::Unavailable),
            Some(_) => {
                state.paused = Some(now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn record(&self, answered: bool) {
        let mut state = self.state.lock();
        if answered {
            *state = BreakerState::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures == MAX_FAILURES {
            tracing::warn!("the issuer of tokens does not answer; pausing look-ups");
        }
        if state.failures >= MAX_FAILURES {
            state.paused = Some(self.clock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;

    #[test]
    fn pause_of_look_ups_is_not_longer_after_the_clock_was_set_back() {
        for by in [OPEN_FOR, -TimeDelta::hours(1)] {
            let clock = FixedClock::at(DateTime::UNIX_EPOCH);
            let breaker = CircuitBreaker { clock: Arc::new(clock.clone()), state: Mutex::default() };
            (0..MAX_FAILURES).for_each(|_| breaker.record(false));
            assert!(breaker.check().is_err());
            clock.advance(by);
            assert!(breaker.check().is_ok(), "one look-up is tried");
            assert!(breaker.check().is_err(), "and no second one");
            breaker.record(true);
            assert!(breaker.check().is_ok());
        }
    }
}
