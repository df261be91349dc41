use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, OnceCell};

use super::{Identity, Lookup, TokenError, VerifiedToken, Verifier};
use crate::clock::{Clock, is_within};
use crate::repository::User;

/// The maximum number of cached valid tokens.
const MAX_TOKENS: u64 = 1000;
/// The maximum number of cached rejected tokens, about 200 bytes each.
const MAX_REJECTED: u64 = 10_000;
/// Longer tokens are rejected. Those of Google have up to 2048 bytes.
const MAX_LENGTH: usize = 4096;
/// A valid token is cached for this long, or until it expires.
const VALID_FOR: TimeDelta = TimeDelta::seconds(300);
/// A rejected token is cached for this long.
const REJECTED_FOR: TimeDelta = TimeDelta::seconds(60);
/// If the issuer does not answer, requests that wait for it fail too, and the next one asks again.
const UNAVAILABLE_FOR: TimeDelta = TimeDelta::seconds(1);

/// The SHA-256 digest of a token.
type Digest = [u8; 32];

/// The owner of a valid token.
pub(super) struct TokenOwner {
    pub(super) identity: Identity,
    /// The user document, once it was read.
    pub(super) user: OnceCell<User>,
}

/// An outcome that counts for a period.
#[derive(Clone)]
struct Cached<T> {
    outcome: T,
    since: DateTime<Utc>,
    period: TimeDelta,
}

impl<T> Cached<T> {
    /// Returns the outcome if it still counts.
    fn current(self, now: DateTime<Utc>) -> Option<T> {
        is_within(self.period, self.since, now).then_some(self.outcome)
    }
}

/// Caches the verification of tokens, by their digest. Concurrent requests with one new token share one verification.
pub(super) struct TokenCache {
    verifier: Arc<dyn Verifier>,
    clock: Arc<dyn Clock>,
    /// Valid tokens, apart from rejected ones, which therefore cannot evict them.
    valid: Cache<Digest, Cached<Arc<TokenOwner>>>,
    /// Tokens that are being verified or were rejected. A request that verifies holds the lock; the others wait.
    others: Cache<Digest, Arc<Mutex<Option<Cached<TokenError>>>>>,
}

impl TokenCache {
    pub(super) fn new(verifier: Arc<dyn Verifier>, clock: Arc<dyn Clock>) -> Self {
        Self {
            verifier,
            clock,
            valid: least_recently_used(MAX_TOKENS),
            others: least_recently_used(MAX_REJECTED),
        }
    }

    /// Returns what is known of a token, without waiting.
    pub(super) fn recall(&self, token: &str) -> Option<Result<Arc<TokenOwner>, TokenError>> {
        if token.len() > MAX_LENGTH {
            return Some(Err(TokenError::Rejected));
        }
        let digest = digest(token);
        if let Some(owner) = self.valid_owner(&digest) {
            return Some(Ok(owner));
        }
        let slot = self.others.get(&digest)?;
        let rejection = slot.try_lock().ok()?;
        self.current_rejection(rejection.as_ref()).map(Err)
    }

    /// Returns the owner of a token, which it verifies for `client` if it is not known.
    pub(super) async fn verify(&self, token: &str, client: IpAddr) -> Result<Arc<TokenOwner>, TokenError> {
        let digest = digest(token);
        let slot = self.others.get_with(digest, Arc::default);
        let mut rejection = slot.lock().await;
        if let Some(owner) = self.valid_owner(&digest) {
            return Ok(owner);
        }
        if let Some(error) = self.current_rejection(rejection.as_ref()) {
            return Err(error);
        }
        let was_valid = self.valid.contains_key(&digest);
        let verified = self.verifier.verify(Lookup { token, client, was_valid }).await;
        let now = self.clock.now();
        match verified {
            Ok(VerifiedToken { identity, expires }) => {
                let period = expires.map_or(VALID_FOR, |expires| VALID_FOR.min(expires - now));
                let owner = Arc::new(TokenOwner { identity, user: OnceCell::new() });
                self.valid.insert(digest, Cached { outcome: Arc::clone(&owner), since: now, period });
                self.others.invalidate(&digest);
                Ok(owner)
            }
            Err(error) => {
                let period = match error {
                    TokenError::Rejected | TokenError::MissingScope => Some(REJECTED_FOR),
                    TokenError::Unavailable => Some(UNAVAILABLE_FOR),
                    // Says nothing about the token.
                    TokenError::Busy => None,
                };
                *rejection = period.map(|period| Cached { outcome: error, since: now, period });
                Err(error)
            }
        }
    }

    fn current_rejection(&self, cached: Option<&Cached<TokenError>>) -> Option<TokenError> {
        cached.cloned()?.current(self.clock.now())
    }

    fn valid_owner(&self, digest: &Digest) -> Option<Arc<TokenOwner>> {
        self.valid.get(digest)?.current(self.clock.now())
    }
}

