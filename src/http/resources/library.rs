//! The library of pictures and videos: what is known of uploaded files, and the original's asset browser.

use std::sync::Arc;

use axum::Json;
use axum::http::Uri;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    AssetType, Caller, Id, ImageFilter, Listing, MAX_ALT_TEXT_LENGTH, Media, MediaDraft, MediaPatch,
    MediaVariant, Meta, PageRequest, Revised, Window,
};
use crate::http::ApiError;
use crate::http::extract::{
    Authorized, IfMatch, PathParam, ValidQuery, default, optional, optional_text, page, patch_text, query,
    request,
};
use crate::http::media_in_use::ReferrerBody;
use crate::http::respond::{Deleted, Item, List, Nested, response};
use crate::service::{Asset, Services};

/// The beginning of the names of files, which the contract leaves out.
const ROOT: &str = "uploads/";

/// A page of the asset browser.
#[derive(Serialize, ToSchema)]
#[schema(as = Assets, examples(json!({
    "items": [{
        "asset_id": "20260102_030405_0a1b2c3d", "type": "image",
        "variants": [{
            "variant": "originals", "path": "images/originals/20260102_030405_0a1b2c3d.webp", "size_bytes": 81_920,
        }],
        "total_size_bytes": 81_920, "created_date": "2026-01-02T03:04:05+00:00",
        "referenced_by": [{ "content_type": "story", "title": "First light", "id": "65a1b2c3d4e5f60718293a4b" }],
    }],
    "next_cursor": null, "total_count": 1,
})))]
pub(crate) struct AssetsBody {
    items: Vec<AssetBody>,
    /// The cursor of the next page; null at the end of the list.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Number of files in the whole list.
    total_count: u64,
}

/// A file of the asset browser.
#[derive(Serialize, ToSchema)]
#[schema(as = Asset)]
struct AssetBody {
    /// The id in the names of the files.
    asset_id: String,
    /// `image` or `video`.
    #[serde(rename = "type")]
    kind: &'static str,
    variants: Vec<AssetVariantBody>,
    total_size_bytes: i64,
    /// The time in the id; null if it is none.
    #[schema(required, format = DateTime)]
    created_date: Option<String>,
    /// Up to 50 items that refer to the file, as far as the caller may see them.
    referenced_by: Vec<ReferrerBody>,
}

/// A stored file of the asset browser.
#[derive(Serialize, ToSchema)]
#[schema(as = AssetVariant)]
struct AssetVariantBody {
    variant: String,
    /// The name of the file below `/uploads/`.
    path: String,
    size_bytes: i64,
}

impl From<MediaVariant> for AssetVariantBody {
    fn from(variant: MediaVariant) -> Self {
        let MediaVariant { variant, path, size_bytes, .. } = variant;
        let path = path.strip_prefix(ROOT).map(str::to_owned).unwrap_or(path);
        Self { variant, path, size_bytes }
    }
}

impl From<Asset> for AssetBody {
    fn from(asset: Asset) -> Self {
        let Asset { media, uploaded, referrers } = asset;
        let MediaDraft { asset_id, asset_type, variants, .. } = media.draft;
        let variants: Vec<_> = variants.into_iter().map(AssetVariantBody::from).collect();
        Self {
            asset_id,
            kind: asset_type.as_str(),
            total_size_bytes: variants.iter().map(|variant| variant.size_bytes).sum(),
            variants,
            created_date: uploaded.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, false)),
            referenced_by: referrers.into_iter().map(ReferrerBody::from).collect(),
        }
    }
}

impl From<Listing<Asset>> for AssetsBody {
    fn from(listing: Listing<Asset>) -> Self {
        let Listing { items, total, window: Window { limit, offset }, cursor_page: _ } = listing;
        let next = offset.saturating_add(limit);
        Self {
            items: items.into_iter().map(AssetBody::from).collect(),
            next_cursor: (next < total).then(|| next.to_string()),
            total_count: total,
        }
    }
}

