use axum::Json;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::Validate;

use super::error::FieldError;
use super::extract::{Ready, Segments, ValidQuery, Visitor};
use super::query::{FromQuery, MAX_OFFSET, Reader};
use super::wire::{Envelope, serialize_instant_or_null};
use super::{ApiError, link};
use crate::domain::{Restored, TrashType, Trashed, Window};

/// The parameters of a list of what is deleted.
#[derive(Debug, Validate)]
pub(super) struct TrashQuery {
    kind: TrashType,
    #[validate(range(min = 1, max = 100))]
    limit: i64,
    #[validate(range(min = 0, max = MAX_OFFSET))]
    offset: i64,
}

impl FromQuery for TrashQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            kind: reader.required(
                "type",
                TrashType::Stories,
                |word| word.parse().ok(),
                "literal_error",
                &words(),
            ),
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
        }
    }
}

fn words() -> String {
    format!("has to be one of {}", TrashType::ALL.map(TrashType::as_str).join(", "))
}

/// Something deleted, on the wire.
#[derive(Debug, Serialize)]
struct TrashedBody {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    slug: String,
    #[serde(rename = "deletedDate", serialize_with = "serialize_instant_or_null")]
    deleted: Option<DateTime<Utc>>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_instant_or_null")]
    updated: Option<DateTime<Utc>>,
}

impl From<Trashed> for TrashedBody {
    fn from(trashed: Trashed) -> Self {
        let Trashed { id, kind, title, slug, deleted, updated } = trashed;
        Self { id: id.to_string(), kind: kind.as_str(), title, slug, deleted, updated }
    }
}

/// Something that is live again, on the wire.
#[derive(Debug, Serialize)]
struct RestoredBody {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    slug: String,
}

/// `GET /trash`
pub(super) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<TrashQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let TrashQuery { kind, limit, offset } = query;
    let caller = visitor.required().await?;
    let window = Window { limit: limit.unsigned_abs(), offset: offset.unsigned_abs() };
    let listing = services.trash.list(&caller, kind, window).await?;
    let links = link::header(&uri, listing.window, listing.total);
    Ok((links, Json(Envelope::of(listing, TrashedBody::from))).into_response())
}

/// `POST /trash/{type}/{id}/restore`
pub(super) async fn restore(
    Ready(services): Ready,
    Segments([kind, id]): Segments<2>,
    visitor: Visitor,
) -> Result<Response, ApiError> {
    let kind = kind.parse::<TrashType>().map_err(|()| unknown_type())?;
    let caller = visitor.required().await?;
    let Restored { id, title, slug } = services.trash.restore(&caller, kind, &id).await?;
    Ok(Json(RestoredBody { id: id.to_string(), kind: kind.as_str(), title, slug }).into_response())
}

fn unknown_type() -> ApiError {
    let loc = vec!["path".into(), "type".into()];
    ApiError::Validation(vec![FieldError { loc, msg: words(), kind: "literal_error" }])
}
