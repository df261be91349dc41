use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use super::entry::{CacheEntry, VARY};
use crate::http::ApiError;
use crate::http::error::ErrorExtension;
use crate::http::respond::vary;

/// The outcome of a load, shared by all requests that wait for it.
#[derive(Clone)]
pub(crate) enum LoadOutcome {
    /// A response that can be cached.
    Entry(Arc<CacheEntry>),
    /// A response that must not be cached: an error, a redirect, or one that depends on the caller.
    Uncached(Arc<UncachedResponse>),
}

/// A buffered response that each waiting request gets a copy of.
pub(crate) struct UncachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error: Option<ErrorExtension>,
}

impl UncachedResponse {
    pub(crate) async fn buffer(response: Response) -> Self {
        let (mut parts, body) = response.into_parts();
        vary::add(&mut parts.headers, VARY);
        let error = parts.extensions.remove::<ErrorExtension>();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        Self { status: parts.status, headers: parts.headers, body, error }
    }

    /// Returns whether the store failed to answer. An overloaded process has not asked it.
    pub(crate) fn is_store_failure(&self) -> bool {
        let error = self.error.as_ref().map(|ErrorExtension(error)| &**error);
        matches!(error, Some(ApiError::StoreUnavailable(_) | ApiError::TimedOut))
    }

    pub(crate) fn to_response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if let Some(error) = &self.error {
            response.extensions_mut().insert(error.clone());
        }
        response
    }
}
