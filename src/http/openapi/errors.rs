use serde_json::{Map, Value, json};

use super::headers;

/// An answer that is an error.
struct Answer {
    status: u16,
    name: &'static str,
    description: &'static str,
    /// What such an answer says, for the example.
    detail: &'static str,
    schema: &'static str,
    /// Those that only it has.
    headers: &'static [&'static str],
}

const fn answer(status: u16, name: &'static str, description: &'static str, detail: &'static str) -> Answer {
    Answer { status, name, description, detail, schema: "Error", headers: &[] }
}

const ANSWERS: &[Answer] = &[
    answer(
        400,
        "BadRequest",
        "Well formed, and yet it means nothing",
        "Invalid story id: 24 hexadecimal digits are expected",
    ),
    Answer {
        headers: &["WWW-Authenticate"],
        ..answer(
            401,
            "Unauthenticated",
            "Nobody is signed in, or not well enough",
            "Missing authorization header",
        )
    },
    answer(
        403,
        "Forbidden",
        "The caller may not do this",
        "Only its owner and administrators may change this item",
    ),
    answer(404, "NotFound", "There is none, or none that the caller may see", "Story not found"),
    Answer {
        headers: &["Allow"],
        ..answer(
            405,
            "MethodNotAllowed",
            "The route has no such method; `Allow` names those it has",
            "Method Not Allowed",
        )
    },
    answer(
        406,
        "NotAcceptable",
        "`Accept-Encoding` refuses every coding that can be had",
        "Accept-Encoding refuses every coding: br, gzip, zstd and identity can be had",
    ),
    answer(409, "Conflict", "It would clash with something else", "slug is taken"),
    Answer {
        headers: &["ETag"],
        ..answer(
            412,
            "Stale",
            "The item is in another state than `If-Match` names",
            "The item has changed: its current version is \"6f1c\"",
        )
    },
    answer(413, "TooLarge", "The body is too large", "the body may have 1 MiB at most"),
    answer(415, "UnsupportedMediaType", "The body is not JSON", "the body has to be application/json"),
    Answer {
        schema: "ValidationError",
        ..answer(422, "Invalid", "Fields are wrong; all of them are named", "Validation Error")
    },
    Answer {
        schema: "RateLimitError",
        headers: &["Retry-After"],
        ..answer(429, "TooManyRequests", "The caller asks too often", "Rate limit exceeded: 120 per 1 minute")
    },
    answer(500, "Internal", "Our fault; the log tells more under the request id", "Internal Server Error"),
    Answer {
        headers: &["Retry-After"],
        ..answer(
            503,
            "Unavailable",
            "The start is not over, something that is needed does not answer, or too much is under way",
            "the store is unavailable at present",
        )
    },
];

/// A reference to the answer with a status, if there is such an error.
pub(crate) fn reference(status: u16) -> Option<Value> {
    let answer = ANSWERS.iter().find(|answer| answer.status == status)?;
    Some(json!({ "$ref": format!("#/components/responses/{}", answer.name) }))
}

/// All of them, by name.
pub(crate) fn responses() -> Map<String, Value> {
    ANSWERS.iter().map(|answer| (answer.name.to_owned(), response(answer))).collect()
}

fn response(answer: &Answer) -> Value {
    let content = json!({
        "schema": { "$ref": format!("#/components/schemas/{}", answer.schema) },
        "example": example(answer),
    });
    json!({
        "description": answer.description,
        "headers": headers::of_error(answer.headers),
        // The second one only for those who ask for it.
        "content": { "application/json": content, "application/problem+json": content },
    })
}

fn example(answer: &Answer) -> Value {
    let title =
        axum::http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let mut example = json!({
        "detail": answer.detail, "type": "about:blank", "title": title, "status": answer.status,
        "instance": "/stories", "request_id": "0199d3c1-7a52-7b1e-9f0a-5d2f6c3b8e41",
    });
    match answer.schema {
        "ValidationError" => {
            let error = json!({ "loc": ["body", "title"], "msg": "is needed", "type": "missing" });
            example["errors"] = json!([error]);
        }
        "RateLimitError" => example["error"] = json!(answer.detail),
        _ => {}
    }
    example
}

/// The schemas of errors that have more than every error has.
pub(crate) fn schemas() -> Map<String, Value> {
    let with = |member: &str, description: &str| {
        json!({
            "description": description,
            "allOf": [{ "$ref": "#/components/schemas/Error" }, { "type": "object", "required": [member] }],
        })
    };
    Map::from_iter([
        ("ValidationError".to_owned(), with("errors", "What is wrong with the fields of a request.")),
        ("RateLimitError".to_owned(), with("error", "That a caller asks too often.")),
    ])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::http::ApiError;

    /// One of each. A kind that is new does not compile here until it is named.
    fn every() -> Vec<ApiError> {
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
                // 503 and 429, as others above and as the tests of limits see it.
                | ApiError::StoreUnavailable(_)
                | ApiError::TooManyRequests(..) => {}
            }
        }
        all
    }

    #[test]
    fn every_error_has_an_answer() {
        for error in every() {
            let status = error.shape().status.as_u16();
            assert!(reference(status).is_some(), "{status} {error:?}");
        }
    }
}