query! {
    /// The parameters of the list of all files.
    AssetsQuery {
        /// Only pictures or only videos.
        prefix: Option<String> = optional_text().one_of(&["", "images", "video"]),
        /// Maximum number of items to return.
        limit: i64 = default(50).range(1..=100),
        /// The `next_cursor` of the page before: the number of items to skip.
        cursor: Option<String> = optional_text().pattern("^[0-9]{0,15}$"),
    }
}

query! {
    /// The parameters of the list of a section's files.
    SectionAssetsQuery {
        /// Maximum number of items to return.
        limit: i64 = default(50).range(1..=100),
        /// The `next_cursor` of the page before: the number of items to skip.
        cursor: Option<String> = optional_text().pattern("^[0-9]{0,15}$"),
    }
}

query! {
    /// The parameters of the list of the library.
    MediaQuery {
        page: PageRequest = page(20, 100),
        /// Only files of this type.
        kind as "type": Option<AssetType> = optional(),
    }
}

query! {
    /// The parameters of a deletion.
    DeleteMediaQuery {
        /// Delete the file although content refers to it.
        force: bool = default(false),
    }
}

request! {
    /// Changes to a file. A field that is absent stays as it is.
    MediaPatch as "MediaUpdate" {
        /// A text for those who do not see the file; null removes it.
        alt_text: patch_text().length(0..=MAX_ALT_TEXT_LENGTH),
    }
    example { "alt_text": "A river at dawn" }
    => Self { alt_text }
}

response! {
    /// A stored file.
    MediaVariant as "MediaVariant" {
        variant,
        /// The whole name of the file, which is delivered at `/` and this.
        path,
        width,
        height,
        size_bytes,
        /// The SHA-256 of the file, in hexadecimal digits; null if it is not known.
        sha256,
    }
    example {
        "variant": "originals", "path": "uploads/images/originals/20260102_030405_0a1b2c3d.webp", "width": 900,
        "height": 600, "size_bytes": 81_920,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }
}

/// A file of the library.
pub(crate) struct MediaItem {
    id: Id,
    asset_id: String,
    kind: AssetType,
    content_type: String,
    content_hash: String,
    filter: ImageFilter,
    names: Vec<String>,
    width: i64,
    height: i64,
    duration_ms: Option<i64>,
    size_bytes: i64,
    variants: Vec<Nested<MediaVariant>>,
    alt_text: Option<String>,
    thumbhash: Option<String>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    user_id: Option<String>,
}

impl From<Media> for MediaItem {
    fn from(media: Media) -> Self {
        let Media { meta: Meta { id, created, updated, user_id }, draft } = media;
        let MediaDraft {
            asset_id,
            content_hash,
            filter,
            asset_type,
            content_type,
            names,
            width,
            height,
            duration_ms,
            bytes,
            variants,
            alt_text,
            thumbhash,
        } = draft;
        Self {
            id,
            asset_id,
            kind: asset_type,
            content_type,
            content_hash,
            filter,
            names,
            width,
            height,
            duration_ms,
            size_bytes: bytes,
            variants: variants.into_iter().map(Nested).collect(),
            alt_text,
            thumbhash,
            created,
            updated,
            user_id,
        }
    }
}

