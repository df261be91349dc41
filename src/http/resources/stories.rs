use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::domain::{Meta, Revised, Story, StoryDraft};
use crate::http::ApiError;
use crate::http::extract::fields::Fields;
use crate::http::extract::json::{FromBody, ValidBody};
use crate::http::extract::query::{FromQuery, MAX_OFFSET, Reader, page_request};
use crate::http::extract::{IfMatch, Ready, Segment, ValidQuery, Visitor};
use crate::http::respond::{
    Envelope, item_response, list_response, no_content, permanent_redirect, serialize_optional_timestamp,
    serialize_timestamp, with_sanitized_header,
};
use crate::service::{ListStories, SlugLookup, Write};

/// The parameters of a list of stories.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StoriesQuery {
    /// So many items at most.
    #[validate(range(min = 1, max = 50))]
    #[param(minimum = 1, maximum = 50, default = 10, required = false)]
    limit: i64,
    /// So many items are left out before the first.
    #[validate(range(min = 0, max = MAX_OFFSET))]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64, default = 0, required = false)]
    offset: i64,
    /// Walks the list: empty at first, then that of the `Link` whose `rel` is `next`. Not together with `offset`; the
    /// other parameters stay as they are, `limit` apart.
    #[param(pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
    /// Drafts too: those of the caller, for administrators all. Means nothing without a token.
    #[param(default = false, required = false)]
    include_drafts: bool,
    /// Only what hangs in this section.
    #[param(pattern = "^[0-9a-fA-F]{24}$")]
    section_id: Option<String>,
}

impl FromQuery for StoriesQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 10),
            offset: reader.whole("offset", 0),
            cursor: reader.cursor(),
            include_drafts: reader.truth("include_drafts", false),
            section_id: reader.text("section_id"),
        }
    }
}

/// What a story is made of, and what it is changed to.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = StoryWrite, examples(json!({
    "title": "First light", "content": "<p>The river was still.</p>", "is_published": true,
})))]
pub(crate) struct StoryRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// HTML.
    #[validate(length(min = 1, max = 10000))]
    #[schema(min_length = 1, max_length = 10000)]
    content: String,
    is_published: bool,
    /// A section of stories; without one, a new story goes to the first.
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
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

impl From<StoryRequest> for Write<StoryDraft> {
    fn from(request: StoryRequest) -> Self {
        let StoryRequest { title, content, is_published, section_id } = request;
        Self { fields: StoryDraft { title, content, is_published }, section_id }
    }
}

/// A story on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Story, examples(json!({
    "title": "First light", "content": "<p>The river was still.</p>", "is_published": true,
    "id": "65a1b2c3d4e5f60718293a4b", "slug": "first-light", "date": "2026-01-02T03:04:05Z",
    "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05.678000Z",
    "user_id": "65a1b2c3d4e5f60718293a00", "section_id": null,
})))]
pub(crate) struct StoryBody {
    title: String,
    content: String,
    is_published: bool,
    id: String,
    slug: String,
    /// When it was first published.
    #[serde(serialize_with = "serialize_optional_timestamp")]
    #[schema(required)]
    date: Option<DateTime<Utc>>,
    #[serde(rename = "createdDate", serialize_with = "serialize_timestamp")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_timestamp")]
    updated: DateTime<Utc>,
    #[schema(required)]
    user_id: Option<String>,
    #[schema(required)]
    section_id: Option<String>,
}

impl From<Story> for StoryBody {
    fn from(story: Story) -> Self {
        let Story { meta, draft, slug, date, section_id } = story;
        let Meta { id, created, updated, user_id } = meta;
        let StoryDraft { title, content, is_published } = draft;
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
    item_response(status, &story.revision, StoryBody::from(story.item))
}

/// List stories
#[utoipa::path(get, path = "/stories", operation_id = "list_stories",
    params(StoriesQuery),
    responses((status = 200, description = "A window of the stories, the newest first", body = Envelope<StoryBody>),
        (status = 400, description = "A parameter that names nothing")))]
pub(crate) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<StoriesQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let StoriesQuery { limit, offset, cursor, include_drafts, section_id } = query;
    let drafts_for = if include_drafts { visitor.if_known().await? } else { None };
    let page_request = page_request(limit, offset, cursor);
    let listing = services.stories.list(ListStories { section_id, drafts_for, page_request }).await?;
    Ok(list_response(&uri, listing, StoryBody::from))
}

/// Show a story, whatever its state
#[utoipa::path(get, path = "/stories/{id}", operation_id = "show_story",
    responses((status = 200, description = "The story", body = StoryBody)))]
pub(crate) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.stories.by_id(&caller, &id).await?))
}

/// Show a story by its slug
#[utoipa::path(get, path = "/stories/slug/{slug}", operation_id = "show_story_by_slug",
    responses((status = 200, description = "The story", body = StoryBody),
        (status = 301, description = "It has another slug now; `Location` names it")))]
pub(crate) async fn show_by_slug(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(slug): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(match services.stories.by_slug(caller.as_ref(), &slug).await? {
        SlugLookup::Current(story) => one(StatusCode::OK, story),
        SlugLookup::Renamed(slug) => permanent_redirect("/stories/slug", &slug),
    })
}

/// Create a story
#[utoipa::path(post, path = "/stories", operation_id = "create_story",
    request_body = StoryRequest,
    responses((status = 201, description = "The new story", body = StoryBody,
        headers(("X-Content-Sanitized" = String, description = "What was removed from the content")))))]
pub(crate) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(story): ValidBody<StoryRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.stories.create(&caller, story.into()).await?;
    Ok(with_sanitized_header(one(StatusCode::CREATED, written.revised), &written.removed))
}

/// Change a story
#[utoipa::path(put, path = "/stories/{id}", operation_id = "update_story",
    request_body = StoryRequest,
    responses((status = 200, description = "The story as it is now", body = StoryBody,
        headers(("X-Content-Sanitized" = String, description = "What was removed from the content")))))]
pub(crate) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(story): ValidBody<StoryRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    let written = services.stories.update(&caller, &id, Write::from(story), &condition).await?;
    Ok(with_sanitized_header(one(StatusCode::OK, written.revised), &written.removed))
}

/// Delete a story
#[utoipa::path(delete, path = "/stories/{id}", operation_id = "delete_story",
    responses((status = 204, description = "It is deleted")))]
pub(crate) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.stories.delete(&caller, &id, &condition).await?;
    Ok(no_content())
}
