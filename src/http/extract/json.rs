//! JSON bodies: read whole, parsed and validated, with all errors in one response.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::fields::{Fields, RequestBody, properties};
use super::head::Auth;
use super::value::invalid;
use crate::domain::{Caller, IdempotencyKey, MAX_IDEMPOTENCY_KEY_LENGTH, is_idempotency_key};
use crate::http::error::{FieldError, LocPart};
use crate::http::middleware::{ClientInfo, Permit};
use crate::http::openapi::operation::{Input, Operation};
use crate::http::openapi::{headers, schema};
use crate::http::{ApiError, AppState};
use crate::identity::Profile;

/// The maximum size of a JSON body: 1 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// The time that a body may take beyond the one that it needs at the minimum rate.
pub(super) const BODY_GRACE: Duration = Duration::from_secs(10);
/// The rate at which a client must send a body, in bytes per second.
const MIN_BODY_RATE: u32 = 4 * 1024;
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// A regular expression for the values that [`idempotency_key`] accepts.
const IDEMPOTENCY_KEY_PATTERN: &str = r#"^([!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}")$"#;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The maximum number of elements of a body that is a list.
const MAX_ELEMENTS: usize = 500;

/// A caller whom the route's policy admits, and their body. Credentials come first, unlike in the original: nothing is
/// received from a client that may not send it.
pub(crate) struct Authorized<T>(pub(crate) Caller, pub(crate) T);

/// As [`Authorized`], with the caller's name and picture.
pub(crate) struct Signed<T>(pub(crate) Profile, pub(crate) T);

/// A body that everyone may send, since it changes nothing.
pub(crate) struct Question<T>(pub(crate) T);

/// As [`Authorized`], for a request that the program which works on videos may send as well.
pub(crate) struct WorkerBody<T>(pub(crate) T);

/// As [`Authorized`], for a request that creates an item. The client may repeat it if it has a key.
pub(crate) struct Create<T> {
    pub(crate) caller: Caller,
    pub(crate) body: T,
    /// The key of `Idempotency-Key`.
    pub(crate) key: Option<IdempotencyKey>,
}

/// A type that a JSON body is read as.
pub(crate) trait JsonBody: Sized + Send {
    /// Reads the body.
    ///
    /// # Errors
    /// All invalid fields.
    fn read(body: Value) -> Result<Self, Vec<FieldError>>;

    /// Adds the schema to an operation and returns a reference to it.
    fn describe(operation: &mut Operation) -> Value;
}

impl<T: RequestBody> JsonBody for T {
    fn read(body: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(object) = body else {
            let error = invalid("model_attributes_type", "must be a JSON object");
            return Err(vec![error.within(["body".into()])]);
        };
        Fields::read_body(object)
    }

    fn describe(operation: &mut Operation) -> Value {
        let schema = schema::object(T::DOCS, properties::<T>(), &T::example());
        operation.component(T::NAME, schema)
    }
}

/// A list of up to [`MAX_ELEMENTS`] objects.
impl<T: RequestBody> JsonBody for Vec<T> {
    fn read(body: Value) -> Result<Self, Vec<FieldError>> {
        let error = |kind, msg: String| Err(vec![invalid(kind, msg).within(["body".into()])]);
        let elements = match body {
            Value::Array(elements) if elements.len() <= MAX_ELEMENTS => elements,
            Value::Array(_) => {
                return error("too_long", format!("must contain at most {MAX_ELEMENTS} elements"));
            }
            _ => return error("list_type", "must be a list".to_owned()),
        };
        let (mut values, mut errors) = (Self::new(), Vec::new());
        for (index, element) in elements.into_iter().enumerate() {
            match <T as JsonBody>::read(element) {
                Ok(value) => values.push(value),
                Err(invalid) => errors.extend(invalid.into_iter().map(|mut error| {
                    error.loc.insert(1, LocPart::Index(index));
                    error
                })),
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }

    fn describe(operation: &mut Operation) -> Value {
        let element = T::describe(operation);
        serde_json::json!({ "type": "array", "items": element, "maxItems": MAX_ELEMENTS })
    }
}

impl<T: JsonBody> FromRequest<AppState> for Authorized<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let caller = Auth::new(&parts, app)?.require().await?;
        let bytes = receive_json(Request::from_parts(parts, body), app).await?;
        Ok(Self(caller, decode(&bytes)?))
    }
}

impl<T: JsonBody> FromRequest<AppState> for Signed<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let profile = Auth::new(&parts, app)?.profile().await?;
        let bytes = receive_json(Request::from_parts(parts, body), app).await?;
        Ok(Self(profile, decode(&bytes)?))
    }
}

impl<T: JsonBody> FromRequest<AppState> for Question<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let bytes = receive_json(request, app).await?;
        Ok(Self(decode(&bytes)?))
    }
}

