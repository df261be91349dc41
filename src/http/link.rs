use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::domain::Window;

/// The `Link` header of a list: where it begins, and the windows before and after this one.
pub(super) fn header(uri: &Uri, window: Window, total: u64) -> HeaderMap {
    let Window { limit, offset } = window;
    let mut links = vec![link(uri, 0, limit, "first")];
    if offset > 0 {
        links.push(link(uri, offset.saturating_sub(limit), limit, "prev"));
    }
    if offset.saturating_add(limit) < total {
        links.push(link(uri, offset + limit, limit, "next"));
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&links.join(", ")) {
        headers.insert(header::LINK, value);
    }
    headers
}

/// A reference to the same list at another offset; the other parameters stay as they are.
fn link(uri: &Uri, offset: u64, limit: u64, relation: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != "limit" && name != "offset" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair("offset", &offset.to_string());
    format!("<{}?{}>; rel=\"{relation}\"", uri.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &'static str, offset: u64, total: u64) -> String {
        let headers = header(&Uri::from_static(uri), Window { limit: 2, offset }, total);
        headers[header::LINK].to_str().unwrap().to_owned()
    }

    #[test]
    fn windows_link_to_their_neighbours() {
        assert_eq!(of("/s", 0, 2), r#"</s?limit=2&offset=0>; rel="first""#);
        assert_eq!(
            of("/s?nav_visibility=main&offset=3&limit=2", 3, 6),
            concat!(
                r#"</s?nav_visibility=main&limit=2&offset=0>; rel="first", "#,
                r#"</s?nav_visibility=main&limit=2&offset=1>; rel="prev", "#,
                r#"</s?nav_visibility=main&limit=2&offset=5>; rel="next""#
            )
        );
    }

    #[test]
    fn parameters_cannot_break_out_of_the_header() {
        let link = of("/s?x=%3E%3B%0d%0aSet-Cookie:%20a", 0, 1);
        assert_eq!(link, r#"</s?x=%3E%3B%0D%0ASet-Cookie%3A+a&limit=2&offset=0>; rel="first""#);
    }
}
