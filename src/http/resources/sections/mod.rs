//! The routes of sections.

/// What is asked, what is sent, what is answered.
mod wire;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use wire::{CreateRequest, DeleteQuery, SectionBody, SectionsQuery, UpdateRequest};

use crate::domain::{Revised, Section};
use crate::http::ApiError;
use crate::http::extract::json::ValidBody;
use crate::http::extract::query::page_request;
use crate::http::extract::{IfMatch, Ready, Segment, ValidQuery, Visitor};
use crate::http::respond::{Envelope, item_response, list_response, no_content, permanent_redirect};
use crate::service::{ListSections, SlugLookup};

fn one(status: StatusCode, section: Revised<Section>) -> Response {
    item_response(status, &section.revision, SectionBody::from(section.item))
}

/// List sections
#[utoipa::path(get, path = "/sections", operation_id = "list_sections",
    params(SectionsQuery),
    responses((status = 200, description = "A window of the sections, in their order", body = Envelope<SectionBody>),
        (status = 400, description = "A parameter that names nothing"),
        (status = 401, description = "`include_unpublished` without a good token"),
        ))]
pub(crate) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<SectionsQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let SectionsQuery { limit, offset, cursor, parent_id, nav_visibility, include_unpublished } = query;
    let unpublished_for = if include_unpublished { Some(visitor.required().await?) } else { None };
    let page_request = page_request(limit, offset, cursor);
    let wanted = ListSections { parent_id, nav_visibility, unpublished_for, page_request };
    let listing = services.sections.list(wanted).await?;
    Ok(list_response(&uri, listing, SectionBody::from))
}

/// Show a section
#[utoipa::path(get, path = "/sections/{id}", operation_id = "show_section",
    responses((status = 200, description = "The section", body = SectionBody)))]
pub(crate) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(one(StatusCode::OK, services.sections.by_id(caller.as_ref(), &id).await?))
}

/// Show a section by its slug
#[utoipa::path(get, path = "/sections/slug/{slug}", operation_id = "show_section_by_slug",
    responses((status = 200, description = "The section", body = SectionBody),
        (status = 301, description = "It has another slug now; `Location` names it")))]
pub(crate) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.sections.by_slug(caller.as_ref(), &slug).await? {
        SlugLookup::Current(section) => one(StatusCode::OK, section),
        SlugLookup::Renamed(slug) => permanent_redirect(
            uri.path().rsplit_once('/').map_or("/sections/slug", |(route, _)| route),
            &slug,
        ),
    })
}

/// Create a section
#[utoipa::path(post, path = "/sections", operation_id = "create_section",
    request_body = CreateRequest,
    responses((status = 201, description = "The new section", body = SectionBody)))]
pub(crate) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(section): ValidBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::CREATED, services.sections.create(&caller, section.into()).await?))
}

/// Change a section; what is left out stays as it is
#[utoipa::path(put, path = "/sections/{id}", operation_id = "update_section",
    request_body = UpdateRequest,
    responses((status = 200, description = "The section as it is now", body = SectionBody)))]
pub(crate) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(section): ValidBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.sections.update(&caller, &id, &section.into(), &condition).await?))
}

/// Delete a section
#[utoipa::path(delete, path = "/sections/{id}", operation_id = "delete_section",
    params(DeleteQuery),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 409, description = "Something lies in it; `reassign_to` and `force` say what becomes of that"),
    ))]
pub(crate) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    ValidQuery(query): ValidQuery<DeleteQuery>,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.sections.delete(&caller, &id, &query.into(), &condition).await?;
    Ok(no_content())
}
