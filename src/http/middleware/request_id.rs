//! What tells a request from all others, in answers and in the log.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// The header.
pub(crate) const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// As in the header.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(Uuid::now_v7().to_string())))
    }
}

/// The client's own, if it can do no harm in logs and headers; else a new one.
pub(crate) fn of(headers: &HeaderMap, clock: &dyn Clock) -> HeaderValue {
    accepted(headers).cloned().unwrap_or_else(|| {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = new(clock).hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// Version 7. The random part is a keyed hash of a counter: as good for telling requests apart as asking the system,
/// which takes longer than all the rest of an answer that is ready.
fn new(clock: &dyn Clock) -> Uuid {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let [high, low] = &*KEYS;
    let (high, low) = (high.hash_one(count).to_be_bytes(), low.hash_one(count).to_be_bytes());
    let mut random = [0; 10];
    random[..8].copy_from_slice(&high);
    random[8..].copy_from_slice(&low[..2]);
    let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(now, &random).into_uuid()
}

fn accepted(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(NAME)?;
    let text = value.to_str().ok()?;
    let sane = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    sane.then_some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::SystemClock;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(NAME, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        assert_eq!(of(&headers("abc-1.2_3:4"), &SystemClock), "abc-1.2_3:4");
        for bad in ["", "a b", "a\"b", "<script>", &"a".repeat(129)] {
            assert_ne!(of(&headers(bad), &SystemClock), bad, "{bad:?}");
        }
    }

    #[test]
    fn new_ones_are_all_different_and_say_when() {
        let ids: HashSet<_> = (0..10_000).map(|_| new(&SystemClock)).collect();
        assert_eq!(ids.len(), 10_000);
        let id = Uuid::parse_str(of(&HeaderMap::new(), &SystemClock).to_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
