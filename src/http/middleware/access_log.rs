//! The span of each request, one line when it completes, and one for its error.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::error_body;
use super::request_id::{self, RequestId, X_REQUEST_ID};
use crate::http::error::{ErrorExtension, ErrorParts};
use crate::http::{ApiError, AppState};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Gives each request an id and a span, logs its completion and its error, and writes the body of the error.
pub(crate) async fn log_request(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = request_id::from_headers(request.headers(), &*app.clock);
    let request_id = RequestId::from(&id);
    request.extensions_mut().insert(request_id.clone());
    let path = request.uri().path().to_owned();
    let accepts_problem = error_body::accepts_problem_json(request.headers());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = request_span(&request, route, &request_id.0);
    let started = Instant::now();
    let respond = async move {
        let mut response = next.run(request).await;
        if let Some(ErrorExtension(error)) = response.extensions_mut().remove::<ErrorExtension>() {
            log_error(&error);
            error_body::write(&mut response, &error, &path, &request_id.0, accepts_problem);
        }
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, id);
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        let duration_ms = started.elapsed().as_millis();
        tracing::debug!(status = response.status().as_u16(), duration_ms, "request completed");
        response
    };
    respond.instrument(span).await
}

/// Logs the same line for a response from the cache. The span costs more than the response, so it is only created if the
/// line is logged.
pub(crate) fn log_cached_response<B>(
    request: &http::Request<B>,
    route: &str,
    id: &HeaderValue,
    status: StatusCode,
) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let _entered = request_span(request, Some(route), &RequestId::from(id).0).entered();
        tracing::debug!(status = status.as_u16(), duration_ms = 0_u128, "request completed");
    }
}

fn request_span<B>(request: &http::Request<B>, route: Option<&str>, id: &str) -> tracing::Span {
    let trace = TraceContext::from_headers(request.headers());
    tracing::info_span!(
        "http.request",
        method = %request.method(),
        route = route.unwrap_or("(none)"),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
