use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::Validate;

use super::body::{FromBody, ValidBody};
use super::extract::{Ready, Segment, ValidQuery, Visitor};
use super::fields::Fields;
use super::query::{FromQuery, MAX_OFFSET, Reader};
use super::tag::IfMatch;
use super::wire::{Envelope, deleted, serialize_instant, serialize_instant_or_null};
use super::{ApiError, link, moved, sanitized, tag};
use crate::domain::{Revised, Story, Window};
use crate::service::{Found, ListStories, WriteStory};

/// The parameters of a list of stories.
#[derive(Debug, Validate)]
pub(super) struct StoriesQuery {
    #[validate(range(min = 1, max = 50))]
    limit: i64,
    #[validate(range(min = 0, max = MAX_OFFSET))]
    offset: i64,
    include_drafts: bool,
    section_id: Option<String>,
}

impl FromQuery for StoriesQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 10),
            offset: reader.whole("offset", 0),
            include_drafts: reader.truth("include_drafts", false),
            section_id: reader.text("section_id"),
        }
    }
}

/// What a story is made of, and what it is changed to.
#[derive(Debug, Validate)]
pub(super) struct StoryRequest {
    #[validate(length(min = 1, max = 200))]
    title: String,
    #[validate(length(min = 1, max = 10000))]
    content: String,
    is_published: bool,
    section_id: Option<String>,
}

impl FromBody for StoryRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.required("title"),
            content: fields.required("content"),
            is_published: fields.required("is_published"),
            section_id: fields.optional("section_id"),
        }
    }
}

impl From<StoryRequest> for WriteStory {
    fn from(request: StoryRequest) -> Self {
        let StoryRequest { title, content, is_published, section_id } = request;
        Self { title, content, is_published, section_id }
    }
}

/// A story on the wire.
#[derive(Debug, Serialize)]
struct StoryBody {
    title: String,
    content: String,
    is_published: bool,
    id: String,
    slug: String,
    #[serde(serialize_with = "serialize_instant_or_null")]
    date: Option<DateTime<Utc>>,
    #[serde(rename = "createdDate", serialize_with = "serialize_instant")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_instant")]
    updated: DateTime<Utc>,
    user_id: Option<String>,
    section_id: Option<String>,
}

impl From<Story> for StoryBody {
    fn from(story: Story) -> Self {
        let Story { id, title, content, slug, is_published, date, created, updated, user_id, section_id } =
            story;
        Self {
            title,
            content,
            is_published,
            id: id.to_string(),
            slug,
            date,
            created,
            updated,
            user_id,
            section_id,
        }
    }
}

fn one(status: StatusCode, story: Revised<Story>) -> Response {
    tag::tagged(status, &story.revision, StoryBody::from(story.item))
}

/// `GET /stories`
pub(super) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<StoriesQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let StoriesQuery { limit, offset, include_drafts, section_id } = query;
    let drafts_for = if include_drafts { visitor.if_known().await? } else { None };
    let window = Window { limit: limit.unsigned_abs(), offset: offset.unsigned_abs() };
    let listing = services.stories.list(ListStories { section_id, drafts_for, window }).await?;
    let links = link::header(&uri, listing.window, listing.total);
    Ok((links, Json(Envelope::of(listing, StoryBody::from))).into_response())
}

/// `GET /stories/{id}`
pub(super) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.stories.by_id(&caller, &id).await?))
}

/// `GET /stories/slug/{slug}`
pub(super) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.stories.by_slug(caller.as_ref(), &slug).await? {
        Found::Here(story) => one(StatusCode::OK, story),
        Found::MovedTo(slug) => moved::to("/stories/slug", &slug),
    })
}

/// `POST /stories`
pub(super) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(story): ValidBody<StoryRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.stories.create(&caller, story.into()).await?;
    Ok(sanitized::say(one(StatusCode::CREATED, written.revised), &written.removed))
}

/// `PUT /stories/{id}`
pub(super) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(story): ValidBody<StoryRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.stories.update(&caller, &id, &story.into(), &condition).await?;
    Ok(sanitized::say(one(StatusCode::OK, written.revised), &written.removed))
}

/// `DELETE /stories/{id}`
pub(super) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.stories.delete(&caller, &id, &condition).await?;
    Ok(deleted())
}
