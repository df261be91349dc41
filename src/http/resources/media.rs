use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::extract::{PathParam, ValidQuery, optional, query};
use crate::http::openapi::operation::Operation;
use crate::http::respond::{FileRequest, Selection, file_headers, file_response};
use crate::http::{ApiError, AppState};
use crate::service::Services;

query! {
    /// The parameters of a file.
    FileQuery {
        /// Deliver the variant of a picture that is the narrowest of those with at least this width in pixels, or else the
        /// widest.
        size: Option<i64> = optional(),
    }
}

pub(crate) async fn show(
    services: Arc<Services>,
    State(app): State<AppState>,
    PathParam(path): PathParam,
    ValidQuery(FileQuery { size }): ValidQuery<FileQuery>,
    request: FileRequest,
) -> Result<Response, ApiError> {
    let media = &services.media_files;
    let width = size.map(|size| u64::try_from(size).unwrap_or(0));
    let budget = &app.concurrency.sending;
    if !request.is_conditional() {
        let found = media.get(&path, width).await?;
        return file_response(budget, found.file, found.is_final, &Selection::Whole);
    }
    let found = media.head(&path, width).await?;
    let info = &found.file;
    let selection = request.select(info)?;
    let object = match &selection {
        Selection::Headers | Selection::NotModified => {
            return Ok(file_headers(info, found.is_final, &selection));
        }
        Selection::Part(range) => media.get_range(info, range.clone()).await?,
        Selection::Whole => media.get(&path, width).await?.file,
    };
    file_response(budget, object, found.is_final, &selection)
}

/// Answers `OPTIONS` without the headers of a preflight, as the original does.
pub(crate) async fn options(PathParam(_): PathParam) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS")),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Content-Type, Authorization, User-Agent"),
        ),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ];
    (StatusCode::OK, headers, "OK").into_response()
}

/// Describes the answer to `OPTIONS`.
pub(crate) fn describe_options(operation: &mut Operation) {
    operation.response(
        StatusCode::OK,
        "The headers of CORS",
        Some(("text/plain", json!({ "type": "string" }))),
        &[],
    );
}
