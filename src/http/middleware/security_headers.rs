use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, header};

use super::{ClientInfo, MiddlewareState};

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
pub(crate) const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Adds `Strict-Transport-Security` to a cached response, if it is enabled and the client used HTTPS. `peer` is the other
/// end of the connection.
pub(crate) fn add_hsts<B>(
    state: &MiddlewareState,
    headers: &mut HeaderMap,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
) {
    // Only a trusted proxy can report HTTPS.
    if state.hsts && !state.trusted_proxies.is_empty() {
        let peer = peer.or_else(|| request.extensions().get().map(|ConnectInfo(peer)| *peer));
        if ClientInfo::from_peer(peer, request.headers(), &state.trusted_proxies).https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}
