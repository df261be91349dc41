use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::domain::Precondition;
use crate::http::openapi::headers;
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState, cache};

/// The precondition of `If-Match`. `*` requires that the item exists, which every change requires.
pub(crate) struct IfMatch(pub(crate) Precondition);

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self(condition(&parts.headers)))
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation) {
        operation.errors.insert(412);
        operation.headers.push(headers::request("If-Match", "The `ETag` of the version to change."));
    }
}

fn condition(headers: &HeaderMap) -> Precondition {
    if !headers.contains_key(header::IF_MATCH) {
        return Precondition::None;
    }
    let texts: Vec<&str> =
        headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut tags = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    if tags.clone().any(|tag| tag == "*") {
        return Precondition::None;
    }
    // Weak tags do not identify a version, so they match nothing.
    let name = |tag: &str| Some(cache::strip_encoding(tag.strip_prefix('"')?.strip_suffix('"')?).to_owned());
    Precondition::AnyOf(tags.by_ref().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn if_match_names_revisions() {
        let of = |text: &'static str| {
            condition(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]))
        };
        let names = |names: &[&str]| Precondition::AnyOf(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(condition(&HeaderMap::new()), Precondition::None);
        assert_eq!(of("*"), Precondition::None);
        assert_eq!(of("\"a\""), names(&["a"]));
        assert_eq!(of("\"a\" , \"b\""), names(&["a", "b"]));
        // The tag of an encoded variant identifies the same version.
        assert_eq!(of("\"a-br\", \"b-gzip\", \"c-zstd\""), names(&["a", "b", "c"]));
        for nothing in ["", "a", "W/\"a\"", "\""] {
            assert_eq!(of(nothing), names(&[]), "{nothing:?}");
        }
    }
}
