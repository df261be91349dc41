//! Projects over HTTP.

/// Requests and answers as they are on the wire.
mod wire;

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::body::ValidBody;
use super::extract::{Ready, Segment, ValidQuery, Visitor};
use super::tag::{self, IfMatch};
use super::wire::{Envelope, deleted};
use super::{ApiError, link, moved, sanitized};
use crate::domain::{Project, Revised, Window};
use crate::service::{Found, ListProjects};
use wire::{CardBody, CreateRequest, ProjectBody, ProjectsQuery, UpdateRequest};

fn one(status: StatusCode, project: Revised<Project>) -> Response {
    tag::tagged(status, &project.revision, ProjectBody::from(project.item))
}

/// `GET /projects`
pub(super) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<ProjectsQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let ProjectsQuery { limit, offset, include_unpublished, featured_only, section_id } = query;
    let unpublished_for = if include_unpublished { Some(visitor.required().await?) } else { None };
    let window = Window { limit: limit.unsigned_abs(), offset: offset.unsigned_abs() };
    let wanted = ListProjects { section_id, featured_only, unpublished_for, window };
    let listing = services.projects.list(wanted).await?;
    let links = link::header(&uri, listing.window, listing.total);
    Ok((links, Json(Envelope::of(listing, CardBody::from))).into_response())
}

/// `GET /projects/{id}`
pub(super) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.projects.by_id(&caller, &id).await?))
}

/// `GET /projects/slug/{slug}`
pub(super) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.projects.by_slug(caller.as_ref(), &slug).await? {
        Found::Here(project) => one(StatusCode::OK, project),
        Found::MovedTo(slug) => moved::to("/projects/slug", &slug),
    })
}

/// `POST /projects`
pub(super) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(project): ValidBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.projects.create(&caller, project.into()).await?;
    Ok(sanitized::say(one(StatusCode::CREATED, written.revised), &written.removed))
}

/// `PUT /projects/{id}`
pub(super) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(project): ValidBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.projects.update(&caller, &id, project.into(), &condition).await?;
    Ok(sanitized::say(one(StatusCode::OK, written.revised), &written.removed))
}

/// `DELETE /projects/{id}`
pub(super) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.projects.delete(&caller, &id, &condition).await?;
    Ok(deleted())
}
