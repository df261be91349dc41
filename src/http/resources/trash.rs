use axum::Json;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use validator::Validate;

use crate::domain::{DeletedItem, Restored, TrashType};
use crate::http::ApiError;
use crate::http::error::FieldError;
use crate::http::extract::query::{FromQuery, MAX_OFFSET, Reader, page_request};
use crate::http::extract::{Ready, Segments, ValidQuery, Visitor};
use crate::http::openapi::schema::words;
use crate::http::respond::{Envelope, list_response, serialize_optional_timestamp};

/// The parameters of a list of what is deleted.
#[derive(Debug, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrashQuery {
    /// What kind of content.
    #[param(rename = "type", inline)]
    kind: TrashType,
    /// How many items at the most.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20, required = false)]
    limit: i64,
    /// How many items are passed over first.
    #[validate(range(min = 0, max = MAX_OFFSET))]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64, default = 0, required = false)]
    offset: i64,
    /// Walks the list: empty at first, then that of the `Link` whose `rel` is `next`. Not together with `offset`; the
    /// other parameters stay as they are, `limit` apart.
    #[param(pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
}

fn trash_types() -> Object {
    words(TrashType::WORDS)
}

impl PartialSchema for TrashType {
    fn schema() -> RefOr<Schema> {
        trash_types().into()
    }
}

impl ToSchema for TrashType {}

impl FromQuery for TrashQuery {
    fn from_query(reader: &mut Reader<'_>) -> Self {
        Self {
            kind: reader.required(
                "type",
                TrashType::Stories,
                |word| word.parse().ok(),
                "literal_error",
                &expected(),
            ),
            limit: reader.whole("limit", 20),
            offset: reader.whole("offset", 0),
            cursor: reader.cursor(),
        }
    }
}

fn expected() -> String {
    format!("has to be one of {}", TrashType::WORDS.join(", "))
}

/// Something deleted, on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trashed, examples(json!({
    "id": "65a0b1c2d3e4f50617283940", "type": "stories", "title": "Gone", "slug": "gone",
    "deletedDate": "2026-01-02T03:04:05.678000Z", "updatedDate": "2026-01-02T03:04:05Z",
})))]
struct TrashedBody {
    id: String,
    #[serde(rename = "type")]
    #[schema(schema_with = trash_types)]
    kind: &'static str,
    title: String,
    /// The slug that it had, or the type of a page.
    slug: String,
    /// When it was deleted; null if whoever deleted it did not say.
    #[serde(rename = "deletedDate", serialize_with = "serialize_optional_timestamp")]
    #[schema(required)]
    deleted: Option<DateTime<Utc>>,
    #[serde(rename = "updatedDate", serialize_with = "serialize_optional_timestamp")]
    #[schema(required)]
    updated: Option<DateTime<Utc>>,
}

impl From<DeletedItem> for TrashedBody {
    fn from(trashed: DeletedItem) -> Self {
        let DeletedItem { id, kind, title, slug, deleted, updated } = trashed;
        Self { id: id.to_string(), kind: kind.as_str(), title, slug, deleted, updated }
    }
}

/// Something that is live again, on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Restored, examples(json!({
    "id": "65a0b1c2d3e4f50617283940", "type": "stories", "title": "Back", "slug": "back-2",
})))]
struct RestoredBody {
    id: String,
    #[serde(rename = "type")]
    #[schema(schema_with = trash_types)]
    kind: &'static str,
    title: String,
    slug: String,
}

/// List what is deleted
#[utoipa::path(get, path = "/trash", operation_id = "list_trash",
    params(TrashQuery),
    responses((status = 200, description = "A window of what is deleted, the latest first", body = Envelope<TrashedBody>),
        (status = 400, description = "A cursor that is none of this list")))]
pub(crate) async fn list(
    Ready(services): Ready,
    ValidQuery(query): ValidQuery<TrashQuery>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, ApiError> {
    let TrashQuery { kind, limit, offset, cursor } = query;
    let caller = visitor.required().await?;
    let page_request = page_request(limit, offset, cursor);
    let listing = services.trash.list(&caller, kind, page_request).await?;
    Ok(list_response(&uri, listing, TrashedBody::from))
}

/// Make something live again
///
/// Under the slug that it had, or the next suffix that is free.
#[utoipa::path(post, path = "/trash/{type}/{id}/restore", operation_id = "restore_from_trash",
    responses(
        (status = 200, description = "It is live, under this slug", body = RestoredBody),
        (status = 409, description = "Another page has the type of this one"),
        (status = 422, description = "There is no such type"),
    ))]
pub(crate) async fn restore(
    Ready(services): Ready,
    Segments([kind, id]): Segments<2>,
    visitor: Visitor,
) -> Result<Response, ApiError> {
    let kind = kind.parse::<TrashType>().map_err(|()| unknown_type())?;
    let caller = visitor.required().await?;
    let Restored { id, title, slug } = services.trash.restore(&caller, kind, &id).await?;
    Ok(Json(RestoredBody { id: id.to_string(), kind: kind.as_str(), title, slug }).into_response())
}

fn unknown_type() -> ApiError {
    let loc = vec!["path".into(), "type".into()];
    ApiError::Validation(vec![FieldError { loc, msg: expected(), kind: "literal_error" }])
}
