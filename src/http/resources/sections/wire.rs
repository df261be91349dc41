//! Sections on the wire: what is asked, what is sent, what is answered.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::domain::{
    ContentType, DisplayType, Meta, NavVisibility, Patch, Section, SectionDraft, SectionPatch,
};
use crate::http::extract::fields::{EXACT, Fields};
use crate::http::extract::json::FromBody;
use crate::http::extract::query::{FromQuery, MAX_OFFSET, Reader};
use crate::http::openapi::schema::words;
use crate::http::respond::serialize_timestamp;
use crate::service::{OnDelete, UpdateSection};

/// The parameters of a list of sections.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SectionsQuery {
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
    /// Only what is below this section; `null` for what is below none.
    #[param(pattern = "^([0-9a-fA-F]{24}|null)$")]
    pub(crate) parent_id: Option<String>,
    /// Only what is linked there.
    #[param(schema_with = nav_visibilities)]
    pub(crate) nav_visibility: Option<String>,
    /// Unpublished ones too, as far as the caller may see them. Needs a token.
    #[param(default = false, required = false)]
    pub(crate) include_unpublished: bool,
}

impl FromQuery for SectionsQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            cursor: reader.cursor(),
            parent_id: reader.text("parent_id"),
            nav_visibility: reader.text("nav_visibility"),
            include_unpublished: reader.truth("include_unpublished", false),
        }
    }
}

/// What becomes of what lies in a section that is deleted.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// The section that all of it moves to.
    #[param(pattern = "^[0-9a-fA-F]{24}$")]
    reassign_to: Option<String>,
    /// Whether it is left where it is.
    #[param(default = false, required = false)]
    force: bool,
}

impl FromQuery for DeleteQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self { reassign_to: reader.text("reassign_to"), force: reader.truth("force", false) }
    }
}

impl From<DeleteQuery> for OnDelete {
    fn from(query: DeleteQuery) -> Self {
        match query {
            DeleteQuery { reassign_to: Some(target), .. } => Self::Reassign(target),
            DeleteQuery { force: true, .. } => Self::Orphan,
            DeleteQuery { force: false, .. } => Self::Reject,
        }
    }
}

/// What a new section is made of.
#[derive(Debug, Validate, ToSchema)]
#[schema(as = SectionCreate, examples(json!({
    "title": "Blog", "display_type": "feed", "content_type": "story",
})))]
pub(crate) struct CreateRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[schema(schema_with = display_types)]
    display_type: DisplayType,
    #[schema(schema_with = content_types)]
    content_type: ContentType,
    /// Judged, and of no account: the slug follows the title.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    slug: Option<String>,
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    parent_id: Option<String>,
    #[schema(schema_with = nav_visibilities, required = false)]
    nav_visibility: Option<NavVisibility>,
    #[validate(range(min = 0, max = EXACT))]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    sort_order: Option<i64>,
    #[schema(nullable = false)]
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

impl From<CreateRequest> for SectionDraft {
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
#[derive(Debug, Validate, ToSchema)]
#[schema(as = SectionUpdate, examples(json!({ "parent_id": null, "sort_order": 3 })))]
pub(crate) struct UpdateRequest {
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    title: Option<String>,
    /// Made into a slug as titles are; has to have a letter or a digit.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    slug: Option<String>,
    #[schema(value_type = Option<String>, pattern = "^[0-9a-fA-F]{24}$")]
    parent_id: Patch<String>,
    #[schema(schema_with = display_types, required = false)]
    display_type: Option<DisplayType>,
    #[schema(schema_with = content_types, required = false)]
    content_type: Option<ContentType>,
    #[schema(schema_with = nav_visibilities, required = false)]
    nav_visibility: Option<NavVisibility>,
    #[validate(range(min = 0, max = EXACT))]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    sort_order: Option<i64>,
    #[schema(nullable = false)]
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
        let patch = SectionPatch {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        };
        Self { patch, slug }
    }
}

/// A section on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Section, examples(json!({
    "title": "Blog", "slug": "blog", "parent_id": null, "display_type": "feed", "content_type": "story",
    "nav_visibility": "main", "sort_order": 1, "is_published": true, "id": "65a1b2c3d4e5f60718293a01",
    "createdDate": "2026-01-02T03:04:05Z", "updatedDate": "2026-01-02T03:04:05Z", "user_id": null,
})))]
pub(crate) struct SectionBody {
    title: String,
    slug: String,
    #[schema(required)]
    parent_id: Option<String>,
    #[schema(schema_with = display_types)]
    display_type: &'static str,
    #[schema(schema_with = content_types)]
    content_type: &'static str,
    #[schema(schema_with = nav_visibilities)]
    nav_visibility: &'static str,
    sort_order: i64,
    is_published: bool,
    id: String,
    #[serde(rename = "createdDate", serialize_with = "serialize_timestamp")]
    created: DateTime<Utc>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_timestamp")]
    updated: DateTime<Utc>,
    #[schema(required)]
    user_id: Option<String>,
}

fn display_types() -> Object {
    words(DisplayType::WORDS)
}

fn content_types() -> Object {
    words(ContentType::WORDS)
}

fn nav_visibilities() -> Object {
    words(NavVisibility::WORDS)
}

impl From<Section> for SectionBody {
    fn from(section: Section) -> Self {
        let Section { meta, draft, slug } = section;
        let Meta { id, created, updated, user_id } = meta;
        let SectionDraft {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        } = draft;
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
