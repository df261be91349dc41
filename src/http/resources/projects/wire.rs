use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use crate::domain::{Meta, Patch, Project, ProjectDraft, ProjectPatch, is_web_url};
use crate::http::extract::fields::{EXACT, Fields};
use crate::http::extract::json::FromBody;
use crate::http::extract::query::{FromQuery, MAX_OFFSET, Reader};
use crate::http::respond::serialize_timestamp;
use crate::service::Write;

/// The least `sort_order`.
const FIRST: i64 = -EXACT;

/// The parameters of a list of projects.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProjectsQuery {
    /// So many items at most.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20, required = false)]
    pub(crate) limit: i64,
    /// So many items are left out before the first.
    #[validate(range(min = 0, max = MAX_OFFSET))]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64, default = 0, required = false)]
    pub(crate) offset: i64,
    /// Walks the list: empty at first, then that of the `Link` whose `rel` is `next`. Not together with `offset`; the
    /// other parameters stay as they are, `limit` apart.
    #[param(pattern = "^[A-Za-z0-9_-]*$")]
    pub(crate) cursor: Option<String>,
    /// Unpublished ones too, as far as the caller may see them. Needs a token.
    #[param(default = false, required = false)]
    pub(crate) include_unpublished: bool,
    /// Only those that are featured.
    #[param(default = false, required = false)]
    pub(crate) featured_only: bool,
    /// Only what hangs in this section.
    #[param(pattern = "^[0-9a-fA-F]{24}$")]
    pub(crate) section_id: Option<String>,
}

impl FromQuery for ProjectsQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            cursor: reader.cursor(),
            include_unpublished: reader.truth("include_unpublished", false),
            featured_only: reader.truth("featured_only", false),
            section_id: reader.text("section_id"),
        }
    }
}

/// What a project is made of.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = ProjectCreate, examples(json!({
    "title": "Tide table", "summary": "When the water comes", "content": "<p>How it is made.</p>",
    "technologies": ["rust"], "github_url": "https://example.com/tide-table",
})))]
pub(crate) struct CreateRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    summary: String,
    #[validate(length(min = 1, max = 50000))]
    #[schema(min_length = 1, max_length = 50000)]
    content: String,
    #[schema(required = false, default = json!([]))]
    technologies: Vec<String>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    github_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    live_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    image_url: Option<String>,
    #[schema(required = false, default = true)]
    is_published: bool,
    #[schema(required = false, default = false)]
    is_featured: bool,
    #[validate(range(min = FIRST, max = EXACT))]
    #[schema(required = false, default = 0, minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64)]
    sort_order: i64,
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    section_id: Option<String>,
}

impl FromBody for CreateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.required("title"),
            summary: fields.required("summary"),
            content: fields.required("content"),
            technologies: fields.or("technologies", Vec::new()),
            github_url: fields.optional("github_url"),
            live_url: fields.optional("live_url"),
            image_url: fields.optional("image_url"),
            is_published: fields.or("is_published", true),
            is_featured: fields.or("is_featured", false),
            sort_order: fields.or("sort_order", 0),
            section_id: fields.optional("section_id"),
        }
    }
}

impl From<CreateRequest> for Write<ProjectDraft> {
    fn from(request: CreateRequest) -> Self {
        let given = |address: Option<String>| address.filter(|address| !address.is_empty());
        let fields = ProjectDraft {
            title: request.title,
            summary: request.summary,
            content: request.content,
            technologies: request.technologies,
            github_url: given(request.github_url),
            live_url: given(request.live_url),
            image_url: given(request.image_url),
            is_published: request.is_published,
            is_featured: request.is_featured,
            sort_order: request.sort_order,
        };
        Self { fields, section_id: request.section_id }
    }
}

/// What is changed in a project. A field that is left out or null stays as it is.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = ProjectUpdate, examples(json!({ "is_featured": true, "sort_order": 2 })))]
pub(crate) struct UpdateRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    summary: Option<String>,
    #[validate(length(min = 1, max = 50000))]
    #[schema(min_length = 1, max_length = 50000)]
    content: Option<String>,
    technologies: Option<Vec<String>>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    github_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    live_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    #[schema(pattern = "^(https?://.*)?$")]
    image_url: Option<String>,
    is_published: Option<bool>,
    is_featured: Option<bool>,
    #[validate(range(min = FIRST, max = EXACT))]
    #[schema(minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64)]
    sort_order: Option<i64>,
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    section_id: Option<String>,
}

