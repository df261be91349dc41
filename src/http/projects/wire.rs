use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::{Validate, ValidationError};

use crate::domain::{Project, ProjectChange, ProjectText, is_web_address};
use crate::http::body::FromBody;
use crate::http::fields::Fields;
use crate::http::query::{FromQuery, MAX_OFFSET, Reader};
use crate::http::wire::serialize_instant;
use crate::service::WriteProject;

/// The least and the greatest `sort_order`: beyond them a JSON number is no longer exact.
const FIRST: i64 = -9_007_199_254_740_991;
const LAST: i64 = 9_007_199_254_740_991;

/// The parameters of a list of projects.
#[derive(Debug, Validate)]
pub(in crate::http) struct ProjectsQuery {
    #[validate(range(min = 1, max = 100))]
    pub(super) limit: i64,
    #[validate(range(min = 0, max = MAX_OFFSET))]
    pub(super) offset: i64,
    pub(super) include_unpublished: bool,
    pub(super) featured_only: bool,
    pub(super) section_id: Option<String>,
}

impl FromQuery for ProjectsQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            include_unpublished: reader.truth("include_unpublished", false),
            featured_only: reader.truth("featured_only", false),
            section_id: reader.text("section_id"),
        }
    }
}

/// What a project is made of.
#[derive(Debug, Validate)]
pub(in crate::http) struct CreateRequest {
    #[validate(length(min = 1, max = 200))]
    title: String,
    #[validate(length(min = 1, max = 500))]
    summary: String,
    #[validate(length(min = 1, max = 50000))]
    content: String,
    technologies: Vec<String>,
    #[validate(custom(function = web_address_or_empty))]
    github_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    live_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    image_url: Option<String>,
    is_published: bool,
    is_featured: bool,
    #[validate(range(min = FIRST, max = LAST))]
    sort_order: i64,
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

impl From<CreateRequest> for WriteProject<ProjectText> {
    fn from(request: CreateRequest) -> Self {
        let given = |address: Option<String>| address.filter(|address| !address.is_empty());
        let text = ProjectText {
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
        Self { text, section_id: request.section_id }
    }
}

/// What is changed in a project. A field that is left out or null stays as it is.
#[derive(Debug, Validate)]
pub(in crate::http) struct UpdateRequest {
    #[validate(length(min = 1, max = 200))]
    title: Option<String>,
    #[validate(length(min = 1, max = 500))]
    summary: Option<String>,
    #[validate(length(min = 1, max = 50000))]
    content: Option<String>,
    technologies: Option<Vec<String>>,
    #[validate(custom(function = web_address_or_empty))]
    github_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    live_url: Option<String>,
    #[validate(custom(function = web_address_or_empty))]
    image_url: Option<String>,
    is_published: Option<bool>,
    is_featured: Option<bool>,
    #[validate(range(min = FIRST, max = LAST))]
    sort_order: Option<i64>,
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

impl From<UpdateRequest> for WriteProject<ProjectChange> {
    fn from(request: UpdateRequest) -> Self {
        let text = ProjectChange {
            title: request.title,
            summary: request.summary,
            content: request.content,
            technologies: request.technologies,
            github_url: request.github_url,
            live_url: request.live_url,
            image_url: request.image_url,
            is_published: request.is_published,
            is_featured: request.is_featured,
            sort_order: request.sort_order,
            section_id: None,
        };
        Self { text, section_id: request.section_id }
    }
}

fn web_address_or_empty(address: &str) -> Result<(), ValidationError> {
    if address.is_empty() || is_web_address(address) {
        return Ok(());
    }
    let message = Cow::Borrowed("has to start with http:// or https://");
    Err(ValidationError::new("address").with_message(message))
}

/// A project on the wire.
#[derive(Debug, Serialize)]
pub(super) struct ProjectBody {
    title: String,
    summary: String,
    content: String,
    technologies: Vec<String>,
    github_url: Option<String>,
    live_url: Option<String>,
    image_url: Option<String>,
    is_published: bool,
    is_featured: bool,
    sort_order: i64,
    id: String,
    slug: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_instant")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_instant")]
    updated: DateTime<Utc>,
    user_id: Option<String>,
    section_id: Option<String>,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        let Project { id, slug, text, created, updated, user_id, section_id } = project;
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
#[derive(Debug, Serialize)]
pub(super) struct CardBody {
    id: String,
    title: String,
    slug: String,
    summary: String,
    technologies: Vec<String>,
    image_url: Option<String>,
    github_url: Option<String>,
    live_url: Option<String>,
    is_featured: bool,
    user_id: Option<String>,
    section_id: Option<String>,
}

impl From<Project> for CardBody {
    fn from(project: Project) -> Self {
        let Project { id, slug, text, user_id, section_id, .. } = project;
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
