//! Uploads: multipart bodies, received part by part into temporary files.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use multer::{Field, Multipart};
use serde_json::json;
use tokio::time::Instant;

use super::head::Auth;
use super::json::{BODY_GRACE, content_length, require_unencoded};
use super::value::invalid;
use crate::domain::{Caller, ImageFilter};
use crate::http::middleware::{ClientInfo, Permit, UploadPlace};
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState, UploadError};
use crate::service::{IncomingFile, MAX_IMAGE_BYTES, ReceivedFile};

/// The name of the parts that are files.
const FILES: &str = "files";
/// The maximum number of files.
const MAX_FILES: usize = 20;
/// The maximum size of the other parts together, and of the heads of all parts.
const MAX_OVERHEAD: u64 = 1024 * 1024;
/// The maximum number of bytes between two parts, and of the head of the second one.
const MAX_HEAD: usize = 16 * 1024;
/// The maximum size of a text.
const MAX_TEXT: usize = 1024;
/// The rate at which a client must send an upload, in bytes per second.
const MIN_UPLOAD_RATE: u32 = 32 * 1024;

/// An upload of a caller whom the route's policy admits. Credentials come first, unlike in the original: nothing is received
/// from a client that may not send it.
pub(crate) struct Upload {
    pub(crate) caller: Caller,
    pub(crate) form: UploadForm,
    pub(crate) place: UploadPlace,
}

/// The parts of an upload.
#[derive(Debug)]
pub(crate) struct UploadForm {
    pub(crate) files: Vec<ReceivedFile>,
    pub(crate) filter: ImageFilter,
}

impl FromRequest<AppState> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let caller = Auth::new(&parts, app)?.require().await?;
        let client = ClientInfo::address_of(&parts.extensions);
        let place = app.concurrency.upload(client)?;
        require_unencoded(&parts.headers)?;
        let max_video_bytes = app.gate.services()?.uploads.max_video_bytes();
        let limit = max_body(max_video_bytes);
        if content_length(&parts.headers).is_some_and(|length| length > limit) {
            return Err(UploadError::BodyTooLarge { limit }.into());
        }
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = read(body, content_type.unwrap_or_default(), max_video_bytes);
        let form = match parts.extensions.get::<Permit>() {
            Some(permit) => app.concurrency.receive(permit, client, form).await??,
            None => form.await?,
        };
        Ok(Self { caller, form, place })
    }
}

impl Input for Upload {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
        operation.errors.extend([400, 408]);
        let file = json!({ "type": "string", "format": "binary" });
        let schema = json!({
            "type": "object",
            "required": [FILES],
            "properties": {
                FILES: {
                    "type": "array", "items": file, "minItems": 1, "maxItems": MAX_FILES,
                    "description": "JPEG, PNG, GIF or WebP up to 5 MiB, or MP4, WebM, QuickTime or AVI.",
                },
                "image_filter": {
                    "type": "string", "enum": ImageFilter::WORDS, "default": "none",
                    "description": "A filter for the pictures.",
                },
                "section_id": {
                    "type": "string", "pattern": "^([0-9a-f]{24})?$",
                    "description": "The section of the content that will show the files. It is checked and not kept.",
                },
            },
        });
        operation.body = Some(operation.component("Upload", schema));
        operation.body_type = Some("multipart/form-data");
    }
}

/// Returns the maximum size of a body.
fn max_body(max_video_bytes: u64) -> u64 {
    max_video_bytes.max(MAX_FILES as u64 * MAX_IMAGE_BYTES) + MAX_OVERHEAD
}

/// Receives the parts of a body.
///
/// # Errors
/// 413 if a file or the body is too large, 415 for a file of an unsupported format, 422 for invalid or missing parts, 408 if
/// the body arrives too slowly, 400 if it breaks off or is malformed.
pub(super) async fn read(
    body: Body,
    content_type: &str,
    max_video_bytes: u64,
) -> Result<UploadForm, ApiError> {
    read_within(body, content_type, max_video_bytes, BODY_GRACE).await
}

