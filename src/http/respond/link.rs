use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::domain::{CursorPage, Window};

/// Builds the `Link` header of a list: `first`, `prev` and `next`. With a cursor there is no `prev`.
pub(crate) fn headers(uri: &Uri, window: Window, total: u64, cursor_page: Option<&CursorPage>) -> HeaderMap {
    let Window { limit, offset } = window;
    let at = |offset: u64, relation| link(uri, limit, ("offset", &offset.to_string()), relation);
    let mut links = Vec::new();
    if let Some(CursorPage { next }) = cursor_page {
        links.push(link(uri, limit, ("cursor", ""), "first"));
        links.extend(next.as_ref().map(|cursor| link(uri, limit, ("cursor", cursor), "next")));
    } else {
        links.push(at(0, "first"));
        if offset > 0 {
            links.push(at(offset.saturating_sub(limit), "prev"));
        }
        if offset.saturating_add(limit) < total {
            links.push(at(offset + limit, "next"));
        }
    }
    let links = HeaderValue::from_str(&links.join(", ")).expect("percent-encoded ASCII is valid in a header");
    HeaderMap::from_iter([(header::LINK, links)])
}

/// Builds a link to another position in the list; the other parameters stay the same.
fn link(uri: &Uri, limit: u64, position: (&str, &str), relation: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if !["limit", "offset", "cursor"].contains(&&*name) {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair(position.0, position.1);
    format!("<{}?{}>; rel=\"{relation}\"", uri.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(uri: &'static str, offset: u64, total: u64) -> String {
        let headers = headers(&Uri::from_static(uri), Window { limit: 2, offset }, total, None);
        headers[header::LINK].to_str().unwrap().to_owned()
    }

    #[test]
    fn windows_link_to_the_previous_and_next_one() {
        assert_eq!(links("/s", 0, 2), r#"</s?limit=2&offset=0>; rel="first""#);
        assert_eq!(
            links("/s?nav_visibility=main&offset=3&limit=2", 3, 6),
            concat!(
                r#"</s?nav_visibility=main&limit=2&offset=0>; rel="first", "#,
                r#"</s?nav_visibility=main&limit=2&offset=1>; rel="prev", "#,
                r#"</s?nav_visibility=main&limit=2&offset=5>; rel="next""#
            )
        );
    }

    #[test]
    fn cursor_pages_link_to_the_first_and_next_one() {
        let links = |next: Option<&str>| {
            let cursor_page = CursorPage { next: next.map(str::to_owned) };
            let uri = Uri::from_static("/s?cursor=abc&section_id=x&limit=2");
            let headers = headers(&uri, Window { limit: 2, offset: 4 }, 9, Some(&cursor_page));
            headers[header::LINK].to_str().unwrap().to_owned()
        };
        let first = r#"</s?section_id=x&limit=2&cursor=>; rel="first""#;
        assert_eq!(links(None), first);
        assert_eq!(
            links(Some("d-f")),
            format!(r#"{first}, </s?section_id=x&limit=2&cursor=d-f>; rel="next""#)
        );
    }

    #[test]
    fn parameters_are_encoded_in_links() {
        let link = links("/s?x=%3E%3B%0d%0aSet-Cookie:%20a", 0, 1);
        assert_eq!(link, r#"</s?x=%3E%3B%0D%0ASet-Cookie%3A+a&limit=2&offset=0>; rel="first""#);
    }
}