impl<T: JsonBody> FromRequest<AppState> for WorkerBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Auth::new(&parts, app)?.require_or_video_worker().await?;
        let bytes = receive_json(Request::from_parts(parts, body), app).await?;
        Ok(Self(decode(&bytes)?))
    }
}

impl<T: JsonBody> FromRequest<AppState> for Create<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let caller = Auth::new(&parts, app)?.require().await?;
        let key = idempotency_key(&parts.headers)?.map(str::to_owned);
        let uri = parts.uri.clone();
        let bytes = receive_json(Request::from_parts(parts, body), app).await?;
        let key = key.map(|key| IdempotencyKey { key, request: digest(&uri, &bytes) });
        Ok(Self { caller, body: decode(&bytes)?, key })
    }
}

impl<T: JsonBody> Input for Authorized<T> {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
        operation.errors.extend([400, 408, 409, 413, 415, 422]);
        operation.body = Some(T::describe(operation));
    }
}

impl<T: JsonBody> Input for Signed<T> {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Authorized::<T>::describe(operation);
    }
}

impl<T: JsonBody> Input for WorkerBody<T> {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Authorized::<T>::describe(operation);
    }
}

impl<T: JsonBody> Input for Question<T> {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 408, 413, 415, 422]);
        operation.body = Some(T::describe(operation));
    }
}

impl<T: JsonBody> Input for Create<T> {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Authorized::<T>::describe(operation);
        let description = "A key of this request, unique among those of the caller: up to 255 visible ASCII characters, in \
                           quotes or not. Within 24 hours a repetition with the same key creates nothing and gets the \
                           same response; a different request with it gets 422, one during the first gets 409.";
        let mut header = headers::request("Idempotency-Key", description);
        header["schema"]["pattern"] = IDEMPOTENCY_KEY_PATTERN.into();
        operation.headers.push(header);
    }
}

/// Returns the key of `Idempotency-Key`, which may be a string of RFC 9651 or, as many clients send it, bare.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').map_or(Some(text), |quoted| quoted.strip_suffix('"'));
    let is_valid = |key: &&str| is_idempotency_key(key) && !key.contains(['"', '\\']);
    match key.filter(is_valid) {
        Some(key) if values.next().is_none() => Ok(Some(key)),
        _ => Err(ApiError::BadRequest(format!(
            "Invalid Idempotency-Key: one value of 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} visible ASCII characters is \
             expected, without quotes and backslashes within"
        ))),
    }
}

/// Returns a digest that tells requests of one method apart.
fn digest(uri: &Uri, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    // No path contains the separator.
    digest.update(uri.path());
    digest.update([0]);
    digest.update(body);
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Receives the body of a request, which must be JSON.
async fn receive_json(request: Request, app: &AppState) -> Result<BytesMut, ApiError> {
    let (parts, body) = request.into_parts();
    require_plain_json(&parts.headers)?;
    if content_length(&parts.headers).is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(ApiError::TooLarge);
    }
    let body = receive(body);
    match parts.extensions.get::<Permit>() {
        Some(permit) => {
            app.concurrency.receive(permit, ClientInfo::address_of(&parts.extensions), body).await?
        }
        None => body.await,
    }
}

pub(super) fn decode<T: JsonBody>(bytes: &[u8]) -> Result<T, ApiError> {
    let body = parse(bytes).map_err(|error| ApiError::Validation(vec![error]))?;
    T::read(body).map_err(ApiError::Validation)
}

