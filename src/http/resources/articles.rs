//! Stories and projects: their requests and responses, and the handlers that both share.

use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{
    Caller, MAX_CONTENT_LENGTH, MAX_SUMMARY_LENGTH, MAX_TECHNOLOGIES, MAX_TECHNOLOGY_LENGTH,
    MAX_TITLE_LENGTH, MAX_URL_LENGTH, Meta, PageRequest, Patch, PatchOf, Project, ProjectDraft, ProjectPatch,
    Story, StoryDraft, StoryPatch, is_web_url,
};
use crate::http::ApiError;
use crate::http::extract::{
    Auth, Authorized, Create, Field, IfMatch, MAX_SAFE_INTEGER, PathParam, RequestBody, ValidQuery, default,
    optional, optional_as, optional_id, optional_text, page, query, request, required,
};
use crate::http::respond::{
    CreatedSanitized, Deleted, Item, ItemAtSlug, List, ResponseBody, Sanitized, response,
};
use crate::service::{Article, Articles, Services, Write};

/// An article with routes of its own.
pub(crate) trait ArticleResource: Article<Draft: RequestBody> + ResponseBody {
    /// The body that updates an article.
    type Update: RequestBody + Into<PatchOf<Self>>;

    /// Returns its use cases.
    fn articles(services: &Services) -> &Articles<Self>;
}

pub(crate) async fn show<E: ArticleResource>(
    services: Arc<Services>,
    PathParam(id): PathParam,
    caller: Caller,
) -> Result<Item<E>, ApiError> {
    Ok(E::articles(&services).content.by_id(Some(&caller), &id).await?.into())
}

pub(crate) async fn show_by_slug<E: ArticleResource>(
    services: Arc<Services>,
    PathParam(slug): PathParam,
    auth: Auth,
    uri: Uri,
) -> Result<ItemAtSlug<E>, ApiError> {
    let caller = auth.optional().await?;
    Ok(ItemAtSlug::new(&uri, E::articles(&services).content.by_slug(caller.as_ref(), &slug).await?))
}

pub(crate) async fn create<E: ArticleResource>(
    services: Arc<Services>,
    Create { caller, body, key }: Create<Write<E::Draft>>,
) -> Result<CreatedSanitized<E>, ApiError> {
    Ok(E::articles(&services).create(&caller, body, key).await?.into())
}

pub(crate) async fn update<E: ArticleResource>(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    Authorized(caller, write): Authorized<Write<E::Update>>,
) -> Result<Sanitized<E>, ApiError> {
    Ok(E::articles(&services).update(&caller, &id, write, &precondition).await?.into())
}

pub(crate) async fn delete<E: ArticleResource>(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    E::articles(&services).delete(&caller, &id, &precondition).await?;
    Ok(Deleted)
}

query! {
    /// The parameters of a list of stories.
    StoriesQuery {
        page: PageRequest = page(10, 100),
        /// Include drafts: the caller's own, or all for administrators. Ignored without a token.
        include_drafts: bool = default(false),
        /// Only stories of this section.
        section_id: Option<String> = optional_id(),
    }
}

request! {
    /// A new story.
    StoryDraft as "StoryWrite" {
        title: required().length(1..=MAX_TITLE_LENGTH).visible(),
        /// HTML.
        content: required().length(1..=MAX_CONTENT_LENGTH),
        is_published: required(),
    }
    example { "title": "First light", "content": "<p>The river was still.</p>", "is_published": true }
}

request! {
    /// Changes to a story. A field that is absent or null stays as it is.
    StoryPatch as "StoryUpdate" {
        title: optional().length(1..=MAX_TITLE_LENGTH).visible(),
        /// HTML.
        content: optional().length(1..=MAX_CONTENT_LENGTH),
        is_published: optional(),
    }
    example { "is_published": true }
}

response! {
    /// A story.
    Story as "Story" {
        title,
        content,
        is_published,
        id,
        slug,
        /// The time of the first publication.
        date,
        created as "createdDate",
        updated as "updatedDate",
        user_id,
        section_id,
    }
    from {
        meta: Meta { id, created, updated, user_id },
        draft: StoryDraft { title, content, is_published },
        slug,
        date,
        section_id,
    };
    example {
        "title": "First light", "content": "<p>The river was still.</p>", "is_published": true,
        "id": "65a1b2c3d4e5f60718293a4b", "slug": "first-light", "date": "2026-01-02T03:04:05Z",
        "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05.678000Z",
        "user_id": "65a1b2c3d4e5f60718293a00", "section_id": null,
    }
}

pub(crate) async fn list_stories(
    services: Arc<Services>,
    ValidQuery(query): ValidQuery<StoriesQuery>,
    auth: Auth,
    uri: Uri,
) -> Result<List<Story>, ApiError> {
    let StoriesQuery { page, include_drafts, section_id } = query;
    let drafts_for = if include_drafts { auth.optional_to_see_more().await? } else { None };
    let listing = services.stories.list(drafts_for.as_ref(), section_id.as_deref(), page).await?;
    Ok(List::new(&uri, listing))
}

impl ArticleResource for Story {
    type Update = StoryPatch;

    fn articles(services: &Services) -> &Articles<Self> {
        &services.stories
    }
}

/// Adds the rules of a URL, which may be empty.
fn web_url<V>(field: Field<String, V>) -> Field<String, V> {
    let is_valid = |url: &str| url.is_empty() || (is_web_url(url) && !url.contains(char::is_control));
    let msg = "must start with http:// or https:// and contain no control characters";
    field
        .length(0..=MAX_URL_LENGTH)
        .check(is_valid, msg)
        .pattern("^(https?://[^\\u0000-\\u001f\\u007f-\\u009f]*)?$")
}