/// As [`read`], with another time beyond the one that the body needs at the minimum rate.
async fn read_within(
    body: Body,
    content_type: &str,
    max_video_bytes: u64,
    grace: Duration,
) -> Result<UploadForm, ApiError> {
    let boundary = match multer::parse_boundary(content_type) {
        Ok(boundary) => boundary,
        Err(multer::Error::NoBoundary) => return Err(malformed()),
        // As in the original: what is not a form has no files.
        Err(_) => return Err(missing_files()),
    };
    let since_progress = Arc::new(AtomicUsize::new(0));
    let stream = pieces(body, max_body(max_video_bytes), grace, Arc::clone(&since_progress));
    let mut parts = Multipart::new(Box::pin(stream), boundary);
    let (mut files, mut filter, mut section) = (Vec::new(), String::new(), String::new());
    loop {
        since_progress.store(0, Ordering::Relaxed);
        let Some(mut part) = parts.next_field().await.map_err(failure)? else { break };
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            FILES => {
                if files.len() == MAX_FILES {
                    let error = invalid("too_long", format!("must contain at most {MAX_FILES} files"));
                    return Err(ApiError::Validation(vec![error.within(["body".into(), FILES.into()])]));
                }
                let mut file = IncomingFile::new(part.file_name().unwrap_or_default(), max_video_bytes);
                while let Some(piece) = next_piece(&mut part, &since_progress).await? {
                    file.write(&piece).await?;
                }
                files.push(file.finish().await?);
            }
            "image_filter" => filter = text(part, &since_progress).await?,
            "section_id" => section = text(part, &since_progress).await?,
            // Unknown parts are passed over, as unknown fields of a body are.
            _ => while next_piece(&mut part, &since_progress).await?.is_some() {},
        }
    }
    if files.is_empty() {
        return Err(missing_files());
    }
    let is_id = section.len() == 24 && section.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !section.is_empty() && !is_id {
        return Err(ApiError::BadRequest("Invalid section_id".to_owned()));
    }
    let filter = if filter.is_empty() { "none" } else { &filter };
    let filter = filter.parse().map_err(|()| {
        let words = ImageFilter::WORDS.join(", ");
        ApiError::Unprocessable(format!("Invalid filter. Must be one of: {words}"))
    })?;
    Ok(UploadForm { files, filter })
}

async fn next_piece(part: &mut Field<'_>, since_progress: &AtomicUsize) -> Result<Option<Bytes>, ApiError> {
    let piece = part.chunk().await.map_err(failure)?;
    since_progress.store(0, Ordering::Relaxed);
    Ok(piece)
}

async fn text(mut part: Field<'_>, since_progress: &AtomicUsize) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(&mut part, since_progress).await? {
        let room = MAX_TEXT.saturating_sub(bytes.len());
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The reason why a body is not received to its end.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("too slow")]
    TooSlow,
    #[error("broken off")]
    Broken,
    #[error("too large")]
    TooLarge { limit: u64 },
    #[error("the head of a part is too long")]
    LongHead,
}

/// Returns the pieces of a body, one each time that it is asked. The parser asks until it has to wait, and would keep in
/// memory all that the client sends meanwhile.
fn pieces(
    body: Body,
    limit: u64,
    grace: Duration,
    since_progress: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, BodyError>> {
    let from = Instant::now() + grace;
    stream::unfold((body, 0_u64), move |(mut body, received)| {
        let since_progress = Arc::clone(&since_progress);
        async move {
            if received > 0 {
                tokio::task::yield_now().await;
            }
            let piece = next_frame(&mut body, from, received).await?;
            let piece = piece.and_then(|piece| {
                let length = piece.len() as u64;
                if received + length > limit {
                    return Err(BodyError::TooLarge { limit });
                }
                if since_progress.fetch_add(piece.len(), Ordering::Relaxed) > MAX_HEAD {
                    return Err(BodyError::LongHead);
                }
                Ok(piece)
            });
            let received = received + piece.as_ref().map_or(0, |piece| piece.len() as u64);
            Some((piece, (body, received)))
        }
    })
}

/// Returns the next data of a body, which must arrive at the minimum rate from an instant on. `None` if it has ended.
fn next_frame(
    body: &mut Body,
    from: Instant,
    received: u64,
) -> impl Future<Output = Option<Result<Bytes, BodyError>>> {
    let seconds = received / u64::from(MIN_UPLOAD_RATE);
    let deadline = from + Duration::from_secs(seconds);
    async move {
        loop {
            match tokio::time::timeout_at(deadline, body.frame()).await {
                Err(_) => return Some(Err(BodyError::TooSlow)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(BodyError::Broken)),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Some(Ok(data)),
                    _ => {}
                },
            }
        }
    }
}

fn failure(error: multer::Error) -> ApiError {
    let multer::Error::StreamReadFailed(error) = error else { return malformed() };
    match error.downcast_ref() {
        Some(BodyError::TooSlow) => ApiError::BodyTooSlow,
        Some(BodyError::TooLarge { limit }) => UploadError::BodyTooLarge { limit: *limit }.into(),
        Some(BodyError::LongHead) => {
            ApiError::BadRequest("Invalid body: the head of a part is too long".to_owned())
        }
        Some(BodyError::Broken) | None => ApiError::BadRequest("Invalid body: it ended early".to_owned()),
    }
}

