use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{
    Caller, MAX_LABEL_LENGTH, MAX_LINK_LENGTH, Meta, NavLink, NavLinkDraft, NavLinkPatch, PageRequest,
    is_link_target,
};
use crate::http::ApiError;
use crate::http::extract::{
    Auth, Authorized, Create, Field, IfMatch, MAX_SAFE_INTEGER, PathParam, ValidQuery, absent_is, default,
    omittable, page, query, request, required,
};
use crate::http::respond::{Created, Deleted, Item, List, response};
use crate::service::Services;

/// Validates the target of a link.
fn target<V>(field: Field<String, V>) -> Field<String, V> {
    let msg = "must start with http:, https:, mailto: or tel:, or be a path of this site, without control characters";
    // A path begins with one slash at most, and with no backslash, which browsers read as a slash.
    let pattern = concat!(
        r"^(?:[Hh][Tt][Tt][Pp][Ss]?:|[Mm][Aa][Ii][Ll][Tt][Oo]:|[Tt][Ee][Ll]:",
        r"|[^\S\u0000-\u001f\u007f-\u009f]*(?:$|[?#]|/(?:$|[^/\\\u0000-\u001f\u007f-\u009f])",
        r"|[^\s:/?#\\\u0000-\u001f\u007f-\u009f][^:/?#\u0000-\u001f\u007f-\u009f]*(?:[/?#]|$)))",
        r"[^\u0000-\u001f\u007f-\u009f]*$",
    );
    field.length(1..=MAX_LINK_LENGTH).check(is_link_target, msg).pattern(pattern)
}

query! {
    /// The parameters of a list of navigation links.
    NavLinksQuery {
        page: PageRequest = page(20, 100),
        /// Include unpublished links that the caller may see.
        include_unpublished: bool = default(false),
    }
}

request! {
    /// A new navigation link.
    NavLinkDraft as "NavLinkCreate" {
        label: required().length(1..=MAX_LABEL_LENGTH).visible(),
        /// A URL with the scheme http, https, mailto or tel, or a path of this site.
        url: target(required()),
        sort_order: absent_is(0).range(0..=MAX_SAFE_INTEGER),
        is_published: absent_is(true),
    }
    example { "label": "About", "url": "/about" }
}

request! {
    /// Changes to a navigation link. A field that is absent stays as it is.
    NavLinkPatch as "NavLinkUpdate" {
        label: omittable().length(1..=MAX_LABEL_LENGTH).visible(),
        /// As for a new link.
        url: target(omittable()),
        sort_order: omittable().range(0..=MAX_SAFE_INTEGER),
        is_published: omittable(),
    }
    example { "sort_order": 3 }
}

response! {
    /// A navigation link.
    NavLink as "NavLink" {
        label,
        url,
        sort_order,
        is_published,
        id,
        created as "createdDate",
        updated as "updatedDate",
    }
    from {
        // The contract does not name the owner.
        meta: Meta { id, created, updated, user_id: _ },
        draft: NavLinkDraft { label, url, sort_order, is_published },
    };
    example {
        "label": "About", "url": "/about", "sort_order": 0, "is_published": true,
        "id": "65a1b2c3d4e5f60718293a4e", "createdDate": "2026-01-02T03:04:05Z",
        "updatedDate": "2026-01-02T03:04:05Z",
    }
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(NavLinksQuery { page, include_unpublished }): ValidQuery<NavLinksQuery>,
    auth: Auth,
    uri: Uri,
) -> Result<List<NavLink>, ApiError> {
    let caller = if include_unpublished { auth.optional_to_see_more().await? } else { None };
    Ok(List::new(&uri, services.navlinks.list(caller.as_ref(), page).await?))
}

pub(crate) async fn show(
    services: Arc<Services>,
    PathParam(id): PathParam,
    auth: Auth,
) -> Result<Item<NavLink>, ApiError> {
    let caller = auth.optional().await?;
    Ok(services.navlinks.by_id(caller.as_ref(), &id).await?.into())
}

pub(crate) async fn create(
    services: Arc<Services>,
    Create { caller, body, key }: Create<NavLinkDraft>,
) -> Result<Created<NavLink>, ApiError> {
    Ok(services.navlinks.create(&caller, body, key).await?.into())
}

pub(crate) async fn update(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    Authorized(caller, patch): Authorized<NavLinkPatch>,
) -> Result<Item<NavLink>, ApiError> {
    Ok(services.navlinks.update(&caller, &id, patch, &precondition).await?.into())
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(id): PathParam,
    IfMatch(precondition): IfMatch,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.navlinks.delete(&caller, &id, &precondition).await?;
    Ok(Deleted)
}
