use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::headers;

/// An error response of the common form.
struct ErrorResponse {
    status: u16,
    name: &'static str,
    description: &'static str,
    /// The detail of the example.
    detail: &'static str,
    /// Headers beside those of every response.
    headers: &'static [&'static str],
}

const fn error(
    status: u16,
    name: &'static str,
    description: &'static str,
    detail: &'static str,
    headers: &'static [&'static str],
) -> ErrorResponse {
    ErrorResponse { status, name, description, detail, headers }
}

const ERRORS: &[ErrorResponse] = &[
    error(
        400,
        "BadRequest",
        "The request is well formed, but a value in it is invalid",
        "Invalid story id: 24 hexadecimal digits are expected",
        &[],
    ),
    error(
        401,
        "Unauthenticated",
        "Missing or invalid credentials",
        "Missing authorization header",
        &["WWW-Authenticate"],
    ),
    error(
        403,
        "Forbidden",
        "The caller is not allowed to do this",
        "Only its owner and administrators may change this item",
        &[],
    ),
    error(404, "NotFound", "The item does not exist or is not visible to the caller", "Story not found", &[]),
    error(
        405,
        "MethodNotAllowed",
        "The route does not support the method; `Allow` names those it supports",
        "Method Not Allowed",
        &["Allow"],
    ),
    error(
        406,
        "NotAcceptable",
        "`Accept-Encoding` excludes every available encoding",
        "Accept-Encoding excludes every available encoding: br, gzip, zstd and identity",
        &[],
    ),
    error(409, "Conflict", "The change conflicts with another item", "slug is taken", &[]),
    error(
        412,
        "Stale",
        "The item is not in the state that `If-Match` names",
        "The item has changed: its current version is \"6f1c\"",
        &["ETag"],
    ),
    error(413, "TooLarge", "The body is too large", "The body is too large: the limit is 1 MiB", &[]),
    error(
        415,
        "UnsupportedMediaType",
        "The body is a form",
        "The body must be JSON, not a form: send Content-Type: application/json",
        &[],
    ),
    error(422, "Invalid", "Fields are invalid; `errors` lists all of them", "Validation Error", &[]),
    error(
        429,
        "TooManyRequests",
        "The client exceeded a rate limit",
        "Rate limit exceeded: 120 per 1 minute",
        &["Retry-After"],
    ),
    error(
        500,
        "Internal",
        "Internal error; the log has its cause under the request id",
        "Internal Server Error",
        &[],
    ),
    error(
        503,
        "Unavailable",
        "The server is starting, a dependency does not respond, or too many requests are in progress",
        "the store is unavailable at present",
        &["Retry-After"],
    ),
];

/// Returns a reference to the error response with a status.
pub(super) fn reference(status: u16) -> Option<Value> {
    let error = ERRORS.iter().find(|error| error.status == status)?;
    Some(json!({ "$ref": format!("#/components/responses/{}", error.name) }))
}

/// Returns all error responses by name.
pub(super) fn responses() -> Map<String, Value> {
    ERRORS.iter().map(|error| (error.name.to_owned(), response(error))).collect()
}

fn response(error: &ErrorResponse) -> Value {
    let title = StatusCode::from_u16(error.status).expect("a status").canonical_reason();
    let mut example = json!({
        "detail": error.detail, "type": "about:blank", "title": title, "status": error.status,
        "instance": "/stories", "request_id": "0199d3c1-7a52-7b1e-9f0a-5d2f6c3b8e41",
    });
    let schema = match error.status {
        422 => {
            let field = json!({ "loc": ["body", "title"], "msg": "field required", "type": "missing" });
            example["errors"] = json!([field]);
            "ValidationError"
        }
        429 => {
            example["error"] = json!(error.detail);
            "RateLimitError"
        }
        _ => "Error",
    };
    let content =
        json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") }, "example": example });
    json!({
        "description": error.description,
        "headers": headers::of_response(error.headers.iter().copied(), true),
        // The second one only for clients that ask for it.
        "content": { "application/json": content, "application/problem+json": content },
    })
}

/// Returns the schemas of errors with more members than `Error` requires.
pub(super) fn schemas() -> Map<String, Value> {
    let with = |member: &str, description: &str| {
        json!({
            "description": description,
            "allOf": [{ "$ref": "#/components/schemas/Error" }, { "type": "object", "required": [member] }],
        })
    };
    Map::from_iter([
        (
            "ValidationError".to_owned(),
            with("errors", "An error that lists the invalid fields of a request."),
        ),
        ("RateLimitError".to_owned(), with("error", "An error of a client that exceeded a rate limit.")),
    ])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::http::ApiError;

    /// Returns one of each. A new variant does not compile here until it is listed.
    fn all_errors() -> Vec<ApiError> {
        let all = vec![
            ApiError::Validation(Vec::new()),
            ApiError::BadRequest(String::new()),
            ApiError::Unauthenticated(""),
            ApiError::Forbidden(""),
            ApiError::NotFound(String::new()),
            ApiError::MethodNotAllowed,
            ApiError::NotAcceptable,
            ApiError::Conflict(String::new()),
            ApiError::Stale { detail: String::new(), tag: HeaderValue::from_static("") },
            ApiError::TooLarge(""),
            ApiError::UnsupportedMediaType(""),
            ApiError::NotServing(String::new()),
            ApiError::TimedOut,
            ApiError::Overloaded,
            ApiError::IssuerUnavailable,
            ApiError::Internal("".into()),
        ];
        for error in &all {
            match error {
                ApiError::Validation(_)
                | ApiError::BadRequest(_)
                | ApiError::Unauthenticated(_)
                | ApiError::Forbidden(_)
                | ApiError::NotFound(_)
                | ApiError::MethodNotAllowed
                | ApiError::NotAcceptable
                | ApiError::Conflict(_)
                | ApiError::Stale { .. }
                | ApiError::TooLarge(_)
                | ApiError::UnsupportedMediaType(_)
                | ApiError::NotServing(_)
                | ApiError::TimedOut
                | ApiError::Overloaded
                | ApiError::IssuerUnavailable
                | ApiError::Internal(_)
                // 503 and 429, like others above; the tests of limits cover them.
                | ApiError::StoreUnavailable(_)
                | ApiError::TooManyRequests(..) => {}
            }
        }
        all
    }

    #[test]
    fn every_error_has_a_response() {
        for error in all_errors() {
            let status = error.parts().status.as_u16();
            assert!(reference(status).is_some(), "{status} {error:?}");
        }
    }
}
