use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Redirects (301) to the current slug of an item. Must not be cached: another item may get the old slug.
pub(crate) fn permanent_redirect(collection: &str, slug: &str) -> Response {
    let location = format!("{collection}/{}", encode_segment(slug));
    let location = HeaderValue::from_str(&location).expect("percent-encoded ASCII is valid in a header");
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// Percent-encodes a path segment. Old documents have slugs of any kind.
fn encode_segment(slug: &str) -> String {
    url::form_urlencoded::byte_serialize(slug.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_encoded_as_one_path_segment() {
        let to = |slug| {
            permanent_redirect("/stories/slug", slug).headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a-2"), "/stories/slug/a-2");
        assert_eq!(to("a b/../+\r\né"), "/stories/slug/a%20b%2F..%2F%2B%0D%0A%C3%A9");
    }
}
