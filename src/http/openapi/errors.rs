use axum::http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;

use super::headers;
use crate::http::error::ErrorBody;
use crate::http::{ApiError, FieldError, RateLimit, RateLimitStatus};
use crate::{identity, service};

/// A name and a description of an error response, and an example.
type ErrorExample = (&'static str, &'static str, ApiError);

/// Returns an example for each status.
fn examples() -> [ErrorExample; 17] {
    let missing = FieldError {
        loc: vec!["body".into(), "title".into()],
        msg: "field required".into(),
        kind: "missing",
    };
    let stale = ApiError::Stale {
        detail: "The item has changed: its current version is \"6f1c\"".to_owned(),
        tag: Some(HeaderValue::from_static("\"6f1c\"")),
    };
    let limit = RateLimit { name: "writes", per_minute: 120 };
    let limited = RateLimitStatus { limit, remaining: 0, seconds_left: 60 };
    [
        (
            "BadRequest",
            "The request is well formed, but a value in it is invalid",
            service::Error::InvalidId("Story").into(),
        ),
        ("Unauthenticated", "Missing or invalid credentials", identity::Error::Missing.into()),
        ("Forbidden", "The caller is not allowed to do this", service::Error::MayNotChange.into()),
        (
            "NotFound",
            "The item does not exist or is not visible to the caller",
            service::Error::NotFound("Story").into(),
        ),
        (
            "MethodNotAllowed",
            "The route does not support the method; `Allow` names those it supports",
            ApiError::MethodNotAllowed,
        ),
        ("NotAcceptable", "`Accept-Encoding` excludes every available encoding", ApiError::NotAcceptable),
        ("BodyTooSlow", "The body arrives too slowly", ApiError::BodyTooSlow),
        (
            "Conflict",
            "The change conflicts with another item",
            service::Error::Taken { field: "slug" }.into(),
        ),
        ("Stale", "The item is not in the state that `If-Match` or `If-None-Match` requires", stale),
        ("TooLarge", "The body is too large", ApiError::TooLarge),
        ("UnsupportedMediaType", "The body is not JSON, or is encoded", ApiError::UnsupportedMediaType),
        (
            "RangeNotSatisfiable",
            "No byte of the file is in the range",
            ApiError::RangeNotSatisfiable { size: 1000 },
        ),
        ("Invalid", "Fields are invalid; `errors` lists all of them", ApiError::Validation(vec![missing])),
        ("TooManyRequests", "The client exceeded a rate limit", limited.into()),
        (
            "Internal",
            "Internal error; the log has its cause under the request id",
            ApiError::Internal("".into()),
        ),
        (
            "Unavailable",
            "The server is starting, a dependency does not respond, or too many requests are in progress",
            ApiError::Overloaded,
        ),
        ("StorageFull", "The disk of the server is full", ApiError::StorageFull("".into())),
    ]
}

/// Returns a reference to the error response with a status.
pub(super) fn reference(status: u16) -> Option<Value> {
    let (name, ..) = examples().into_iter().find(|(.., error)| error.parts().status == status)?;
    Some(json!({ "$ref": format!("#/components/responses/{name}") }))
}

/// Returns all error responses by name.
pub(super) fn responses() -> Map<String, Value> {
    examples().into_iter().map(|example| (example.0.to_owned(), response(&example))).collect()
}

fn response((_, description, error): &ErrorExample) -> Value {
    let parts = error.parts();
    let schema = match parts.status {
        StatusCode::UNPROCESSABLE_ENTITY => "ValidationError",
        StatusCode::TOO_MANY_REQUESTS => "RateLimitError",
        _ => "Error",
    };
    // The router adds this header.
    let allow = (parts.status == StatusCode::METHOD_NOT_ALLOWED).then_some("Allow");
    let own = headers::names().filter(|name| parts.headers.contains_key(*name)).chain(allow);
    let content = json!({
        "schema": { "$ref": format!("#/components/schemas/{schema}") },
        "example": error.body("/stories", "0199d3c1-7a52-7b1e-9f0a-5d2f6c3b8e41"),
    });
    json!({
        "description": description,
        "headers": headers::of_response(own, true),
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
            json!({
                "description": "An error that lists the invalid fields of a request, or has a code in its `detail`.",
                "allOf": [
                    { "$ref": "#/components/schemas/Error" },
                    { "anyOf": [
                        { "type": "object", "required": ["errors"] },
                        { "type": "object", "properties": { "detail": { "type": "object" } } },
                    ] },
                ],
            }),
        ),
        ("UploadError".to_owned(), upload_error()),
        ("RateLimitError".to_owned(), with("error", "An error of a client that exceeded a rate limit.")),
    ])
}

/// Returns the schema of refused uploads: that of errors, with an object as `detail`.
fn upload_error() -> Value {
    let mut schema = serde_json::to_value(ErrorBody::schema()).expect("a schema is JSON");
    schema["description"] = json!("A refused upload.");
    schema["properties"]["detail"] = json!({ "$ref": "#/components/schemas/UploadErrorDetail" });
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one of each. A new variant does not compile here until it is listed.
    fn all_errors() -> Vec<ApiError> {
        let all = vec![
            ApiError::Validation(Vec::new()),
            ApiError::BadRequest(String::new()),
            ApiError::Unauthenticated(""),
            ApiError::Forbidden(String::new()),
            ApiError::NotFound(String::new()),
            ApiError::MethodNotAllowed,
            ApiError::NotAcceptable,
            ApiError::Conflict(String::new()),
            ApiError::Stale { detail: String::new(), tag: None },
            ApiError::TooLarge,
            ApiError::UnsupportedMediaType,
            ApiError::NotServing(String::new()),
            ApiError::TimedOut { writes: true },
            ApiError::Overloaded,
            ApiError::IssuerUnavailable,
            ApiError::VerificationBusy,
            ApiError::BodyTooSlow,
            ApiError::UnsupportedEncoding,
            ApiError::Internal("".into()),
            ApiError::StorageFull("".into()),
            ApiError::RangeNotSatisfiable { size: 1 },
            ApiError::MediaUnavailable(service::StorageError::NotFound),
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
                | ApiError::TooLarge
                | ApiError::UnsupportedMediaType
                | ApiError::NotServing(_)
                | ApiError::TimedOut { .. }
                | ApiError::Overloaded
                | ApiError::IssuerUnavailable
                | ApiError::VerificationBusy
                | ApiError::BodyTooSlow
                | ApiError::UnsupportedEncoding
                | ApiError::Internal(_)
                | ApiError::StorageFull(_)
                | ApiError::RangeNotSatisfiable { .. }
                | ApiError::MediaUnavailable(_)
                // 414 and 417 are answered before routing, so no operation has them.
                | ApiError::UrlTooLong
                | ApiError::ExpectationFailed
                // Their route describes them.
                | ApiError::Unprocessable(_)
                | ApiError::Upload(_)
                // 403, 404, 409 and 422, like others above.
                | ApiError::MediaInUse(..)
                | ApiError::Coded(..)
                // 503 and 429, like others above; the tests of limits cover them.
                | ApiError::StoreUnavailable(_)
                | ApiError::ReadOnly(_)
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
