use std::str::FromStr as _;

use axum::http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::http::Route;

/// The characters that stay as they are in a segment of a path.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the cache key of a URL: path and query.
pub(super) fn cache_key(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str())
}

/// Returns the URL that stands for all requests with the same response: with the known query parameters alone, each once
/// and in the order of their declaration, and with one spelling of percent-encodings. Otherwise a client could fill the cache
/// with copies of one response. Returns `None` if the URL is canonical already, and if the response is an error anyway.
pub(super) fn canonical(uri: &Uri, routes: &[Route]) -> Option<Uri> {
    let (path, query) = (uri.path(), uri.query());
    if query.is_none() && !path.contains('%') {
        return None;
    }
    let route = Route::find(routes, &Method::GET, path)?;
    let mut canonical = String::with_capacity(path.len());
    for (template, segment) in route.path.split('/').zip(path.split('/')).skip(1) {
        canonical.push('/');
        if template.starts_with('{') {
            let segment = percent_decode_str(segment).decode_utf8().ok()?;
            canonical.extend(utf8_percent_encode(&segment, &SEGMENT));
        } else {
            canonical.push_str(segment);
        }
    }
    let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    // Such a name is an error.
    if pairs.iter().any(|(name, _)| Route::is_operator(name)) {
        return None;
    }
    let mut separator = "?";
    for parameter in route.parameters() {
        // The last one of a repeated parameter counts.
        if let Some((_, value)) = pairs.iter().rev().find(|(name, _)| name == parameter) {
            canonical.push_str(separator);
            canonical.push_str(parameter);
            canonical.push('=');
            canonical.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
            separator = "&";
        }
    }
    if canonical == cache_key(uri) {
        return None;
    }
    Uri::from_str(&canonical).ok()
}
