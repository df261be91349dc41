//! The headers of CORS and of browser security, and `Vary`.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{ClientInfo, MiddlewareState};
use crate::http::{ApiError, AppState};

/// The origins of the frontend.
const OWN_ORIGINS: [&str; 3] =
    ["https://api.ghostmonk.com", "https://ghostmonk.com", "https://www.ghostmonk.com"];
/// The origins of a frontend on a developer's machine. Any program on a visitor's machine can have them.
const LOCAL_ORIGINS: [&str; 3] = ["http://localhost:3000", "http://localhost:5001", "http://frontend:3000"];
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
const TRUE: HeaderValue = HeaderValue::from_static("true");
/// The response headers that scripts of other origins may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Cache-Status, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Content-Sanitized, X-Request-Id",
);
/// The number of seconds that a browser may keep the result of a preflight.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// The security headers of every response. Responses are not pages: nothing in them may be run or framed.
pub(crate) const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
];
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Answers preflights, and adds the headers of CORS and browser security.
pub(crate) async fn cors_and_security_headers(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let state = &app.middleware;
    let client = request.extensions().get::<ClientInfo>().copied();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(origin) if is_preflight => preflight(state, origin, request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    add_vary(headers, &["Origin"]);
    if let Some(origin) = &origin {
        allow_origin(state, headers, origin);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    if state.hsts && client.is_some_and(|client| client.https) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

/// Lets scripts of an allowed origin read a response.
pub(crate) fn allow_origin(state: &MiddlewareState, headers: &mut HeaderMap, origin: &HeaderValue) {
    if state.origins.contains(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

fn preflight(state: &MiddlewareState, origin: &HeaderValue, requested: &HeaderMap) -> Response {
    if !state.origins.contains(origin) {
        return ApiError::BadRequest("Disallowed CORS origin".to_owned()).into_response();
    }
    let method = requested.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !method.is_some_and(|method| METHODS.split(", ").any(|known| method == known)) {
        return ApiError::BadRequest("Disallowed CORS method".to_owned()).into_response();
    }
    let mut response = (StatusCode::OK, "OK").into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    if let Some(names) = requested.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    response
}

/// The origins whose scripts may read responses.
pub(crate) struct AllowedOrigins(Vec<HeaderValue>);

impl AllowedOrigins {
    /// Creates the set of our own origins, those of developers if `local`, and the valid ones of `extra`: the configuration
    /// refuses others.
    pub(crate) fn new(local: bool, extra: &[String]) -> Self {
        let local = LOCAL_ORIGINS.into_iter().filter(|_| local);
        let mut all: Vec<_> = OWN_ORIGINS.into_iter().chain(local).map(HeaderValue::from_static).collect();
        all.extend(extra.iter().filter_map(|origin| parse_origin(origin)));
        Self(all)
    }

    pub(crate) fn contains(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// Reports whether a text is an origin that can be allowed.
pub fn is_origin(text: &str) -> bool {
    parse_origin(text).is_some()
}

/// Parses an origin: a scheme, a host, and an optional port.
fn parse_origin(origin: &str) -> Option<HeaderValue> {
    let origin = origin.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    let is_host = !host.is_empty() && !host.contains("..") && host.bytes().all(is_allowed);
    if is_host { HeaderValue::from_str(origin).ok() } else { None }
}

/// Adds `Strict-Transport-Security` to a cached response, if it is enabled and the client used HTTPS. `peer` is the other
/// end of the connection.
pub(crate) fn add_hsts<B>(
    state: &MiddlewareState,
    headers: &mut HeaderMap,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
) {
    // Only a trusted proxy can report HTTPS.
    if state.hsts
        && !state.trusted_proxies.is_empty()
        && ClientInfo::from_peer(peer, request.headers(), &state.trusted_proxies).https
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// Adds the names of request headers to `Vary`, without duplicates.
pub(crate) fn add_vary(headers: &mut HeaderMap, names: &[&str]) {
    let values = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let mut all: Vec<&str> = values.flat_map(|text| text.split(',')).map(str::trim).collect();
    let present = all.len();
    for name in names {
        if !all.iter().any(|present| *present == "*" || present.eq_ignore_ascii_case(name)) {
            all.push(name);
        }
    }
    if all.len() > present {
        let value = HeaderValue::from_str(&all.join(", ")).expect("names of headers are ASCII");
        headers.insert(header::VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_extra_origins_are_allowed() {
        let extra = [
            "https://a.example:8443",
            "http://b.example/",
            "*",
            "https://*.example",
            "ftp://c.example",
            "https://",
            "https://d..example",
            "https://e.example/path",
        ];
        let extra = extra.map(str::to_owned);
        let origins = AllowedOrigins::new(true, &extra);
        let allowed = |origin| origins.contains(&HeaderValue::from_static(origin));
        assert!(allowed("https://ghostmonk.com") && allowed("http://localhost:3000"));
        assert!(allowed("https://a.example:8443") && allowed("http://b.example"));
        for foreign in [
            "null",
            "*",
            "https://a.example",
            "https://evil.ghostmonk.com",
            "https://ghostmonk.com.evil.example",
            "http://ghostmonk.com",
            "https://e.example",
        ] {
            assert!(!allowed(foreign), "{foreign}");
        }
        assert_eq!(origins.0.len(), OWN_ORIGINS.len() + LOCAL_ORIGINS.len() + 2);
        let origins = AllowedOrigins::new(false, &extra);
        for local in LOCAL_ORIGINS {
            assert!(!origins.contains(&HeaderValue::from_static(local)), "{local}");
        }
    }

    #[test]
    fn vary_names_each_header_once() {
        let mut headers = HeaderMap::new();
        add_vary(&mut headers, &["Authorization", "Accept"]);
        add_vary(&mut headers, &["Origin", "accept"]);
        assert_eq!(headers[header::VARY], "Authorization, Accept, Origin");
        let mut all = HeaderMap::from_iter([(header::VARY, HeaderValue::from_static("*"))]);
        add_vary(&mut all, &["Origin"]);
        assert_eq!(all[header::VARY], "*");
    }
}
