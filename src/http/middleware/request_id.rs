use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

use crate::clock::Clock;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, as in `x-request-id`.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl From<&HeaderValue> for RequestId {
    fn from(id: &HeaderValue) -> Self {
        Self(id.to_str().expect("request ids are ASCII").to_owned())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(Uuid::now_v7().to_string())))
    }
}

/// Returns the id that the client sent, if it is safe in logs and headers; otherwise a new one.
pub(crate) fn from_headers(headers: &HeaderMap, clock: &dyn Clock) -> HeaderValue {
    client_id(headers).cloned().unwrap_or_else(|| {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = generate(clock).hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).expect("a UUID is valid in a header")
    })
}

/// Generates a UUID of version 7. Its random part is a keyed hash of a counter: as unique as random bytes of the system,
/// which would take longer than all the rest of a cached response.
fn generate(clock: &dyn Clock) -> Uuid {
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

fn client_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(X_REQUEST_ID)?;
    let text = value.to_str().ok()?;
    let is_safe = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    is_safe.then_some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::SystemClock;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_safe_client_ids_are_accepted() {
        assert_eq!(from_headers(&headers("abc-1.2_3:4"), &SystemClock), "abc-1.2_3:4");
        for bad in ["", "a b", "a\"b", "<script>", &"a".repeat(129)] {
            assert_ne!(from_headers(&headers(bad), &SystemClock), bad, "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_are_unique_and_of_version_7() {
        let ids: HashSet<_> = (0..10_000).map(|_| generate(&SystemClock)).collect();
        assert_eq!(ids.len(), 10_000);
        let id = Uuid::parse_str(from_headers(&HeaderMap::new(), &SystemClock).to_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
