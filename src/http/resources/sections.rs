use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{
    Caller, MAX_TITLE_LENGTH, Meta, NavVisibility, PageRequest, Section, SectionDraft, SectionPatch,
};
use crate::http::ApiError;
use crate::http::extract::{
    Auth, Authorized, Create, IfMatch, MAX_SAFE_INTEGER, PathParam, ValidQuery, absent_is, default,
    omittable, optional, optional_id, optional_text, page, patch_id, query, request, required,
};
use crate::http::respond::{Changed, Created, Deleted, Item, ItemAtSlug, List, response};
use crate::service::{OnDelete, SectionPlace, Services, UpdateSection};

query! {
    /// The parameters of a list of sections.
    SectionsQuery {
        page: PageRequest = page(20, 100),
        /// Only children of this section; `null` for sections at the root.
        parent_id: Option<String> = optional_text().pattern("^([0-9a-fA-F]{24}|null)?$"),
        /// Only sections that are linked there.
        nav_visibility: Option<String> = optional_text().one_of(NavVisibility::WORDS),
        /// Include unpublished sections that the caller may see. Requires a token.
        include_unpublished: bool = default(false),
    }
}

request! {
    OnDelete {
        /// The section that receives the children and the content.
        reassign_to: optional_id(),
        /// Delete the section although it is not empty: its children move to its parent, its content to no section.
        force: default(false),
    }
    => match (reassign_to, force) {
        (Some(target), _) => Self::Reassign(target),
        (None, true) => Self::Orphan,
        (None, false) => Self::Reject,
    }
}

request! {
    /// A new section.
    SectionDraft as "SectionCreate" {
        title: required().length(1..=MAX_TITLE_LENGTH).visible(),
        display_type: required(),
        content_type: required(),
        /// Validated and ignored: the slug follows the title.
        slug: optional().length(1..=MAX_TITLE_LENGTH),
        parent_id: optional_id(),
        nav_visibility: absent_is(NavVisibility::Main),
        sort_order: absent_is(0).range(0..=MAX_SAFE_INTEGER),
        is_published: absent_is(true),
    }
    example { "title": "Blog", "display_type": "feed", "content_type": "story" }
    => {
        let _: Option<String> = slug;
        Self { title, parent_id, display_type, content_type, nav_visibility, sort_order, is_published }
    }
}

request! {
    /// Changes to a section. A field that is absent stays as it is; only `parent_id` may be null.
    UpdateSection as "SectionUpdate" {
        title: omittable().length(1..=MAX_TITLE_LENGTH).visible(),
        /// Converted to a slug like a title. Must contain a letter or a digit.
        slug: omittable().length(1..=MAX_TITLE_LENGTH),
        parent_id: patch_id(),
        display_type: omittable(),
        content_type: omittable(),
        nav_visibility: omittable(),
        sort_order: omittable().range(0..=MAX_SAFE_INTEGER),
        is_published: omittable(),
    }
    example { "parent_id": null, "sort_order": 3 }
    => {
        let patch = SectionPatch {
            title, parent_id, display_type, content_type, nav_visibility, sort_order, is_published,
        };
        Self { patch, slug }
    }
}

request! {
    /// The new place of a section. Without `parent_id` the section keeps its parent; null or empty moves it to the root.
    SectionPlace as "SectionPlace" {
        id: required().pattern("^[0-9a-fA-F]{24}$"),
        sort_order: required().range(0..=MAX_SAFE_INTEGER),
        parent_id: patch_id(),
    }
    example { "id": "65a1b2c3d4e5f60718293a01", "sort_order": 2 }
}

response! {
    /// A section.
    Section as "Section" {
        title,
        slug,
        parent_id,
        display_type,
        content_type,
        nav_visibility,
        sort_order,
        is_published,
        id,
        created as "createdDate",
        updated as "updatedDate",
        user_id,
    }
    from {
        meta: Meta { id, created, updated, user_id },
        draft: SectionDraft {
            title, parent_id, display_type, content_type, nav_visibility, sort_order, is_published,
        },
        slug,
    };
    example {
        "title": "Blog", "slug": "blog", "parent_id": null, "display_type": "feed", "content_type": "story",
        "nav_visibility": "main", "sort_order": 1, "is_published": true, "id": "65a1b2c3d4e5f60718293a01",
        "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05Z", "user_id": null,
    }
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(query): ValidQuery<SectionsQuery>,
    auth: Auth,
    uri: Uri,
) -> Result<List<Section>, ApiError> {
    let SectionsQuery { page, parent_id, nav_visibility, include_unpublished } = query;
    let unpublished_for = if include_unpublished { Some(auth.require().await?) } else { None };
    let (parent_id, nav_visibility) = (parent_id.as_deref(), nav_visibility.as_deref());
    let sections = &services.sections;
    let listing = sections.list(unpublished_for.as_ref(), parent_id, nav_visibility, page).await?;
    Ok(List::new(&uri, listing))
}

pub(crate) async fn show(
    services: Arc<Services>,
    PathParam(id): PathParam,
    auth: Auth,
) -> Result<Item<Section>, ApiError> {
    let caller = auth.optional().await?;
    Ok(services.sections.content.by_id(caller.as_ref(), &id).await?.into())
}

pub(crate) async fn show_by_slug(
    services: Arc<Services>,
    PathParam(slug): PathParam,
    auth: Auth,
    uri: Uri,
) -> Result<ItemAtSlug<Section>, ApiError> {
    let caller = auth.optional().await?;
    Ok(ItemAtSlug::new(&uri, services.sections.content.by_slug(caller.as_ref(), &slug).await?))
}

pub(crate) async fn create(
    services: Arc<Services>,
    Create { caller, body, key }: Create<SectionDraft>,
) -> Result<Created<Section>, ApiError> {
    Ok(services.sections.create(&caller, body, key).await?.into())
}

pub(crate) async fn update(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    Authorized(caller, update): Authorized<UpdateSection>,
) -> Result<Item<Section>, ApiError> {
    Ok(services.sections.update(&caller, &id, &update, &precondition).await?.into())
}

pub(crate) async fn reorder(
    services: Arc<Services>,
    Authorized(caller, places): Authorized<Vec<SectionPlace>>,
) -> Result<Changed, ApiError> {
    services.sections.reorder(&caller, places).await?;
    Ok(Changed)
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(id): PathParam,
    ValidQuery(on_delete): ValidQuery<OnDelete>,
    IfMatch(precondition): IfMatch,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.sections.delete(&caller, &id, &on_delete, &precondition).await?;
    Ok(Deleted)
}
