use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use validator::Validate;

use crate::domain::{Meta, Page, PageDraft, PagePatch, Revised};
use crate::http::ApiError;
use crate::http::extract::fields::Fields;
use crate::http::extract::json::{FromBody, ValidBody};
use crate::http::extract::{IfMatch, Ready, Segment, Visitor};
use crate::http::respond::{item_response, no_content, serialize_timestamp, with_sanitized_header};
use crate::service::Write;

/// What a page becomes.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = PageWrite, examples(json!({ "title": "About", "content": "<p>Who writes here.</p>" })))]
pub(crate) struct PageRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// HTML.
    #[validate(length(min = 1, max = 50000))]
    #[schema(min_length = 1, max_length = 50000)]
    content: Option<String>,
    is_published: Option<bool>,
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    section_id: Option<String>,
}

impl FromBody for PageRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.optional("title"),
            content: fields.optional("content"),
            is_published: fields.optional("is_published"),
            section_id: fields.optional("section_id"),
        }
    }
}

impl From<PageRequest> for Write<PagePatch> {
    fn from(request: PageRequest) -> Self {
        let PageRequest { title, content, is_published, section_id } = request;
        let fields = PagePatch { title, content, page_type: None, is_published };
        Self { fields, section_id }
    }
}

/// A page on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page, examples(json!({
    "title": "About", "content": "<p>Who writes here.</p>", "page_type": "about", "is_published": true,
    "id": "65a1b2c3d4e5f60718293a4d", "createdDate": "2026-01-02T03:04:05Z",
    "updatedDate": "2026-01-02T03:04:05Z", "user_id": null, "section_id": null,
})))]
pub(crate) struct PageBody {
    title: String,
    content: String,
    page_type: String,
    is_published: bool,
    id: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_timestamp")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_timestamp")]
    updated: DateTime<Utc>,
    #[schema(required)]
    user_id: Option<String>,
    #[schema(required)]
    section_id: Option<String>,
}

impl From<Page> for PageBody {
    fn from(page: Page) -> Self {
        let Page { meta, draft, section_id } = page;
        let Meta { id, created, updated, user_id } = meta;
        let PageDraft { title, content, page_type, is_published } = draft;
        Self {
            title,
            content,
            page_type,
            is_published,
            id: id.to_string(),
            created,
            updated,
            user_id,
            section_id,
        }
    }
}

fn one(page: Revised<Page>) -> Response {
    item_response(StatusCode::OK, &page.revision, PageBody::from(page.item))
}

/// Show a page
#[utoipa::path(get, path = "/pages/{page_type}", operation_id = "show_page",
    responses((status = 200, description = "The page", body = PageBody)))]
pub(crate) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(page_type): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(one(services.pages.by_type(caller.as_ref(), &page_type).await?))
}

/// Change a page, or make it
///
/// A page that is made needs a title and content.
#[utoipa::path(put, path = "/pages/{page_type}", operation_id = "put_page",
    request_body = PageRequest,
    responses(
        (status = 200, description = "The page as it is now", body = PageBody,
            headers(("X-Content-Sanitized" = String, description = "What was removed from the content"))),
        (status = 400, description = "A page that is made needs title and content"),
    ))]
pub(crate) async fn put(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(page_type): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(page): ValidBody<PageRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.pages.put(&caller, &page_type, page.into(), &condition).await?;
    Ok(with_sanitized_header(one(written.revised), &written.removed))
}

/// Delete a page
#[utoipa::path(delete, path = "/pages/{page_type}", operation_id = "delete_page",
    responses((status = 204, description = "It is deleted")))]
pub(crate) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(page_type): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.pages.delete(&caller, &page_type, &condition).await?;
    Ok(no_content())
}