response! {
    /// An uploaded picture or video.
    MediaItem as "Media" {
        id,
        /// The id in the names of the files.
        asset_id,
        kind as "type",
        /// The media type that was uploaded.
        content_type,
        /// The SHA-256 of the uploaded bytes, in hexadecimal digits.
        content_hash,
        /// The filter that was applied.
        filter,
        /// The names that the file had where it came from, the first one first.
        names,
        width,
        height,
        /// The duration of a video or an animated picture, in milliseconds.
        duration_ms,
        /// The size of the uploaded file.
        size_bytes,
        /// The stored files, the largest first.
        variants,
        /// A text for those who do not see the file.
        alt_text,
        /// A blurred preview, in Base64.
        thumbhash,
        created as "createdDate",
        updated as "updatedDate",
        /// The uploader.
        user_id,
    }
    example {
        "id": "65a1b2c3d4e5f60718293a4f", "asset_id": "20260102_030405_0a1b2c3d", "type": "image",
        "content_type": "image/jpeg",
        "content_hash": "0a1b2c3d00000000000000000000000000000000000000000000000000000000", "filter": "none",
        "names": ["river.jpg"], "width": 900, "height": 600, "duration_ms": null, "size_bytes": 204_800,
        "variants": [{
            "variant": "originals", "path": "uploads/images/originals/20260102_030405_0a1b2c3d.webp", "width": 900,
            "height": 600, "size_bytes": 81_920,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }],
        "alt_text": "A river at dawn", "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI", "createdDate": "2026-01-02T03:04:05Z",
        "updatedDate": "2026-01-02T03:04:05Z", "user_id": "65a1b2c3d4e5f60718293a00",
    }
}

fn item(media: Revised<Media>) -> Item<MediaItem> {
    let Revised { item, revision } = media;
    Revised { item: MediaItem::from(item), revision }.into()
}

/// Returns the part of a list that a page of the asset browser shows.
fn window(limit: i64, cursor: Option<&str>) -> Result<Window, ApiError> {
    let invalid = || ApiError::BadRequest("Invalid cursor".to_owned());
    let offset = match cursor {
        None => 0,
        Some(cursor) if cursor.len() <= 15 && cursor.bytes().all(|byte| byte.is_ascii_digit()) => {
            cursor.parse().map_err(|_| invalid())?
        }
        Some(_) => return Err(invalid()),
    };
    Ok(Window { limit: limit.unsigned_abs(), offset })
}

pub(crate) async fn assets(
    services: Arc<Services>,
    ValidQuery(AssetsQuery { prefix, limit, cursor }): ValidQuery<AssetsQuery>,
    caller: Caller,
) -> Result<Json<AssetsBody>, ApiError> {
    let kind = match prefix.as_deref() {
        None => None,
        Some("images") => Some(AssetType::Image),
        Some("video") => Some(AssetType::Video),
        Some(_) => return Err(ApiError::BadRequest("Invalid prefix".to_owned())),
    };
    let window = window(limit, cursor.as_deref())?;
    Ok(Json(services.library.assets(&caller, kind, window).await?.into()))
}

pub(crate) async fn assets_of_section(
    services: Arc<Services>,
    PathParam(section): PathParam,
    ValidQuery(SectionAssetsQuery { limit, cursor }): ValidQuery<SectionAssetsQuery>,
    caller: Caller,
) -> Result<Json<AssetsBody>, ApiError> {
    let window = window(limit, cursor.as_deref())?;
    Ok(Json(services.library.assets_of_section(&caller, &section, window).await?.into()))
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(MediaQuery { page, kind }): ValidQuery<MediaQuery>,
    _: Caller,
    uri: Uri,
) -> Result<List<MediaItem>, ApiError> {
    Ok(List::new(&uri, services.library.list(kind, page).await?))
}

pub(crate) async fn show(
    services: Arc<Services>,
    PathParam(id): PathParam,
    caller: Caller,
) -> Result<Item<MediaItem>, ApiError> {
    Ok(item(services.library.by_id(&caller, &id).await?))
}

pub(crate) async fn update(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    Authorized(caller, patch): Authorized<MediaPatch>,
) -> Result<Item<MediaItem>, ApiError> {
    Ok(item(services.library.update(&caller, &id, patch, &precondition).await?))
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(id): PathParam,
    ValidQuery(DeleteMediaQuery { force }): ValidQuery<DeleteMediaQuery>,
    IfMatch(precondition): IfMatch,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.library.delete(&caller, &id, force, &precondition).await?;
    Ok(Deleted)
}
