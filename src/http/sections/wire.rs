//! Sections on the wire: what is asked, what is sent, what is answered.

use chrono::{DateTime, Utc};
use serde::Serialize;
use validator::Validate;

use crate::domain::{ContentType, DisplayType, NavVisibility, Patch, Section, SectionChange};
use crate::http::body::FromBody;
use crate::http::fields::Fields;
use crate::http::query::{FromQuery, MAX_OFFSET, Reader};
use crate::http::wire::serialize_instant;
use crate::service::{CreateSection, UpdateSection, WhatLiesInIt};

/// The parameters of a list of sections.
#[derive(Debug, Validate)]
pub(in crate::http) struct SectionsQuery {
    #[validate(range(min = 1, max = 100))]
    pub(super) limit: i64,
    #[validate(range(min = 0, max = MAX_OFFSET))]
    pub(super) offset: i64,
    pub(super) parent_id: Option<String>,
    pub(super) nav_visibility: Option<String>,
    pub(super) include_unpublished: bool,
}

impl FromQuery for SectionsQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            parent_id: reader.text("parent_id"),
            nav_visibility: reader.text("nav_visibility"),
            include_unpublished: reader.truth("include_unpublished", false),
        }
    }
}

/// What becomes of what lies in a section that is deleted.
#[derive(Debug, Validate)]
pub(in crate::http) struct DeleteQuery {
    reassign_to: Option<String>,
    force: bool,
}

impl FromQuery for DeleteQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self { reassign_to: reader.text("reassign_to"), force: reader.truth("force", false) }
    }
}

impl From<DeleteQuery> for WhatLiesInIt {
    fn from(query: DeleteQuery) -> Self {
        match query {
            DeleteQuery { reassign_to: Some(target), .. } => Self::MovesTo(target),
            DeleteQuery { force: true, .. } => Self::IsLeft,
            DeleteQuery { force: false, .. } => Self::Nothing,
        }
    }
}

/// What a new section is made of.
#[derive(Debug, Validate)]
pub(in crate::http) struct CreateRequest {
    #[validate(length(min = 1, max = 200))]
    title: String,
    display_type: DisplayType,
    content_type: ContentType,
    /// Judged, and of no account: the slug follows the title.
    #[validate(length(min = 1, max = 200))]
    slug: Option<String>,
    parent_id: Option<String>,
    nav_visibility: Option<NavVisibility>,
    #[validate(range(min = 0))]
    sort_order: Option<i64>,
    is_published: Option<bool>,
}

impl FromBody for CreateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.required("title"),
            display_type: fields.required("display_type"),
            content_type: fields.required("content_type"),
            slug: fields.optional("slug"),
            parent_id: fields.optional("parent_id"),
            nav_visibility: fields.given("nav_visibility"),
            sort_order: fields.given("sort_order"),
            is_published: fields.given("is_published"),
        }
    }
}

impl From<CreateRequest> for CreateSection {
    fn from(request: CreateRequest) -> Self {
        let CreateRequest {
            title,
            display_type,
            content_type,
            slug: _,
            parent_id,
            nav_visibility,
            sort_order,
            is_published,
        } = request;
        Self {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility: nav_visibility.unwrap_or(NavVisibility::Main),
            sort_order: sort_order.unwrap_or_default(),
            is_published: is_published.unwrap_or(true),
        }
    }
}

/// What a section becomes. Null is a value of `parent_id` alone.
#[derive(Debug, Validate)]
pub(in crate::http) struct UpdateRequest {
    #[validate(length(min = 1, max = 200))]
    title: Option<String>,
    #[validate(length(min = 1, max = 200))]
    slug: Option<String>,
    parent_id: Patch<String>,
    display_type: Option<DisplayType>,
    content_type: Option<ContentType>,
    nav_visibility: Option<NavVisibility>,
    #[validate(range(min = 0))]
    sort_order: Option<i64>,
    is_published: Option<bool>,
}

impl FromBody for UpdateRequest {
    fn from_body(fields: &mut Fields) -> Self {
        Self {
            title: fields.given("title"),
            slug: fields.given("slug"),
            parent_id: fields.nullable("parent_id"),
            display_type: fields.given("display_type"),
            content_type: fields.given("content_type"),
            nav_visibility: fields.given("nav_visibility"),
            sort_order: fields.given("sort_order"),
            is_published: fields.given("is_published"),
        }
    }
}

impl From<UpdateRequest> for UpdateSection {
    fn from(request: UpdateRequest) -> Self {
        let UpdateRequest {
            title,
            slug,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        } = request;
        let change = SectionChange {
            title,
            // The service says where it lies, when it has looked at the tree.
            parent_id: Patch::Keep,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        };
        Self { change, parent_id, slug }
    }
}

/// A section on the wire.
#[derive(Debug, Serialize)]
pub(in crate::http) struct SectionBody {
    title: String,
    slug: String,
    parent_id: Option<String>,
    display_type: &'static str,
    content_type: &'static str,
    nav_visibility: &'static str,
    sort_order: i64,
    is_published: bool,
    id: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_instant")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_instant")]
    updated: DateTime<Utc>,
    user_id: Option<String>,
}

impl From<Section> for SectionBody {
    fn from(section: Section) -> Self {
        let Section {
            id,
            title,
            slug,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
            created,
            updated,
            user_id,
        } = section;
        Self {
            title,
            slug,
            parent_id,
            display_type: display_type.as_str(),
            content_type: content_type.as_str(),
            nav_visibility: nav_visibility.as_str(),
            sort_order,
            is_published,
            id: id.to_string(),
            created,
            updated,
            user_id,
        }
    }
}
