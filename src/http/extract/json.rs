//! JSON bodies: read whole, parsed and validated, with all errors in one response.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::fields::{Fields, RequestBody};
use super::head::Auth;
use super::value::invalid;
use crate::domain::Caller;
use crate::http::error::{FieldError, LocPart};
use crate::http::middleware::Permit;
use crate::http::openapi::operation::{Input, Operation};
use crate::http::openapi::schema;
use crate::http::{ApiError, AppState};

/// The maximum size of a JSON body: 1 MiB.
const MAX_BYTES: usize = 1024 * 1024;

/// A caller whom the route's policy admits, and their body. An invalid body is reported before missing credentials, as
/// in the original.
pub(crate) struct Authorized<T>(pub(crate) Caller, pub(crate) T);

impl<T: RequestBody> FromRequest<AppState> for Authorized<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let auth = Auth::new(&parts, app)?;
        let body = read(Request::from_parts(parts, body), app).await?;
        Ok(Self(auth.require().await?, body))
    }
}

impl<T: RequestBody> Input for Authorized<T> {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
        operation.errors.extend([400, 409, 413, 415, 422]);
        let properties = Fields::describe::<T>().into_iter().map(|field| {
            let mut property = if field.nullable { schema::nullable(field.schema) } else { field.schema };
            if let Some(description) = field.description {
                property["description"] = Value::String(description);
            }
            (field.name, property, field.required)
        });
        let schema = schema::object(T::DOCS, properties, &T::example());
        operation.body = Some(operation.component(T::NAME, schema));
    }
}

async fn read<T: RequestBody>(mut request: Request, app: &AppState) -> Result<T, ApiError> {
    reject_forms(request.headers())?;
    if content_length(request.headers()).is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(ApiError::TooLarge);
    }
    DefaultBodyLimit::max(MAX_BYTES).apply(&mut request);
    let permit = request.extensions().get::<Permit>().cloned();
    let body = Bytes::from_request(request, app);
    let body = match &permit {
        Some(permit) => app.concurrency.without_permit(permit, body).await?,
        None => body.await,
    };
    let bytes = body.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::TooLarge,
        _ => ApiError::BadRequest("Invalid body: it ended early".to_owned()),
    })?;
    let object = parse(&bytes).map_err(|error| ApiError::Validation(vec![error]))?;
    Fields::read_body(object).map_err(ApiError::Validation)
}

/// Rejects forms. As in the original, JSON may have any other content type.
fn reject_forms(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" || kind.starts_with("multipart/") {
        return Err(ApiError::UnsupportedMediaType);
    }
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, FieldError> {
    let missing = || invalid("missing", "body required").within(["body".into()]);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(missing());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Err(missing()),
        Ok(_) => Err(invalid("model_attributes_type", "must be a JSON object").within(["body".into()])),
        Err(error) => {
            let msg = if error.is_eof() {
                "invalid JSON: it ends early"
            } else {
                "invalid JSON, or nested too deeply"
            };
            Err(invalid("json_invalid", msg).within(["body".into(), LocPart::Index(position(bytes, &error))]))
        }
    }
}

/// Returns the index of the byte that an error is at. Lines and columns count from 1; a line break has column 0 of the
/// line that it begins.
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
    fn bodies_that_are_no_objects_have_kinds_of_their_own() {
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
    fn invalid_json_is_reported_with_its_position() {
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
                ["body".into(), LocPart::Index(at)],
                "{}",
                String::from_utf8_lossy(&body[..body.len().min(20)])
            );
        }
    }
}
