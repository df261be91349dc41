use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::html::Removed;

const X_CONTENT_SANITIZED: HeaderName = HeaderName::from_static("x-content-sanitized");
/// The number of names in the header; the others are counted together.
const MAX_NAMES: usize = 20;

/// Adds a header that names the elements and attributes that were removed from the content, with their numbers:
/// `script;1, onclick;2`. Adds none if nothing was removed.
pub(crate) fn with_sanitized_header(mut response: Response, removed: &[Removed]) -> Response {
    if removed.is_empty() {
        return response;
    }
    let (named, others) = removed.split_at(removed.len().min(MAX_NAMES));
    let mut parts: Vec<String> = named.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let count = others.iter().map(|removed| removed.count).sum();
        parts.push(Removed { name: "more".to_owned(), count }.to_string());
    }
    let value = HeaderValue::from_str(&parts.join(", ")).expect("names of removed elements are ASCII");
    response.headers_mut().insert(X_CONTENT_SANITIZED, value);
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn sanitized_header_is_bounded_and_absent_if_nothing_was_removed() {
        let header = |count: usize| {
            let removed = |n| Removed { name: format!("x{n}"), count: 2 };
            let response =
                with_sanitized_header(().into_response(), &(0..count).map(removed).collect::<Vec<_>>());
            response.headers().get(X_CONTENT_SANITIZED).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(0), None);
        assert_eq!(header(2).unwrap(), "x0;2, x1;2");
        assert!(header(23).unwrap().ends_with("x19;2, more;6"));
    }
}
