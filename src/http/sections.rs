use axum::Json;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::Validate;

use super::extract::{Ready, Segment, ValidQuery, Visitor};
use super::query::{FromQuery, MAX_OFFSET, Reader};
use super::wire::{Envelope, serialize_instant};
use super::{ApiError, link};
use crate::domain::{Section, Window};
use crate::service::ListSections;

/// The parameters of a list of sections.
#[derive(Debug, Validate)]
pub(super) struct SectionsQuery {
    #[validate(range(min = 1, max = 100))]
    limit: i64,
    #[validate(range(min = 0, max = MAX_OFFSET))]
    offset: i64,
    parent_id: Option<String>,
    nav_visibility: Option<String>,
    include_unpublished: bool,
}

impl FromQuery for SectionsQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            parent_id: reader.text("parent_id"),
            nav_visibility: reader.text("nav_visibility"),
            include_unpublished: reader.truth("include_unpublished", false),
        }
    }
}

/// A section on the wire.
#[derive(Debug, Serialize)]
struct SectionBody {
    title: String,
    slug: String,
    parent_id: Option<String>,
    display_type: &'static str,
    content_type: &'static str,
    nav_visibility: &'static str,
    sort_order: i64,
    is_published: bool,
    id: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_instant")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_instant")]
    updated: DateTime<Utc>,
    user_id: Option<String>,
}

impl From<Section> for SectionBody {
    fn from(section: Section) -> Self {
        let Section {
            id,
            title,
            slug,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
            created,
            updated,
            user_id,
        } = section;
        Self {
            title,
            slug,
            parent_id,
            display_type: display_type.as_str(),
            content_type: content_type.as_str(),
            nav_visibility: nav_visibility.as_str(),
            sort_order,
            is_published,
            id: id.to_string(),
            created,
            updated,
            user_id,
        }
    }
}

/// `GET /sections`
pub(super) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<SectionsQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let SectionsQuery { limit, offset, parent_id, nav_visibility, include_unpublished } = query;
    let unpublished_for = if include_unpublished { Some(visitor.required().await?) } else { None };
    let window = Window { limit: limit.unsigned_abs(), offset: offset.unsigned_abs() };
    let wanted = ListSections { parent_id, nav_visibility, unpublished_for, window };
    let listing = services.sections.list(wanted).await?;
    let links = link::header(&uri, listing.window, listing.total);
    Ok((links, Json(Envelope::of(listing, SectionBody::from))).into_response())
}

/// `GET /sections/{id}`
pub(super) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    let section = services.sections.by_id(caller.as_ref(), &id).await?;
    Ok(Json(SectionBody::from(section)).into_response())
}

/// `GET /sections/slug/{slug}`
pub(super) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    let section = services.sections.by_slug(caller.as_ref(), &slug).await?;
    Ok(Json(SectionBody::from(section)).into_response())
}
