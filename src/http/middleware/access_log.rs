//! The id and the span of each request, one line when it completes, and one for its error.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::{Builder, Uuid};

use super::{ClientInfo, MiddlewareState};
use crate::clock::Clock;
use crate::http::error::{ErrorExtension, ErrorParts};
use crate::http::{ApiError, AppState, Route};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Gives each request an id and a span, logs its completion and its error, and writes the body of the error.
pub(crate) async fn log_request(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers(), &*app.clock);
    let request_id = RequestId::from(&id);
    request.extensions_mut().insert(request_id.clone());
    let path = request.uri().path().to_owned();
    let accepts_problem = accepts_problem_json(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let client = ClientInfo::from_request(&request, &app.middleware.trusted_proxies);
    request.extensions_mut().insert(client);
    let open = Route::matched(request.extensions()).filter(|route| route.is_open());
    let template = open.map(|route| route.path);
    let template = template.or_else(|| route.as_ref().map(MatchedPath::as_str));
    let span = request_span(&request, template, client, &request_id.0);
    let started = Instant::now();
    let respond = async move {
        let mut response = next.run(request).await;
        if let Some(ErrorExtension(error)) = response.extensions_mut().remove::<ErrorExtension>() {
            log_error(&error);
            error.write_body(&mut response, &path, &request_id.0, accepts_problem);
        }
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, id);
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        log_completed(&app.middleware, response.status(), duration_ms);
        response
    };
    respond.instrument(span).await
}

/// Logs the same line for a response that does not come from the router. The span costs more than the response, so it is only created if the
/// line is logged.
pub(crate) fn log_early_response<B>(
    state: &MiddlewareState,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
    route: &str,
    id: &HeaderValue,
    status: StatusCode,
) {
    let is_logged = if state.log_requests {
        tracing::enabled!(tracing::Level::INFO)
    } else {
        tracing::enabled!(tracing::Level::DEBUG)
    };
    if is_logged {
        let client = ClientInfo::from_peer(peer, request.headers(), &state.trusted_proxies);
        let _entered = request_span(request, Some(route), client, &RequestId::from(id).0).entered();
        log_completed(state, status, 0);
    }
}

fn log_completed(state: &MiddlewareState, status: StatusCode, duration_ms: u64) {
    let status = status.as_u16();
    if state.log_requests {
        tracing::info!(status, duration_ms, "request completed");
    } else {
        tracing::debug!(status, duration_ms, "request completed");
    }
}

fn request_span<B>(
    request: &http::Request<B>,
    route: Option<&str>,
    client: ClientInfo,
    id: &str,
) -> tracing::Span {
    let trace = TraceContext::from_headers(request.headers());
    tracing::info_span!(
        "http.request",
        method = %request.method(),
        path = request.uri().path(),
        route = route.unwrap_or("(none)"),
        client = %client.address,
        // Recorded once the token is verified.
        caller = tracing::field::Empty,
        request_id = id,
        trace_id = trace.as_ref().map(|trace| trace.id),
        parent_id = trace.as_ref().map(|trace| trace.parent),
    )
}

fn log_error(error: &ApiError) {
    let ErrorParts { status, detail, .. } = error.parts();
    let source = error.source_text().unwrap_or_default();
    match error {
        // Intended, and repeated by each client that retries.
        ApiError::NotServing(_) | ApiError::Overloaded => {
            tracing::debug!(status = status.as_u16(), detail, "not serving");
        }
        _ if status.is_server_error() => {
            tracing::error!(status = status.as_u16(), detail, source, "request failed");
        }
        _ => tracing::debug!(status = status.as_u16(), detail, "request refused"),
    }
}

/// The trace that a request belongs to, by W3C Trace Context.
struct TraceContext<'a> {
    id: &'a str,
    parent: &'a str,
}

impl<'a> TraceContext<'a> {
    /// Parses `traceparent`; returns `None` if it is absent or malformed.
    fn from_headers(headers: &'a HeaderMap) -> Option<Self> {
        let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let is_well_formed = is_hex(version, 2) && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        // Later versions may have more parts.
        let is_known = version != "ff" && (version != "00" || parts.next().is_none());
        let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
        (is_well_formed && is_known && !is_zero(id) && !is_zero(parent)).then_some(Self { id, parent })
    }
}

/// Reports whether the client asks for `application/problem+json` by name. A wildcard is not enough: the frontend reads
/// `application/json` only.
pub(crate) fn accepts_problem_json(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named =
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
            is_named && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

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
pub(crate) fn request_id(headers: &HeaderMap, clock: &dyn Clock) -> HeaderValue {
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

    #[test]
    fn only_well_formed_traceparent_is_used() {
        let headers = |value| HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(value))]);
        let good = headers("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let good = TraceContext::from_headers(&good).unwrap();
        assert_eq!((good.id, good.parent), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        let later = headers("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more");
        assert!(TraceContext::from_headers(&later).is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(TraceContext::from_headers(&headers(bad)).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn problem_json_must_be_accepted_by_name() {
        let accepts = |text| {
            let accept = (header::ACCEPT, HeaderValue::from_static(text));
            accepts_problem_json(&HeaderMap::from_iter([accept]))
        };
        assert!(accepts("application/problem+json") && accepts("text/html, Application/Problem+JSON;q=0.5"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts("application/problem+json;q=0"));
    }

    fn request_id_headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_safe_client_ids_are_accepted() {
        assert_eq!(request_id(&request_id_headers("abc-1.2_3:4"), &SystemClock), "abc-1.2_3:4");
        for bad in ["", "a b", "a\"b", "<script>", &"a".repeat(129)] {
            assert_ne!(request_id(&request_id_headers(bad), &SystemClock), bad, "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_are_unique_and_of_version_7() {
        let ids: HashSet<_> = (0..10_000).map(|_| generate(&SystemClock)).collect();
        assert_eq!(ids.len(), 10_000);
        let id = Uuid::parse_str(request_id(&HeaderMap::new(), &SystemClock).to_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