/// Bounds the technologies, since each list shows them.
fn technologies<V>(field: Field<Vec<String>, V>) -> Field<Vec<String>, V> {
    field.items(MAX_TECHNOLOGIES, MAX_TECHNOLOGY_LENGTH)
}

/// Declares a URL of a draft. An empty URL means none.
fn draft_url() -> Field<String, Option<String>> {
    web_url(optional_text())
}

/// Declares a URL of a patch. An empty URL removes it; null, unlike for other optional fields, keeps it.
fn patch_url() -> Field<String, Patch<String>> {
    let patch = |url: String| if url.is_empty() { Patch::Clear } else { Patch::Set(url) };
    web_url(optional_as(Patch::Keep, patch))
}

query! {
    /// The parameters of a list of projects.
    ProjectsQuery {
        page: PageRequest = page(20, 100),
        /// Include unpublished projects that the caller may see. Requires a token.
        include_unpublished: bool = default(false),
        /// Only featured projects.
        featured_only: bool = default(false),
        /// Only projects of this section.
        section_id: Option<String> = optional_id(),
    }
}

request! {
    /// A new project.
    ProjectDraft as "ProjectCreate" {
        title: required().length(1..=MAX_TITLE_LENGTH).visible(),
        summary: required().length(1..=MAX_SUMMARY_LENGTH).visible(),
        content: required().length(1..=MAX_CONTENT_LENGTH),
        technologies: technologies(default(Vec::new())),
        github_url: draft_url(),
        live_url: draft_url(),
        image_url: draft_url(),
        is_published: default(true),
        is_featured: default(false),
        sort_order: default(0).range(-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER),
    }
    example {
        "title": "Tide table", "summary": "When the water comes", "content": "<p>How it is made.</p>",
        "technologies": ["rust"], "github_url": "https://example.com/tide-table",
    }
}

request! {
    /// Changes to a project. A field that is absent or null stays as it is.
    ProjectPatch as "ProjectUpdate" {
        title: optional().length(1..=MAX_TITLE_LENGTH).visible(),
        summary: optional().length(1..=MAX_SUMMARY_LENGTH).visible(),
        content: optional().length(1..=MAX_CONTENT_LENGTH),
        technologies: technologies(optional()),
        github_url: patch_url(),
        live_url: patch_url(),
        image_url: patch_url(),
        is_published: optional(),
        is_featured: optional(),
        sort_order: optional().range(-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER),
    }
    example { "is_featured": true, "sort_order": 2 }
}

response! {
    /// A project.
    Project as "Project" {
        title,
        summary,
        content,
        technologies,
        github_url,
        live_url,
        image_url,
        is_published,
        is_featured,
        sort_order,
        id,
        slug,
        created as "createdDate",
        updated as "updatedDate",
        user_id,
        section_id,
    }
    from {
        meta: Meta { id, created, updated, user_id },
        draft: ProjectDraft {
            title, summary, content, technologies, github_url, live_url, image_url, is_published, is_featured,
            sort_order,
        },
        slug,
        section_id,
    };
    example {
        "title": "Tide table", "summary": "When the water comes", "content": "<p>How it is made.</p>",
        "technologies": ["rust"], "github_url": "https://example.com/tide-table", "live_url": null,
        "image_url": null, "is_published": true, "is_featured": false, "sort_order": 0,
        "id": "65a1b2c3d4e5f60718293a4c", "slug": "tide-table", "createdDate": "2026-01-02T03:04:05Z",
        "updatedDate": "2026-01-02T03:04:05Z", "user_id": "65a1b2c3d4e5f60718293a00",
        "section_id": "65a1b2c3d4e5f60718293a01",
    }
}

response! {
    /// A project in a list.
    ProjectCard of Project as "ProjectCard" {
        id,
        title,
        slug,
        summary,
        technologies,
        image_url,
        github_url,
        live_url,
        is_published,
        is_featured,
        updated as "updatedDate",
        user_id,
        section_id,
    }
    from {
        meta: Meta { id, user_id, updated, created: _ },
        draft: ProjectDraft {
            title, summary, technologies, image_url, github_url, live_url, is_published, is_featured, content: _,
            sort_order: _,
        },
        slug,
        section_id,
    };
    example {
        "id": "65a1b2c3d4e5f60718293a4c", "title": "Tide table", "slug": "tide-table",
        "summary": "When the water comes", "technologies": ["rust"], "image_url": null,
        "github_url": "https://example.com/tide-table", "live_url": null, "is_published": true,
        "is_featured": false, "updatedDate": "2026-01-02T03:04:05Z", "user_id": "65a1b2c3d4e5f60718293a00",
        "section_id": "65a1b2c3d4e5f60718293a01",
    }
}

pub(crate) async fn list_projects(
    services: Arc<Services>,
    ValidQuery(query): ValidQuery<ProjectsQuery>,
    auth: Auth,
    uri: Uri,
) -> Result<List<ProjectCard>, ApiError> {
    let ProjectsQuery { page, include_unpublished, featured_only, section_id } = query;
    let unpublished_for = if include_unpublished { Some(auth.require().await?) } else { None };
    let projects = &services.projects;
    let listing = projects.list(unpublished_for.as_ref(), section_id.as_deref(), featured_only, page).await?;
    Ok(List::new(&uri, listing))
}

impl ArticleResource for Project {
    type Update = ProjectPatch;

    fn articles(services: &Services) -> &Articles<Self> {
        &services.projects
    }
}