/// Creates a cache that always admits a new entry: the default policy may reject one in favor of expired tokens.
fn least_recently_used<V: Clone + Send + Sync + 'static>(capacity: u64) -> Cache<Digest, V> {
    Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build()
}

fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::clock::FixedClock;

    /// Accepts tokens that start with `good`, and counts verifications.
    #[derive(Default)]
    struct Counting {
        asked: AtomicUsize,
        was_valid: AtomicBool,
        expires: Option<DateTime<Utc>>,
    }

    #[async_trait]
    impl Verifier for Counting {
        async fn verify(
            &self,
            Lookup { token, was_valid, .. }: Lookup<'_>,
        ) -> Result<VerifiedToken, TokenError> {
            self.was_valid.store(was_valid, Ordering::SeqCst);
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

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Returns what a request gets.
    async fn ask(cache: &TokenCache, token: &str) -> Result<Arc<TokenOwner>, TokenError> {
        match cache.recall(token) {
            Some(outcome) => outcome,
            None => cache.verify(token, CLIENT).await,
        }
    }

    /// Returns how long an outcome is cached, in seconds.
    async fn cached_seconds(token: &str, expires: Option<TimeDelta>) -> i64 {
        let (verifier, clock, cache) = cache(expires);
        let mut seconds = 0;
        while verifier.asked.load(Ordering::SeqCst) < 2 {
            _ = ask(&cache, token).await;
            clock.advance(TimeDelta::seconds(1));
            seconds += 1;
        }
        seconds - 1
    }

    #[tokio::test]
    async fn valid_tokens_are_cached_until_expiry_and_rejected_ones_briefly() {
        assert_eq!(cached_seconds("good", None).await, 300);
        assert_eq!(cached_seconds("good", Some(TimeDelta::seconds(3600))).await, 300);
        assert_eq!(cached_seconds("good", Some(TimeDelta::seconds(42))).await, 42);
        assert_eq!(cached_seconds("bad", None).await, 60);
        assert_eq!(cached_seconds("down", None).await, 1);
    }

    #[tokio::test]
    async fn outcomes_are_not_cached_for_longer_after_the_clock_was_set_back() {
        for (token, seconds) in [("good", 300), ("bad", 60), ("down", 1)] {
            let (verifier, clock, cache) = cache(None);
            _ = ask(&cache, token).await;
            clock.advance(-TimeDelta::hours(1));
            _ = ask(&cache, token).await;
            assert_eq!(verifier.asked.load(Ordering::SeqCst), 2, "{token}");
            // From here on it is cached as usual.
            clock.advance(TimeDelta::seconds(seconds - 1));
            _ = ask(&cache, token).await;
            assert_eq!(verifier.asked.load(Ordering::SeqCst), 2, "{token}");
        }
    }

    #[tokio::test]
    async fn concurrent_requests_with_one_token_share_one_verification() {
        for token in ["good", "bad", "down"] {
            let (verifier, _clock, cache) = cache(None);
            let all = futures_util::future::join_all((0..50).map(|_| ask(&cache, token))).await;
            assert_eq!(
                all.iter().filter(|outcome| outcome.is_ok()).count(),
                if token == "good" { 50 } else { 0 }
            );
            assert_eq!(verifier.asked.load(Ordering::SeqCst), 1, "{token}");
        }
    }

    #[tokio::test]
    async fn canceled_verification_does_not_block_others() {
        let (verifier, _clock, cache) = cache(None);
        {
            let mut first = Box::pin(ask(&cache, "good"));
            assert!(futures_util::poll!(&mut first).is_pending());
        }
        assert!(ask(&cache, "good").await.is_ok());
        assert_eq!(verifier.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn rejected_tokens_do_not_evict_valid_ones() {
        let (_verifier, _clock, cache) = cache(None);
        _ = ask(&cache, "good").await;
        for n in 0..2 * MAX_REJECTED {
            assert!(ask(&cache, &format!("bad {n}")).await.is_err());
        }
        assert!(matches!(cache.recall("good"), Some(Ok(_))));
        cache.others.run_pending_tasks();
        assert!(cache.others.entry_count() <= MAX_REJECTED);
    }

    #[tokio::test]
    async fn rejected_and_overlong_tokens_are_recalled_without_asking() {
        let (verifier, _clock, cache) = cache(None);
        assert!(cache.recall("bad").is_none());
        assert!(ask(&cache, "bad").await.is_err());
        assert!(matches!(cache.recall("bad"), Some(Err(TokenError::Rejected))));
        assert!(matches!(cache.recall(&"good".repeat(2000)), Some(Err(TokenError::Rejected))));
        assert_eq!(verifier.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn token_that_was_valid_is_known_when_it_is_verified_again() {
        let (verifier, clock, cache) = cache(None);
        for was_valid in [false, true] {
            assert!(ask(&cache, "good").await.is_ok());
            assert_eq!(verifier.was_valid.load(Ordering::SeqCst), was_valid);
            clock.advance(VALID_FOR);
            assert!(cache.recall("good").is_none());
        }
    }
}
