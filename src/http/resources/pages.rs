use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{Caller, MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH, Meta, Page, PageDraft, PagePatch};
use crate::http::ApiError;
use crate::http::extract::{Auth, Authorized, IfMatch, PathParam, optional, request};
use crate::http::respond::{Deleted, ItemAtSlug, Sanitized, response};
use crate::service::{Services, Write};

request! {
    /// Changes to a page, or a new page.
    PagePatch as "PageWrite" {
        title: optional().length(1..=MAX_TITLE_LENGTH).visible(),
        /// HTML.
        content: optional().length(1..=MAX_CONTENT_LENGTH),
        is_published: optional(),
    }
    example { "title": "About", "content": "<p>Who writes here.</p>" }
    => Self { title, content, page_type: None, is_published }
}

response! {
    /// A page.
    Page as "Page" {
        title,
        content,
        page_type,
        is_published,
        id,
        created as "createdDate",
        updated as "updatedDate",
        user_id,
        section_id,
    }
    from {
        meta: Meta { id, created, updated, user_id },
        draft: PageDraft { title, content, page_type, is_published },
        section_id,
    };
    example {
        "title": "About", "content": "<p>Who writes here.</p>", "page_type": "about", "is_published": true,
        "id": "65a1b2c3d4e5f60718293a4d", "createdDate": "2026-01-02T03:04:05Z",
        "updatedDate": "2026-01-02T03:04:05Z", "user_id": null, "section_id": null,
    }
}

pub(crate) async fn show(
    services: Arc<Services>,
    PathParam(page_type): PathParam,
    auth: Auth,
    uri: Uri,
) -> Result<ItemAtSlug<Page>, ApiError> {
    let caller = auth.optional().await?;
    Ok(ItemAtSlug::new(&uri, services.pages.by_type(caller.as_ref(), &page_type).await?))
}

pub(crate) async fn put(
    services: Arc<Services>,
    PathParam(page_type): PathParam,
    IfMatch(precondition): IfMatch,
    Authorized(caller, page): Authorized<Write<PagePatch>>,
) -> Result<Sanitized<Page>, ApiError> {
    Ok(services.pages.put(&caller, &page_type, page, &precondition).await?.into())
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(page_type): PathParam,
    IfMatch(precondition): IfMatch,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.pages.delete(&caller, &page_type, &precondition).await?;
    Ok(Deleted)
}
