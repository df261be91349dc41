use std::borrow::Cow;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use crate::domain::{Meta, NavLink, NavLinkDraft, NavLinkPatch, Revised, is_link_target};
use crate::http::ApiError;
use crate::http::extract::fields::{EXACT, Fields};
use crate::http::extract::json::{FromBody, ValidBody};
use crate::http::extract::query::{FromQuery, MAX_OFFSET, Reader, page_request};
use crate::http::extract::{IfMatch, Ready, Segment, ValidQuery, Visitor};
use crate::http::respond::{Envelope, item_response, list_response, no_content, serialize_timestamp};

/// The parameters of a list of links.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NavLinksQuery {
    /// So many items at most.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20, required = false)]
    limit: i64,
    /// So many items are left out before the first.
    #[validate(range(min = 0, max = MAX_OFFSET))]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64, default = 0, required = false)]
    offset: i64,
    /// Walks the list: empty at first, then that of the `Link` whose `rel` is `next`. Not together with `offset`; the
    /// other parameters stay as they are, `limit` apart.
    #[param(pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
    /// Unpublished ones too, as far as the caller may see them.
    #[param(default = false, required = false)]
    include_unpublished: bool,
}

impl FromQuery for NavLinksQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            cursor: reader.cursor(),
            include_unpublished: reader.truth("include_unpublished", false),
        }
    }
}

/// What a new link is made of.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = NavLinkCreate, examples(json!({ "label": "About", "url": "/about" })))]
pub(crate) struct CreateRequest {
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    label: String,
    /// An address with the scheme http, https, mailto or tel, or one of this site, without a scheme.
    #[validate(length(min = 1, max = 500), custom(function = leads_somewhere))]
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = "^(?:[Hh][Tt][Tt][Pp][Ss]?:|[Mm][Aa][Ii][Ll][Tt][Oo]:|[Tt][Ee][Ll]:|[^:/?#]*(?:[/?#]|$))"
    )]
    url: String,
    #[validate(range(min = 0, max = EXACT))]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    sort_order: Option<i64>,
    #[schema(nullable = false)]
    is_published: Option<bool>,
}

impl FromBody for CreateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            label: fields.required("label"),
            url: fields.required("url"),
            sort_order: fields.given("sort_order"),
            is_published: fields.given("is_published"),
        }
    }
}

impl From<CreateRequest> for NavLinkDraft {
    fn from(request: CreateRequest) -> Self {
        let CreateRequest { label, url, sort_order, is_published } = request;
        Self {
            label,
            url,
            sort_order: sort_order.unwrap_or_default(),
            is_published: is_published.unwrap_or(true),
        }
    }
}

/// What a link becomes.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = NavLinkUpdate, examples(json!({ "sort_order": 3 })))]
pub(crate) struct UpdateRequest {
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, nullable = false)]
    label: Option<String>,
    /// As of a new link.
    #[validate(length(min = 1, max = 500), custom(function = leads_somewhere))]
    #[schema(
        min_length = 1,
        max_length = 500,
        nullable = false,
        pattern = "^(?:[Hh][Tt][Tt][Pp][Ss]?:|[Mm][Aa][Ii][Ll][Tt][Oo]:|[Tt][Ee][Ll]:|[^:/?#]*(?:[/?#]|$))"
    )]
    url: Option<String>,
    #[validate(range(min = 0, max = EXACT))]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    sort_order: Option<i64>,
    #[schema(nullable = false)]
    is_published: Option<bool>,
}

impl FromBody for UpdateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            label: fields.given("label"),
            url: fields.given("url"),
            sort_order: fields.given("sort_order"),
            is_published: fields.given("is_published"),
        }
    }
}

impl From<UpdateRequest> for NavLinkPatch {
    fn from(request: UpdateRequest) -> Self {
        let UpdateRequest { label, url, sort_order, is_published } = request;
        Self { label, url, sort_order, is_published }
    }
}

fn leads_somewhere(url: &str) -> Result<(), ValidationError> {
    if is_link_target(url) {
        return Ok(());
    }
    let message =
        Cow::Borrowed("has to start with http:, https:, mailto: or tel:, or be an address of this site");
    Err(ValidationError::new("address").with_message(message))
}

/// A link on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NavLink, examples(json!({
    "label": "About", "url": "/about", "sort_order": 0, "is_published": true, "id": "65a1b2c3d4e5f60718293a4e",
    "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05Z",
})))]
pub(crate) struct NavLinkBody {
    label: String,
    url: String,
    sort_order: i64,
    is_published: bool,
    id: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_timestamp")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_timestamp")]
    updated: DateTime<Utc>,
}

impl From<NavLink> for NavLinkBody {
    fn from(navlink: NavLink) -> Self {
        // The contract does not name the owner.
        let NavLink { meta, draft } = navlink;
        let Meta { id, created, updated, user_id: _ } = meta;
        let NavLinkDraft { label, url, sort_order, is_published } = draft;
        Self { label, url, sort_order, is_published, id: id.to_string(), created, updated }
    }
}

fn one(status: StatusCode, navlink: Revised<NavLink>) -> Response {
    item_response(status, &navlink.revision, NavLinkBody::from(navlink.item))
}

/// List links
#[utoipa::path(get, path = "/navlinks", operation_id = "list_navlinks",
    params(NavLinksQuery),
    responses((status = 200, description = "A window of the links, in their order", body = Envelope<NavLinkBody>)))]
pub(crate) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<NavLinksQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let NavLinksQuery { limit, offset, cursor, include_unpublished } = query;
    let caller = if include_unpublished { visitor.if_known().await? } else { None };
    let page_request = page_request(limit, offset, cursor);
    let listing = services.navlinks.list(caller.as_ref(), page_request).await?;
    Ok(list_response(&uri, listing, NavLinkBody::from))
}

/// Show a link
#[utoipa::path(get, path = "/navlinks/{id}", operation_id = "show_navlink",
    responses((status = 200, description = "The link", body = NavLinkBody)))]
pub(crate) async fn show(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
) -> Result<Response, ApiError> {
    let caller = visitor.if_known().await?;
    Ok(one(StatusCode::OK, services.navlinks.by_id(caller.as_ref(), &id).await?))
}

/// Create a link
#[utoipa::path(post, path = "/navlinks", operation_id = "create_navlink",
    request_body = CreateRequest,
    responses((status = 201, description = "The new link", body = NavLinkBody)))]
pub(crate) async fn create(
    Ready(services): Ready,
    visitor: Visitor,
    ValidBody(navlink): ValidBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::CREATED, services.navlinks.create(&caller, navlink.into()).await?))
}

/// Change a link; what is left out stays as it is
#[utoipa::path(put, path = "/navlinks/{id}", operation_id = "update_navlink",
    request_body = UpdateRequest,
    responses((status = 200, description = "The link as it is now", body = NavLinkBody)))]
pub(crate) async fn update(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
    ValidBody(navlink): ValidBody<UpdateRequest>,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    Ok(one(StatusCode::OK, services.navlinks.update(&caller, &id, navlink.into(), &condition).await?))
}

/// Delete a link for good
#[utoipa::path(delete, path = "/navlinks/{id}", operation_id = "delete_navlink",
    responses((status = 204, description = "It is deleted")))]
pub(crate) async fn delete(
    Ready(services): Ready,
    visitor: Visitor,
    Segment(id): Segment,
    IfMatch(condition): IfMatch,
) -> Result<Response, ApiError> {
    let caller = visitor.required().await?;
    services.navlinks.delete(&caller, &id, &condition).await?;
    Ok(no_content())
}
