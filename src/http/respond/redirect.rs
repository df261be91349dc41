use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// 301 to the slug that an item has now. It is not to be kept: the old slug may come to be another item's.
pub(crate) fn permanent_redirect(collection: &str, slug: &str) -> Response {
    let location = format!("{collection}/{}", encoded(slug));
    // Encoded, it is ASCII without control characters, which is what a header can hold.
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// As one segment of a path. Old documents have slugs of any kind.
fn encoded(slug: &str) -> String {
    url::form_urlencoded::byte_serialize(slug.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_stay_within_their_segment() {
        let to = |slug| {
            permanent_redirect("/stories/slug", slug).headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a-2"), "/stories/slug/a-2");
        assert_eq!(to("a b/../+\r\né"), "/stories/slug/a%20b%2F..%2F%2B%0D%0A%C3%A9");
    }
}
