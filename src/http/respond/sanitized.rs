use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::html::Removed;

const NAME: HeaderName = HeaderName::from_static("x-content-sanitized");
/// So many kinds are named; the others are counted together.
const NAMED: usize = 20;

/// Says in the header of an answer what was removed from the content: `script;1, onclick;2`. No header if nothing was.
pub(crate) fn with_sanitized_header(mut response: Response, removed: &[Removed]) -> Response {
    if removed.is_empty() {
        return response;
    }
    let (named, others) = removed.split_at(removed.len().min(NAMED));
    let mut said: Vec<String> = named.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let count = others.iter().map(|removed| removed.count).sum();
        said.push(Removed { name: "more".to_owned(), count }.to_string());
    }
    // Names are of ASCII letters and digits, so they can always be a header.
    if let Ok(value) = HeaderValue::from_str(&said.join(", ")) {
        response.headers_mut().insert(NAME, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn the_header_is_short_and_only_there_if_something_was_removed() {
        let said = |count: usize| {
            let removed = |n| Removed { name: format!("x{n}"), count: 2 };
            let response =
                with_sanitized_header(().into_response(), &(0..count).map(removed).collect::<Vec<_>>());
            response.headers().get(NAME).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(said(0), None);
        assert_eq!(said(2).unwrap(), "x0;2, x1;2");
        assert!(said(23).unwrap().ends_with("x19;2, more;6"));
    }
}
