use std::collections::HashMap;
use std::sync::{Arc, Weak};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::{Identity, TokenError, VerifiedToken, Verifier};
use crate::clock::Clock;
use crate::repository::User;

/// So many tokens are known at a time.
const MOST: usize = 1000;
/// A good token is believed for so long, or until it ends.
const GOOD: TimeDelta = TimeDelta::seconds(300);
/// A bad one is not asked about again for so long.
const BAD: TimeDelta = TimeDelta::seconds(10);
/// When nobody could say, those who wait are told the same, and the next one asks again.
const UNKNOWN: TimeDelta = TimeDelta::seconds(1);

type Key = [u8; 32];

/// Somebody whose token is good.
pub(super) struct Known {
    pub(super) identity: Identity,
    /// Their user document, once it was looked up.
    pub(super) user: OnceCell<User>,
}

type Outcome = Result<Arc<Known>, TokenError>;

/// Remembers what is known of tokens, by their digest. Requests with one token that is not known yet ask once.
pub(super) struct TokenCache {
    verifier: Arc<dyn Verifier>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Tokens that are being asked about. Whoever holds the lock asks, the others wait for it.
    flights: HashMap<Key, Weak<tokio::sync::Mutex<()>>>,
}

struct Entry {
    until: DateTime<Utc>,
    outcome: Outcome,
}

impl TokenCache {
    pub(super) fn new(verifier: Arc<dyn Verifier>, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, clock, state: Mutex::default() }
    }

    /// Whose the token is.
    pub(super) async fn verify(&self, token: &str) -> Outcome {
        let key = digest(token);
        if let Some(outcome) = self.fresh(&key) {
            return outcome;
        }
        let flight = self.flight(key);
        let _asking = flight.lock().await;
        if let Some(outcome) = self.fresh(&key) {
            return outcome;
        }
        let verified = self.verifier.verify(token).await;
        let now = self.clock.now();
        let (until, outcome) = match verified {
            Ok(VerifiedToken { identity, expires }) => {
                let until = expires.map_or(now + GOOD, |expires| expires.min(now + GOOD));
                (until, Ok(Arc::new(Known { identity, user: OnceCell::new() })))
            }
            Err(refusal @ (TokenError::Rejected | TokenError::MissingScope)) => (now + BAD, Err(refusal)),
            Err(refusal @ TokenError::Unavailable) => (now + UNKNOWN, Err(refusal)),
        };
        self.state().keep(key, Entry { until, outcome: outcome.clone() }, now);
        outcome
    }

    /// Whether the token is known to be good, without asking anybody.
    pub(super) fn knows(&self, token: &str) -> bool {
        matches!(self.fresh(&digest(token)), Some(Ok(_)))
    }

    fn fresh(&self, key: &Key) -> Option<Outcome> {
        let now = self.clock.now();
        let state = self.state();
        state.entries.get(key).filter(|entry| now < entry.until).map(|entry| entry.outcome.clone())
    }

    fn flight(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let flights = &mut self.state().flights;
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert(key, Arc::downgrade(&flight));
        flight
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn keep(&mut self, key: Key, entry: Entry, now: DateTime<Utc>) {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| now < entry.until);
            // The one that ends first goes: bad tokens before good ones.
            while self.entries.len() >= MOST
                && let Some(first) = self.entries.iter().min_by_key(|(_, e)| e.until).map(|(key, _)| *key)
            {
                self.entries.remove(&first);
            }
        }
        self.entries.insert(key, entry);
    }
}

fn digest(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::clock::FixedClock;

    /// Tokens that start with `good` are good; it counts how often it is asked.
    #[derive(Default)]
    struct Counting {
        asked: AtomicUsize,
        expires: Option<DateTime<Utc>>,
    }

    #[async_trait]
    impl Verifier for Counting {
        async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            match token {
                "down" => Err(TokenError::Unavailable),
                _ if token.starts_with("good") => Ok(VerifiedToken {
                    identity: Identity {
                        email: "jo@example.com".into(),
                        name: "Jo".into(),
                        avatar_url: None,
                        account: None,
                    },
                    expires: self.expires,
                }),
                _ => Err(TokenError::Rejected),
            }
        }
    }

    fn cache(expires: Option<TimeDelta>) -> (Arc<Counting>, FixedClock, TokenCache) {
        let clock = FixedClock::at(DateTime::UNIX_EPOCH);
        let expires = expires.map(|after| DateTime::UNIX_EPOCH + after);
        let verifier = Arc::new(Counting { expires, ..Counting::default() });
        let cache = TokenCache::new(verifier.clone(), Arc::new(clock.clone()));
        (verifier, clock, cache)
    }

    /// How long an outcome is remembered, in seconds.
    async fn remembered(token: &str, expires: Option<TimeDelta>) -> i64 {
        let (verifier, clock, cache) = cache(expires);
        let mut seconds = 0;
        while verifier.asked.load(Ordering::SeqCst) < 2 {
            _ = cache.verify(token).await;
            clock.advance(TimeDelta::seconds(1));
            seconds += 1;
        }
        seconds - 1
    }

    #[tokio::test]
    async fn good_tokens_are_believed_until_they_end_and_bad_ones_briefly() {
        assert_eq!(remembered("good", None).await, 300);
        assert_eq!(remembered("good", Some(TimeDelta::seconds(3600))).await, 300);
        assert_eq!(remembered("good", Some(TimeDelta::seconds(42))).await, 42);
        assert_eq!(remembered("bad", None).await, 10);
        assert_eq!(remembered("down", None).await, 1);
    }

    #[tokio::test]
    async fn many_requests_with_one_cold_token_ask_once() {
        for token in ["good", "bad", "down"] {
            let (verifier, _clock, cache) = cache(None);
            let all = futures_util::future::join_all((0..50).map(|_| cache.verify(token))).await;
            assert_eq!(
                all.iter().filter(|outcome| outcome.is_ok()).count(),
                if token == "good" { 50 } else { 0 }
            );
            assert_eq!(verifier.asked.load(Ordering::SeqCst), 1, "{token}");
        }
    }

    #[tokio::test]
    async fn one_who_gives_up_does_not_keep_the_others_waiting() {
        let (verifier, _clock, cache) = cache(None);
        {
            let mut first = Box::pin(cache.verify("good"));
            assert!(futures_util::poll!(&mut first).is_pending());
        }
        assert!(cache.verify("good").await.is_ok());
        assert_eq!(verifier.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn bad_tokens_cannot_push_out_good_ones() {
        let (_verifier, _clock, cache) = cache(None);
        _ = cache.verify("good").await;
        for n in 0..2 * MOST {
            _ = cache.verify(&format!("bad {n}")).await;
        }
        assert!(cache.knows("good"));
        assert!(!cache.knows("bad 1999"));
        let state = cache.state();
        assert_eq!(state.entries.len(), MOST);
        assert!(state.flights.len() <= 1);
    }
}