fn malformed() -> ApiError {
    ApiError::BadRequest("Invalid body: it is not multipart/form-data".to_owned())
}

fn missing_files() -> ApiError {
    let error = invalid("missing", "field required");
    ApiError::Validation(vec![error.within(["body".into(), FILES.into()])])
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";
    const PNG: &str = "\u{89}";

    fn part(name: &str, content: &[u8]) -> Vec<u8> {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.gif\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    async fn read_in(parts: &[Vec<u8>], piece: usize) -> Result<UploadForm, ApiError> {
        let body = [parts.concat(), b"--xyz--\r\n".to_vec()].concat();
        let pieces: Vec<_> =
            body.chunks(piece).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        read(Body::from_stream(stream::iter(pieces)), TYPE, 1024 * 1024).await
    }

    fn gif(length: usize) -> Vec<u8> {
        let mut file = b"GIF89a".to_vec();
        // What looks like the end of a part, and is not.
        file.extend(b"\r\n--xy\r\n--xz\r\r\n");
        file.resize(length, b'\r');
        file
    }

    #[tokio::test]
    async fn parts_are_found_wherever_the_body_is_cut() {
        let parts = [
            part("other", b"x"),
            part("files", &gif(5000)),
            part("image_filter", b"warm"),
            part("files", &gif(30)),
        ];
        for piece in [1, 2, 7, 1000, usize::MAX] {
            let form = read_in(&parts, piece.min(100_000)).await.unwrap();
            let sizes: Vec<_> = form.files.iter().map(|file| file.size).collect();
            assert_eq!((sizes, form.filter), (vec![5000, 30], ImageFilter::Warm));
            assert_eq!(form.files[0].read().await.unwrap(), gif(5000));
        }
    }

    #[tokio::test]
    async fn memory_for_heads_is_limited() {
        let long = format!("--xyz\r\nX-Long: {}\r\n\r\n", "a".repeat(200_000)).into_bytes();
        for parts in [vec![long], vec![vec![b'-'; 200_000]]] {
            let error = read_in(&parts, 8192).await.unwrap_err();
            assert!(
                matches!(&error, ApiError::BadRequest(detail) if detail.contains("too long")),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn bodies_that_are_no_forms_are_refused() {
        for (content_type, status) in [
            ("", 422),
            ("application/json", 422),
            ("multipart/form-data", 400),
            ("multipart/form-data; boundary=", 400),
            (TYPE, 400),
        ] {
            let error = read(Body::from("{}"), content_type, 1000).await.unwrap_err();
            assert_eq!(error.parts().status.as_u16(), status, "{content_type}: {error:?}");
        }
        let cut = part("files", &gif(100));
        let error = read(Body::from(cut), TYPE, 1000).await.unwrap_err();
        assert_eq!(error.parts().status.as_u16(), 400);
    }

    #[tokio::test]
    async fn every_limit_of_a_form_is_checked() {
        let file = part("files", &gif(30));
        let many = vec![file.clone(); MAX_FILES + 1];
        let large = part("files", &gif(usize::try_from(MAX_IMAGE_BYTES).unwrap() + 1));
        for (parts, status) in [
            (vec![], 422),
            (vec![part("file", &gif(30))], 422),
            (vec![part("files", b"")], 422),
            (vec![part("files", b"<html></html>")], 415),
            (vec![part("files", PNG.as_bytes())], 415),
            (vec![large], 413),
            (many, 422),
            (vec![file.clone(), part("image_filter", b"sepia")], 422),
            (vec![file.clone(), part("image_filter", &[b'a'; 5000])], 422),
            (vec![file.clone(), part("section_id", b"65A0")], 400),
        ] {
            let error = read_in(&parts, 4096).await.unwrap_err();
            assert_eq!(error.parts().status.as_u16(), status, "{error:?}");
        }
        read_in(&[file.clone(), part("section_id", b"65a0b1c2d3e4f50617283940")], 100).await.unwrap();
        read_in(&[file, part("section_id", b""), part("image_filter", b"")], 100).await.unwrap();
    }

    #[tokio::test]
    async fn slow_bodies_are_given_up() {
        let start = stream::iter([Ok::<_, std::io::Error>(part("files", &gif(1000)))]);
        let body = Body::from_stream(start.chain(stream::pending()));
        let error = read_within(body, TYPE, 1000, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, ApiError::BodyTooSlow), "{error:?}");
    }
}
