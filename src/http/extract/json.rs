//! Bodies of requests: read whole, parsed, and judged field by field, all errors together.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use validator::Validate;

use super::fields::Fields;
use crate::http::error::{FieldError, LocPart};
use crate::http::middleware::concurrency::Permit;
use crate::http::{ApiError, AppState};

/// A JSON body may have so many bytes: 1 MiB.
const LIMIT: usize = 1024 * 1024;
const TOO_LARGE: ApiError = ApiError::TooLarge("The body is too large: at most 1 MiB is read");

/// A request type that is read from a JSON object.
pub(crate) trait FromBody: Validate + Sized {
    /// Reads each field; those that cannot be read get a stand-in and an error in the fields.
    fn from_body(fields: &mut Fields) -> Self;
}

/// A body, read and judged.
pub(crate) struct ValidBody<T>(pub(crate) T);

impl<T: FromBody> FromRequest<AppState> for ValidBody<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, app: &AppState) -> Result<Self, ApiError> {
        refuse_forms(request.headers())?;
        if announced(request.headers()).is_some_and(|length| length > LIMIT as u64) {
            return Err(TOO_LARGE);
        }
        DefaultBodyLimit::max(LIMIT).apply(&mut request);
        let place = request.extensions().get::<Permit>().cloned();
        let sent = Bytes::from_request(request, app);
        let sent = match &place {
            Some(place) => app.concurrency.outside(place, sent).await?,
            None => sent.await,
        };
        let bytes = sent.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => TOO_LARGE,
            _ => ApiError::BadRequest("Invalid body: it ended too early".to_owned()),
        })?;
        let object = parse(&bytes).map_err(|error| ApiError::Validation(vec![error]))?;
        Fields::judge(object).map(Self).map_err(ApiError::Validation)
    }
}

/// As in the original, JSON may come under any name, but for that of a form.
fn refuse_forms(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" || kind.starts_with("multipart/") {
        return Err(ApiError::UnsupportedMediaType(
            "The body has to be JSON, not a form: say so by Content-Type: application/json",
        ));
    }
    Ok(())
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, FieldError> {
    let wrong = |at: Option<usize>, msg: &str, kind| {
        let loc = std::iter::once(LocPart::from("body")).chain(at.map(LocPart::At)).collect();
        FieldError { loc, msg: msg.to_owned(), kind }
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong(None, "a body is needed", "missing"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Err(wrong(None, "a body is needed", "missing")),
        Ok(_) => Err(wrong(None, "has to be a JSON object", "model_attributes_type")),
        Err(error) => {
            let msg = if error.is_eof() {
                "is not valid JSON: it ends too early"
            } else {
                "is not valid JSON, or nested too deep"
            };
            Err(wrong(Some(position(bytes, &error)), msg, "json_invalid"))
        }
    }
}

/// The byte that an error is at: its line and column both count from 1. The column of a line break is 0, of the line
/// that it begins.
fn position(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = error.line().saturating_sub(1);
    let before: usize = bytes.split_inclusive(|&byte| byte == b'\n').take(lines).map(<[u8]>::len).sum();
    (before + error.column()).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> (Vec<LocPart>, &'static str) {
        let FieldError { loc, kind, .. } = parse(body).unwrap_err();
        (loc, kind)
    }

    #[test]
    fn what_is_no_object_is_told_apart() {
        for (body, kind) in [
            (&b""[..], "missing"),
            (b" \n", "missing"),
            (b"null", "missing"),
            (b"[]", "model_attributes_type"),
            (b"3", "model_attributes_type"),
        ] {
            assert_eq!(error(body), (vec!["body".into()], kind), "{body:?}");
        }
    }

    #[test]
    fn broken_json_is_told_with_its_place() {
        let deep = "[".repeat(10_000);
        for (body, at) in [
            (&b"{\"a\": }"[..], 6),
            (b"{\n \"a\" 1}", 7),
            (b"{\"a\": \"b\nc\"}", 8),
            (b"{\"a\": \"\\ud800\"}", 13),
            (b"{\"a\": \"\xff\"}", 7),
            (b"{\"a\": NaN}", 6),
            (deep.as_bytes(), 127),
        ] {
            let (loc, kind) = error(body);
            assert_eq!(kind, "json_invalid", "{body:?}");
            assert_eq!(
                loc,
                ["body".into(), LocPart::At(at)],
                "{}",
                String::from_utf8_lossy(&body[..body.len().min(20)])
            );
        }
    }
}
