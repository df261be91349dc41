//! The body of an error response.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::error::{ErrorParts, FieldError};
use crate::http::respond::vary;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The members of an error in the original API, and those of RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    /// Describes the error to people.
    detail: &'a str,
    /// The same as `detail`, only with status 429, where the original API had this member instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'a str>,
    /// All invalid fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, min_items = 1)]
    errors: &'a [FieldError],
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The path of the request.
    instance: &'a str,
    /// The id of the request, as in the header `x-request-id`.
    request_id: &'a str,
}

/// Writes the body of an error into its response.
pub(crate) fn write(
    response: &mut Response,
    error: &ApiError,
    path: &str,
    request_id: &str,
    accepts_problem: bool,
) {
    let ErrorParts { status, detail, errors, .. } = error.parts();
    let body = ErrorBody {
        detail,
        error: matches!(error, ApiError::TooManyRequests(..)).then_some(detail),
        errors,
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        instance: path,
        request_id,
    };
    let bytes = serde_json::to_vec(&body).expect("strings and numbers can be written as JSON");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, if accepts_problem { PROBLEM_JSON } else { JSON });
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    vary::add(headers, &["Authorization", "Accept"]);
    *response.body_mut() = Body::from(bytes);
}

/// Returns whether the client asks for `application/problem+json` by name. A wildcard is not enough: the frontend reads
/// `application/json` only.
pub(crate) fn accepts_problem_json(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named =
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
            is_named && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_json_must_be_accepted_by_name() {
        let accepts = |text| {
            let accept = (header::ACCEPT, HeaderValue::from_static(text));
            accepts_problem_json(&HeaderMap::from_iter([accept]))
        };
        assert!(accepts("application/problem+json") && accepts("text/html, Application/Problem+JSON;q=0.5"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts("application/problem+json;q=0"));
    }
}
