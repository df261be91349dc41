//! The routes of sections.

/// What is asked, what is sent, what is answered.
mod wire;

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use wire::{CreateRequest, DeleteQuery, SectionBody, SectionsQuery, UpdateRequest};

use super::body::ValidBody;
use super::extract::{Ready, Segment, ValidQuery, Visitor};
use super::tag::{self, IfMatch};
use super::wire::{Envelope, deleted};
use super::{ApiError, link, moved};
use crate::domain::{Revised, Section, Window};
use crate::service::{Found, ListSections};

fn one(status: StatusCode, section: Revised<Section>) -> Response {
    tag::tagged(status, &section.revision, SectionBody::from(section.item))
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
    Ok(one(StatusCode::OK, services.sections.by_id(caller.as_ref(), &id).await?))
}

/// `GET /sections/slug/{slug}`, and by its other name
pub(super) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.sections.by_slug(caller.as_ref(), &slug).await? {
        Found::Here(section) => one(StatusCode::OK, section),
        Found::MovedTo(slug) => {
            moved::to(uri.path().rsplit_once('/').map_or("/sections/slug", |(route, _)| route), &slug)
        }
    })
}

/// `POST /sections`
pub(super) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(section): ValidBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::CREATED, services.sections.create(&caller, section.into()).await?))
}

/// `PUT /sections/{id}`
pub(super) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(section): ValidBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.sections.update(&caller, &id, &section.into(), &condition).await?))
}

/// `DELETE /sections/{id}`
pub(super) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    ValidQuery(query): ValidQuery<DeleteQuery>,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.sections.delete(&caller, &id, &query.into(), &condition).await?;
    Ok(deleted())
}
