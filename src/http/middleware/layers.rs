use std::net::SocketAddr;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{ClientInfo, MiddlewareState, RateLimitStatus};
use crate::http::respond::vary;
use crate::http::{ApiError, AppState, Route};

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
const TRUE: HeaderValue = HeaderValue::from_static("true");
/// What scripts of other origins may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Cache-Status, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Content-Sanitized, X-Request-Id",
);
/// For as long a browser need not ask again, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a browser is told of every answer. These are not pages: nothing in them is to be run or framed.
pub(crate) const SAFETY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
];
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Finds out who the client is, answers the questions of browsers, and gives every answer the headers that browsers
/// need.
pub(crate) async fn surround(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let state = &app.middleware;
    let client = ClientInfo::of(&request, &state.trusted_proxies);
    request.extensions_mut().insert(client);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(origin) if asks_first => preflight(state, origin, request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    vary::add(headers, &["Origin"]);
    if let Some(origin) = &origin {
        allow(state, headers, origin);
    }
    for (name, value) in SAFETY {
        headers.entry(name).or_insert(value);
    }
    if state.hsts && client.https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

/// Lets scripts of an origin read an answer, if it is one of those that may.
pub(crate) fn allow(state: &MiddlewareState, headers: &mut HeaderMap, origin: &HeaderValue) {
    if state.origins.allow(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Tells browsers to come over HTTPS only, if that is wanted and they did. `peer` is who connected.
pub(crate) fn want_https<B>(
    state: &MiddlewareState,
    headers: &mut HeaderMap,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
) {
    // Only a proxy that is believed can say so.
    if state.hsts && !state.trusted_proxies.is_empty() {
        let peer = peer.or_else(|| request.extensions().get().map(|ConnectInfo(peer)| *peer));
        if ClientInfo::with(peer, request.headers(), &state.trusted_proxies).https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}

/// A browser asks what it may ask.
fn preflight(state: &MiddlewareState, origin: &HeaderValue, asked: &HeaderMap) -> Response {
    if !state.origins.allow(origin) {
        return ApiError::BadRequest("Disallowed CORS origin".to_owned()).into_response();
    }
    let method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !method.is_some_and(|method| METHODS.iter().any(|known| method == known)) {
        return ApiError::BadRequest("Disallowed CORS method".to_owned()).into_response();
    }
    let mut response = (StatusCode::OK, "OK").into_response();
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&METHODS.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    response
}

/// Counts what the route wants counted. A request that is turned down for its fields does not count.
pub(crate) async fn limited(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let route = Route::of(request.extensions());
    let client = request.extensions().get::<ClientInfo>().copied();
    let limiter = app.middleware.limiter.as_ref();
    let (Some(route), Some(client), Some(limiter)) = (route, client, limiter) else {
        return next.run(request).await;
    };
    let Some(limit) = route.limit else { return next.run(request).await };
    let key = (client.address, route.method.as_str(), route.path);
    match limiter.charge(key, limit, app.clock.now()) {
        Ok(mut standing) => {
            let mut response = next.run(request).await;
            if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
                limiter.refund(&key);
                standing.remaining += 1;
            }
            tell(response.headers_mut(), standing);
            response
        }
        Err(standing) => {
            let mut response = ApiError::from(standing).into_response();
            tell(response.headers_mut(), standing);
            response
        }
    }
}

fn tell(headers: &mut HeaderMap, standing: RateLimitStatus) {
    let RateLimitStatus { limit, remaining, seconds_left } = standing;
    let told = [
        (RATE_LIMIT_POLICY, format!("\"{}\";q={};w=60", limit.name, limit.per_minute)),
        (RATE_LIMIT, format!("\"{}\";r={remaining};t={seconds_left}", limit.name)),
    ];
    for (name, text) in told {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}
