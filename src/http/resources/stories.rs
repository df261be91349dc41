use std::sync::Arc;

use axum::http::Uri;

use super::articles::ArticleResource;
use crate::domain::{MAX_STORY_LENGTH, MAX_TITLE_LENGTH, Meta, PageRequest, Story, StoryDraft};
use crate::http::ApiError;
use crate::http::extract::{Auth, ValidQuery, default, optional, page, query, request, required};
use crate::http::respond::{List, response};
use crate::service::{Articles, ListStories, Services};

query! {
    /// The parameters of a list of stories.
    StoriesQuery {
        page: PageRequest = page(10, 50),
        /// Include drafts: the caller's own, or all for administrators. Ignored without a token.
        include_drafts: bool = default(false),
        /// Only stories of this section.
        section_id: Option<String> = optional().id(),
    }
}

request! {
    /// A new story, or the new state of an existing one.
    StoryDraft as "StoryWrite" {
        title: required().length(1..=MAX_TITLE_LENGTH),
        /// HTML.
        content: required().length(1..=MAX_STORY_LENGTH),
        is_published: required(),
    }
    example { "title": "First light", "content": "<p>The river was still.</p>", "is_published": true }
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

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(query): ValidQuery<StoriesQuery>,
    auth: Auth,
    uri: Uri,
) -> Result<List<Story>, ApiError> {
    let StoriesQuery { page, include_drafts, section_id } = query;
    let drafts_for = if include_drafts { auth.optional().await? } else { None };
    let listing = services.stories.list(ListStories { section_id, drafts_for, page_request: page }).await?;
    Ok(List::new(&uri, listing))
}

impl ArticleResource for Story {
    type Update = StoryDraft;

    fn articles(services: &Services) -> &Articles<Self> {
        &services.stories
    }
}