impl FromBody for UpdateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.optional("title"),
            summary: fields.optional("summary"),
            content: fields.optional("content"),
            technologies: fields.optional("technologies"),
            github_url: fields.optional("github_url"),
            live_url: fields.optional("live_url"),
            image_url: fields.optional("image_url"),
            is_published: fields.optional("is_published"),
            is_featured: fields.optional("is_featured"),
            sort_order: fields.optional("sort_order"),
            section_id: fields.optional("section_id"),
        }
    }
}

impl From<UpdateRequest> for Write<ProjectPatch> {
    fn from(request: UpdateRequest) -> Self {
        let patched = |url: Option<String>| match url {
            None => Patch::Keep,
            Some(url) if url.is_empty() => Patch::Clear,
            Some(url) => Patch::Set(url),
        };
        let fields = ProjectPatch {
            title: request.title,
            summary: request.summary,
            content: request.content,
            technologies: request.technologies,
            github_url: patched(request.github_url),
            live_url: patched(request.live_url),
            image_url: patched(request.image_url),
            is_published: request.is_published,
            is_featured: request.is_featured,
            sort_order: request.sort_order,
        };
        Self { fields, section_id: request.section_id }
    }
}

fn web_address_or_empty(address: &str) -> Result<(), ValidationError> {
    if address.is_empty() || is_web_url(address) {
        return Ok(());
    }
    let message = Cow::Borrowed("has to start with http:// or https://");
    Err(ValidationError::new("address").with_message(message))
}

/// A project on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project, examples(json!({
    "title": "Tide table", "summary": "When the water comes", "content": "<p>How it is made.</p>",
    "technologies": ["rust"], "github_url": "https://example.com/tide-table", "live_url": null, "image_url": null,
    "is_published": true, "is_featured": false, "sort_order": 0, "id": "65a1b2c3d4e5f60718293a4c",
    "slug": "tide-table", "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05Z",
    "user_id": "65a1b2c3d4e5f60718293a00", "section_id": "65a1b2c3d4e5f60718293a01",
})))]
pub(crate) struct ProjectBody {
    title: String,
    summary: String,
    content: String,
    technologies: Vec<String>,
    #[schema(required)]
    github_url: Option<String>,
    #[schema(required)]
    live_url: Option<String>,
    #[schema(required)]
    image_url: Option<String>,
    is_published: bool,
    is_featured: bool,
    sort_order: i64,
    id: String,
    slug: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_timestamp")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_timestamp")]
    updated: DateTime<Utc>,
    #[schema(required)]
    user_id: Option<String>,
    #[schema(required)]
    section_id: Option<String>,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        let Project { meta, slug, draft: text, section_id } = project;
        let Meta { id, created, updated, user_id } = meta;
        Self {
            title: text.title,
            summary: text.summary,
            content: text.content,
            technologies: text.technologies,
            github_url: text.github_url,
            live_url: text.live_url,
            image_url: text.image_url,
            is_published: text.is_published,
            is_featured: text.is_featured,
            sort_order: text.sort_order,
            id: id.to_string(),
            slug,
            created,
            updated,
            user_id,
            section_id,
        }
    }
}

/// A project in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectCard, examples(json!({
    "id": "65a1b2c3d4e5f60718293a4c", "title": "Tide table", "slug": "tide-table",
    "summary": "When the water comes", "technologies": ["rust"], "image_url": null,
    "github_url": "https://example.com/tide-table", "live_url": null, "is_featured": false,
    "user_id": "65a1b2c3d4e5f60718293a00", "section_id": "65a1b2c3d4e5f60718293a01",
})))]
pub(crate) struct CardBody {
    id: String,
    title: String,
    slug: String,
    summary: String,
    technologies: Vec<String>,
    #[schema(required)]
    image_url: Option<String>,
    #[schema(required)]
    github_url: Option<String>,
    #[schema(required)]
    live_url: Option<String>,
    is_featured: bool,
    #[schema(required)]
    user_id: Option<String>,
    #[schema(required)]
    section_id: Option<String>,
}

impl From<Project> for CardBody {
    fn from(project: Project) -> Self {
        let Project { meta, slug, draft: text, section_id } = project;
        let Meta { id, user_id, created: _, updated: _ } = meta;
        Self {
            id: id.to_string(),
            title: text.title,
            slug,
            summary: text.summary,
            technologies: text.technologies,
            image_url: text.image_url,
            github_url: text.github_url,
            live_url: text.live_url,
            is_featured: text.is_featured,
            user_id,
            section_id,
        }
    }
}
