use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tracing::Instrument as _;
use utoipa::ToSchema;

use crate::domain::{AssetType, Media, MediaVariant};
use crate::http::ApiError;
use crate::http::extract::{Upload, UploadForm};
use crate::http::openapi::operation::Operation;
use crate::http::upload_error::UploadErrorDetail;
use crate::service::Services;

/// The uploaded files, in their order.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Uploaded, example = json!({
    "urls": ["/uploads/images/originals/20260102_030405_0a1b2c3d.webp"],
    "srcsets": ["/uploads/images/originals/20260102_030405_0a1b2c3d.webp 800w, \
                 /uploads/images/medium/20260102_030405_0a1b2c3d.webp 768w, \
                 /uploads/images/thumbnails/20260102_030405_0a1b2c3d.webp 400w"],
    "dimensions": [{ "width": 800, "height": 600 }],
}))]
pub(crate) struct Uploaded {
    /// The path of each file in its largest form.
    urls: Vec<String>,
    /// The value for the attribute `srcset` of each picture; empty for a video.
    srcsets: Vec<String>,
    /// The size of each file.
    dimensions: Vec<Dimensions>,
}

/// A size in pixels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dimensions {
    /// The width.
    width: i64,
    /// The height.
    height: i64,
}

impl FromIterator<Media> for Uploaded {
    fn from_iter<I: IntoIterator<Item = Media>>(files: I) -> Self {
        let mut uploaded = Self::default();
        for Media { draft, .. } in files {
            uploaded
                .urls
                .push(draft.variants.first().map(|variant| format!("/{}", variant.path)).unwrap_or_default());
            uploaded.srcsets.push(match draft.asset_type {
                AssetType::Image => draft.variants.iter().map(source).collect::<Vec<_>>().join(", "),
                AssetType::Video => String::new(),
            });
            uploaded.dimensions.push(Dimensions { width: draft.width, height: draft.height });
        }
        uploaded
    }
}

fn source(variant: &MediaVariant) -> String {
    format!("/{} {}w", variant.path, variant.width)
}

/// Stores files. The work goes on if the client leaves, so that nothing is half stored.
pub(crate) async fn create(services: Arc<Services>, upload: Upload) -> Result<Json<Uploaded>, ApiError> {
    let Upload { caller, form: UploadForm { files, filter }, place } = upload;
    let store = async move {
        let stored = services.uploads.store(&caller, files, filter).await;
        drop(place);
        stored
    };
    let stored = tokio::spawn(store.in_current_span()).await;
    let stored = stored.map_err(|error| ApiError::Internal(Box::new(error)))??;
    Ok(Json(stored.into_iter().collect()))
}

/// Describes the errors that have a form of their own.
pub(crate) fn describe_errors(operation: &mut Operation) {
    operation.derived::<UploadErrorDetail>();
    let upload = json!({ "$ref": "#/components/schemas/UploadError" });
    let any = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    operation.json(
        StatusCode::PAYLOAD_TOO_LARGE,
        "A file, or all of them together, are too large",
        upload.clone(),
    );
    let unsupported = json!({ "anyOf": [upload, any("Error")] });
    operation.json(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The format of a file is not supported, or the body is encoded",
        unsupported,
    );
    let invalid = json!({ "anyOf": [upload, any("ValidationError"), any("Error")] });
    operation.json(
        StatusCode::UNPROCESSABLE_ENTITY,
        "A part is missing or invalid, or a file is damaged or has too many pixels",
        invalid,
    );
}
