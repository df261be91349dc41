use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{Caller, DeletedItem, Id, PageRequest, Restored, TrashType};
use crate::http::ApiError;
use crate::http::extract::{TypedId, ValidQuery, page, query, required};
use crate::http::respond::{Body, Deleted, List, response};
use crate::service::Services;

query! {
    /// The parameters of a list of deleted items.
    TrashQuery {
        /// The type of the items.
        kind as "type": TrashType = required(),
        page: PageRequest = page(20, 100),
    }
}

response! {
    /// A deleted item.
    DeletedItem as "Trashed" {
        id,
        kind as "type",
        title,
        /// The slug that it had, the type of a page, or the id in the names of a file.
        slug,
        /// The time of the deletion; null if it is not known.
        deleted as "deletedDate",
        updated as "updatedDate",
    }
    example {
        "id": "65a0b1c2d3e4f50617283940", "type": "stories", "title": "Gone", "slug": "gone",
        "deletedDate": "2026-01-02T03:04:05.678000Z", "updatedDate": "2026-01-02T03:04:05Z",
    }
}

/// A restored item with its type.
pub(crate) struct RestoredItem {
    id: Id,
    kind: TrashType,
    title: String,
    slug: String,
}

response! {
    /// A restored item.
    RestoredItem as "Restored" {
        id,
        kind as "type",
        title,
        slug,
    }
    example { "id": "65a0b1c2d3e4f50617283940", "type": "stories", "title": "Back", "slug": "back-2" }
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(TrashQuery { kind, page }): ValidQuery<TrashQuery>,
    caller: Caller,
    uri: Uri,
) -> Result<List<DeletedItem>, ApiError> {
    Ok(List::new(&uri, services.trash.list(&caller, kind, page).await?))
}

pub(crate) async fn restore(
    services: Arc<Services>,
    TypedId(kind, id): TypedId<TrashType>,
    caller: Caller,
) -> Result<Body<RestoredItem>, ApiError> {
    let Restored { id, title, slug } = services.trash.restore(&caller, kind, &id).await?;
    Ok(Body(RestoredItem { id, kind, title, slug }))
}

pub(crate) async fn purge(
    services: Arc<Services>,
    TypedId(kind, id): TypedId<TrashType>,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.trash.purge(&caller, kind, &id).await?;
    Ok(Deleted)
}