/// Receives a whole body.
///
/// # Errors
/// 413 if it is too large, 408 if it arrives too slowly, 400 if it breaks off.
async fn receive(mut body: Body) -> Result<BytesMut, ApiError> {
    let started = Instant::now();
    let mut bytes = BytesMut::new();
    loop {
        let received = u32::try_from(bytes.len()).expect("the size is limited");
        let deadline = started + BODY_GRACE + Duration::from_secs(1) * received / MIN_BODY_RATE;
        let frame = tokio::time::timeout_at(deadline, body.frame()).await;
        let Some(frame) = frame.map_err(|_| ApiError::BodyTooSlow)? else { return Ok(bytes) };
        let frame = frame.map_err(|_| ApiError::BadRequest("Invalid body: it ended early".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BYTES {
            return Err(ApiError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Rejects other types than JSON, and encoded bodies. A body without a type is taken for JSON.
fn require_plain_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let is_json = |kind: &str| {
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    };
    if !text(header::CONTENT_TYPE).all(is_json) {
        return Err(ApiError::UnsupportedMediaType);
    }
    require_unencoded(headers)
}

/// Rejects encoded bodies.
pub(super) fn require_unencoded(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let is_plain =
        |encoding: &str| encoding.trim().is_empty() || encoding.trim().eq_ignore_ascii_case("identity");
    if !text(header::CONTENT_ENCODING).flat_map(|text| text.split(',')).all(is_plain) {
        return Err(ApiError::UnsupportedEncoding);
    }
    Ok(())
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn parse(bytes: &[u8]) -> Result<Value, FieldError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let missing = || invalid("missing", "body required").within(["body".into()]);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(missing());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Null) => Err(missing()),
        Ok(body) => Ok(body),
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

    use crate::domain::NavLinkDraft;

    fn error(body: &[u8]) -> (Vec<LocPart>, &'static str) {
        let read = parse(body).map_err(|error| vec![error]).and_then(<NavLinkDraft as JsonBody>::read);
        let FieldError { loc, kind, .. } = read.unwrap_err().remove(0);
        (loc, kind)
    }

    #[test]
    fn lists_are_read_with_the_positions_of_their_errors() {
        let read = |body: Value| <Vec<NavLinkDraft> as JsonBody>::read(body).map(|links| links.len());
        let good = serde_json::json!({ "label": "l", "url": "/" });
        assert_eq!(read(serde_json::json!([])).unwrap(), 0);
        assert_eq!(read(serde_json::json!([good, good])).unwrap(), 2);
        let errors = read(serde_json::json!([good, { "label": "l" }, 5])).unwrap_err();
        let loc = |parts: Vec<LocPart>| [vec!["body".into()], parts].concat();
        assert_eq!(errors[0].loc, loc(vec![LocPart::Index(1), "url".into()]));
        assert_eq!(
            (&errors[1].loc, errors[1].kind),
            (&loc(vec![LocPart::Index(2)]), "model_attributes_type")
        );
        assert_eq!(read(good.clone()).unwrap_err()[0].kind, "list_type");
        assert_eq!(read(vec![good; MAX_ELEMENTS + 1].into()).unwrap_err()[0].kind, "too_long");
    }

    #[test]
    fn idempotency_keys_are_quoted_or_bare_visible_ascii() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.append(IDEMPOTENCY_KEY, value);
            }
            idempotency_key(&headers).map(|key| key.map(str::to_owned)).map_err(|error| error.parts().status)
        };
        let longest = "k".repeat(255);
        assert_eq!(of(&[]), Ok(None));
        for (text, key) in [("a", "a"), ("\"a\"", "a"), (" 8e03-[~] ", "8e03-[~]"), (&longest, &longest)] {
            assert_eq!(of(&[text]), Ok(Some(key.to_owned())), "{text}");
        }
        let too_long = "k".repeat(256);
        let malformed = ["", "\"\"", "\"a", "a\"", "\"", "a b", "a\tb", "\"a\\\"b\"", "\u{e9}", &too_long];
        for text in malformed {
            assert_eq!(of(&[text]), Err(axum::http::StatusCode::BAD_REQUEST), "{text:?}");
        }
        assert_eq!(of(&["a", "a"]), Err(axum::http::StatusCode::BAD_REQUEST));
    }

    #[test]
    fn digests_differ_by_path_and_body() {
        let of = |path: &'static str, body: &[u8]| digest(&Uri::from_static(path), body);
        assert_eq!(of("/stories", b"{}"), of("/stories?a=1", b"{}"));
        assert_eq!(of("/stories", b"{}").len(), 43);
        assert_ne!(of("/stories", b"{}"), of("/projects", b"{}"));
        assert_ne!(of("/stories", b"{}"), of("/stories", b"{ }"));
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
    fn leading_byte_order_mark_is_ignored() {
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\": 1}").unwrap()["a"], 1);
        assert_eq!(error(b"\xef\xbb\xbf\xef\xbb\xbf{}").1, "json_invalid");
        assert_eq!(error(b"\xef\xbb\xbf").1, "missing");
    }

    #[test]
    fn only_plain_json_is_accepted() {
        let check = |name, text: &'static str| {
            let value = axum::http::HeaderValue::from_static(text);
            require_plain_json(&HeaderMap::from_iter([(name, value)]))
        };
        assert!(require_plain_json(&HeaderMap::new()).is_ok());
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(check(header::CONTENT_TYPE, json).is_ok(), "{json}");
        }
        for other in
            ["text/plain", "text/plain;charset=UTF-8", "nonsense", "", "application/jsonp", "text/x+json"]
        {
            assert!(
                matches!(check(header::CONTENT_TYPE, other), Err(ApiError::UnsupportedMediaType)),
                "{other}"
            );
        }
        assert!(check(header::CONTENT_ENCODING, "identity").is_ok());
        for encoding in ["gzip", "br", "identity, gzip", "nonsense"] {
            assert!(matches!(check(header::CONTENT_ENCODING, encoding), Err(ApiError::UnsupportedEncoding)));
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
