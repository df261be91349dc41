use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::domain::{CursorPage, Window};

/// The `Link` header of a list: where it begins, and the parts before and after this one. A walk has only what comes
/// after.
pub(crate) fn header(uri: &Uri, window: Window, total: u64, cursor_page: Option<&CursorPage>) -> HeaderMap {
    let Window { limit, offset } = window;
    let to = |offset: u64, relation| link(uri, limit, ("offset", &offset.to_string()), relation);
    let mut links = Vec::new();
    if let Some(CursorPage { next }) = cursor_page {
        links.push(link(uri, limit, ("cursor", ""), "first"));
        links.extend(next.as_ref().map(|cursor| link(uri, limit, ("cursor", cursor), "next")));
    } else {
        links.push(to(0, "first"));
        if offset > 0 {
            links.push(to(offset.saturating_sub(limit), "prev"));
        }
        if offset.saturating_add(limit) < total {
            links.push(to(offset + limit, "next"));
        }
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&links.join(", ")) {
        headers.insert(header::LINK, value);
    }
    headers
}

/// A reference to the same list at another place; the other parameters stay as they are.
fn link(uri: &Uri, limit: u64, place: (&str, &str), relation: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if !["limit", "offset", "cursor"].contains(&&*name) {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair(place.0, place.1);
    format!("<{}?{}>; rel=\"{relation}\"", uri.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &'static str, offset: u64, total: u64) -> String {
        let headers = header(&Uri::from_static(uri), Window { limit: 2, offset }, total, None);
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
    fn a_walk_links_to_its_beginning_and_to_what_comes_next() {
        let of = |next: Option<&str>| {
            let cursor_page = CursorPage { next: next.map(str::to_owned) };
            let uri = Uri::from_static("/s?cursor=abc&section_id=x&limit=2");
            let headers = header(&uri, Window { limit: 2, offset: 4 }, 9, Some(&cursor_page));
            headers[header::LINK].to_str().unwrap().to_owned()
        };
        let first = r#"</s?section_id=x&limit=2&cursor=>; rel="first""#;
        assert_eq!(of(None), first);
        assert_eq!(of(Some("d-f")), format!(r#"{first}, </s?section_id=x&limit=2&cursor=d-f>; rel="next""#));
    }

    #[test]
    fn parameters_cannot_break_out_of_the_header() {
        let link = of("/s?x=%3E%3B%0d%0aSet-Cookie:%20a", 0, 1);
        assert_eq!(link, r#"</s?x=%3E%3B%0D%0ASet-Cookie%3A+a&limit=2&offset=0>; rel="first""#);
    }
}
