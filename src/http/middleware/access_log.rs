use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use super::request_id::{self, RequestId};
use crate::http::error::{ErrorExtension, FieldError};
use crate::http::respond::vary;
use crate::http::{ApiError, AppState};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The body of an error: the original's members, and those of RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    /// What is wrong, for people.
    detail: &'a str,
    /// What the original's answer to too many requests had in place of `detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'a str>,
    /// Which fields are wrong, all together.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, min_items = 1)]
    errors: &'a [FieldError],
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The path that was asked for.
    instance: &'a str,
    /// As in the header `x-request-id`.
    request_id: &'a str,
}

/// The outermost of the layers: gives each request an id and a span, writes the bodies of errors, and logs each error
/// once.
pub(crate) async fn observe(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = request_id::of(request.headers(), &*app.clock);
    let text = id.to_str().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let wants_problem = wants_problem(request.headers());
    request.extensions_mut().insert(RequestId(text.clone()));
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = span(&request, route, &text);
    let started = Instant::now();
    let answer = async move {
        let mut response = next.run(request).await;
        if let Some(ErrorExtension(error)) = response.extensions_mut().remove::<ErrorExtension>() {
            log(&error);
            write_body(&mut response, &error, &path, &text, wants_problem);
        }
        let headers = response.headers_mut();
        headers.insert(request_id::NAME, id);
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        let duration_ms = started.elapsed().as_millis();
        tracing::debug!(status = response.status().as_u16(), duration_ms, "answered");
        response
    };
    answer.instrument(span).await
}

/// The same line for an answer that was ready. A span for it costs more than the answer, so there is none unless
/// somebody reads the line.
pub(crate) fn answered_at_once<B>(
    request: &http::Request<B>,
    template: fn(&str) -> Option<&'static str>,
    id: &HeaderValue,
    status: StatusCode,
) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let route = template(request.uri().path());
        let _entered = span(request, route, id.to_str().unwrap_or_default()).entered();
        tracing::debug!(status = status.as_u16(), duration_ms = 0_u128, "answered");
    }
}

fn span<B>(request: &http::Request<B>, route: Option<&str>, id: &str) -> tracing::Span {
    let trace = Trace::of(request.headers());
    tracing::info_span!(
        "http.request",
        method = %request.method(),
        route = route.unwrap_or("(none)"),
        request_id = id,
        trace_id = trace.as_ref().map(|trace| &*trace.id),
        parent_id = trace.as_ref().map(|trace| &*trace.parent),
    )
}

/// Requests do not take longer than they may.
pub(crate) async fn deadline(State(app): State<AppState>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// The trace that a request is part of, as W3C Trace Context says it.
struct Trace {
    id: String,
    parent: String,
}

impl Trace {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let whole = hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
        // Later versions may say more, this one does not.
        let known = version != "ff" && (version != "00" || parts.next().is_none());
        let nothing = |text: &str| text.bytes().all(|b| b == b'0');
        let named = whole && known && !nothing(id) && !nothing(parent);
        named.then(|| Self { id: id.to_owned(), parent: parent.to_owned() })
    }
}

fn log(error: &ApiError) {
    let shape = error.shape();
    let status = shape.status.as_u16();
    let source = error.source_text().unwrap_or_default();
    match error {
        // On purpose; and whoever is turned away asks again and again.
        ApiError::NotServing(_) | ApiError::Overloaded => {
            tracing::debug!(status, detail = shape.detail, "not serving");
        }
        _ if shape.status.is_server_error() => {
            tracing::error!(status, detail = shape.detail, source, "request failed");
        }
        _ => tracing::debug!(status, detail = shape.detail, "request refused"),
    }
}

fn write_body(response: &mut Response, error: &ApiError, path: &str, request_id: &str, wants_problem: bool) {
    let shape = error.shape();
    let body = ErrorBody {
        detail: shape.detail,
        error: matches!(error, ApiError::TooManyRequests(..)).then_some(shape.detail),
        errors: shape.errors,
        kind: "about:blank",
        title: shape.status.canonical_reason().unwrap_or("Error"),
        status: shape.status.as_u16(),
        instance: path,
        request_id,
    };
    // Texts and numbers only: there is nothing in it that cannot be written.
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, if wants_problem { PROBLEM_JSON } else { JSON });
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    vary::add(headers, &["Authorization", "Accept"]);
    *response.body_mut() = Body::from(bytes);
}

/// The frontend refuses anything but `application/json`, so the other type has to be asked for by name.
fn wants_problem(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named =
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
            named && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn traces_are_taken_over_if_they_are_well_formed() {
        let trace = |value| Trace::of(&headers(TRACEPARENT, value));
        let good = trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!((&*good.id, &*good.parent), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        assert!(trace("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(trace(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn problem_json_has_to_be_asked_for_by_name() {
        let asked = |text| wants_problem(&headers(header::ACCEPT, text));
        assert!(asked("application/problem+json") && asked("text/html, Application/Problem+JSON;q=0.5"));
        assert!(!asked("*/*") && !asked("application/json") && !asked("application/problem+json;q=0"));
    }
}
