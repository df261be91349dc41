//! Projects over HTTP.

/// Requests and answers as they are on the wire.
mod wire;

use axum::http::{StatusCode, Uri};
use axum::response::Response;

use crate::domain::{Project, Revised};
use crate::http::ApiError;
use crate::http::extract::json::ValidBody;
use crate::http::extract::query::page_request;
use crate::http::extract::{IfMatch, Ready, Segment, ValidQuery, Visitor};
use crate::http::respond::{
    Envelope, item_response, list_response, no_content, permanent_redirect, with_sanitized_header,
};
use crate::service::{ListProjects, SlugLookup, Write};
use wire::{CardBody, CreateRequest, ProjectBody, ProjectsQuery, UpdateRequest};

fn one(status: StatusCode, project: Revised<Project>) -> Response {
    item_response(status, &project.revision, ProjectBody::from(project.item))
}

/// List projects
#[utoipa::path(get, path = "/projects", operation_id = "list_projects",
    params(ProjectsQuery),
    responses((status = 200, description = "A window of the projects, in their order", body = Envelope<CardBody>),
        (status = 400, description = "A parameter that names nothing"),
        (status = 401, description = "`include_unpublished` without a good token")))]
pub(crate) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<ProjectsQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let ProjectsQuery { limit, offset, cursor, include_unpublished, featured_only, section_id } = query;
    let unpublished_for = if include_unpublished { Some(visitor.required().await?) } else { None };
    let page_request = page_request(limit, offset, cursor);
    let wanted = ListProjects { section_id, featured_only, unpublished_for, page_request };
    let listing = services.projects.list(wanted).await?;
    Ok(list_response(&uri, listing, CardBody::from))
}

/// Show a project, whatever its state
#[utoipa::path(get, path = "/projects/{id}", operation_id = "show_project",
    responses((status = 200, description = "The project", body = ProjectBody)))]
pub(crate) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.projects.by_id(&caller, &id).await?))
}

/// Show a project by its slug
#[utoipa::path(get, path = "/projects/slug/{slug}", operation_id = "show_project_by_slug",
    responses((status = 200, description = "The project", body = ProjectBody),
        (status = 301, description = "It has another slug now; `Location` names it")))]
pub(crate) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.projects.by_slug(caller.as_ref(), &slug).await? {
        SlugLookup::Current(project) => one(StatusCode::OK, project),
        SlugLookup::Renamed(slug) => permanent_redirect("/projects/slug", &slug),
    })
}

/// Create a project
#[utoipa::path(post, path = "/projects", operation_id = "create_project",
    request_body = CreateRequest,
    responses((status = 201, description = "The new project", body = ProjectBody,
        headers(("X-Content-Sanitized" = String, description = "What was removed from the content")))))]
pub(crate) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(project): ValidBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.projects.create(&caller, project.into()).await?;
    Ok(with_sanitized_header(one(StatusCode::CREATED, written.revised), &written.removed))
}

/// Change a project; what is left out stays as it is
#[utoipa::path(put, path = "/projects/{id}", operation_id = "update_project",
    request_body = UpdateRequest,
    responses((status = 200, description = "The project as it is now", body = ProjectBody,
        headers(("X-Content-Sanitized" = String, description = "What was removed from the content")))))]
pub(crate) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(project): ValidBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.projects.update(&caller, &id, Write::from(project), &condition).await?;
    Ok(with_sanitized_header(one(StatusCode::OK, written.revised), &written.removed))
}

/// Delete a project
#[utoipa::path(delete, path = "/projects/{id}", operation_id = "delete_project",
    responses((status = 204, description = "It is deleted")))]
pub(crate) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.projects.delete(&caller, &id, &condition).await?;
    Ok(no_content())
}
