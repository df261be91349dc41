use std::sync::Arc;

use axum::http::Uri;

use crate::domain::{Caller, PatchOf};
use crate::http::ApiError;
use crate::http::extract::{Auth, Authorized, IfMatch, PathParam, RequestBody};
use crate::http::respond::{CreatedSanitized, Deleted, Item, ItemAtSlug, ResponseBody, Sanitized};
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
    Ok(E::articles(&services).by_id(&caller, &id).await?.into())
}

pub(crate) async fn show_by_slug<E: ArticleResource>(
    services: Arc<Services>,
    PathParam(slug): PathParam,
    auth: Auth,
    uri: Uri,
) -> Result<ItemAtSlug<E>, ApiError> {
    let caller = auth.optional().await?;
    Ok(ItemAtSlug::new(&uri, E::articles(&services).by_slug(caller.as_ref(), &slug).await?))
}

pub(crate) async fn create<E: ArticleResource>(
    services: Arc<Services>,
    Authorized(caller, write): Authorized<Write<E::Draft>>,
) -> Result<CreatedSanitized<E>, ApiError> {
    Ok(E::articles(&services).create(&caller, write).await?.into())
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
