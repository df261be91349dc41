use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::entry::{CacheEntry, VARY, Validity};
use super::outcome::{LoadOutcome, UncachedResponse};
use super::response_cache::{CacheMiss, CacheRequest, cache_key};
use super::status::{CacheStatus, UncachedReason};
use super::store::CacheCounters;
use crate::http::middleware::ClientInfo;
use crate::http::middleware::request_id::RequestId;
use crate::http::respond::vary;
use crate::http::{ApiError, AppState, Policy, Route};
use crate::service::{ChangeTracker, ReadTracker};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The time to wait for a fresh response before serving a stale one while the store is unreachable.
const STORE_GRACE: Duration = Duration::from_millis(250);

/// At the routes of content: answers anonymous reads with a cached or a newly loaded response, and marks the responses to
/// requests with a token as private.
pub(crate) async fn cache(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let miss = request.extensions_mut().remove::<CacheMiss>();
    let CacheMiss { reason, entry } = miss.expect("`CachedService` looks up every request");
    tracing::debug!(reason = reason.as_str(), "cache miss");
    if !matches!(reason, UncachedReason::Method | UncachedReason::Authorization) {
        return read(&app, entry, request, next).await;
    }
    let permit = match app.concurrency.try_acquire() {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    let is_private = request.headers().contains_key(header::AUTHORIZATION);
    request.extensions_mut().insert(permit.clone());
    let mut response = next.run(request).await;
    drop(permit);
    vary::add(response.headers_mut(), VARY);
    if is_private {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    response
}

/// Answers an anonymous read that was not answered by the lookup. `entry` is what the lookup found.
async fn read(app: &AppState, entry: Option<Arc<CacheEntry>>, request: Request, next: Next) -> Response {
    let (mut parts, _) = request.into_parts();
    let (method, headers) = (std::mem::take(&mut parts.method), std::mem::take(&mut parts.headers));
    let key = cache_key(&parts.uri).to_owned();
    let (cache, request) = (&app.cache, CacheRequest { key: &key, method: &method, headers: &headers });
    if let Some(entry) = entry.as_ref().filter(|entry| entry.is_fresh()) {
        // It is only missing in the encodings that this client accepts.
        return cache.serve(request, Arc::clone(entry), CacheStatus::Hit).await;
    }
    let status = if entry.is_some() { CacheStatus::Refreshed } else { CacheStatus::Miss };
    let load = |reads: ReadTracker| {
        // The load gets nothing of the caller, so that its response cannot depend on the caller.
        parts.method = Method::GET;
        parts.extensions.remove::<ClientInfo>();
        parts.extensions.remove::<RequestId>();
        parts.extensions.remove::<ConnectInfo<SocketAddr>>();
        load(app.clone(), Request::from_parts(parts, Body::empty()), next, reads)
    };
    let Some(store) = &cache.store else {
        return present(app, request, load(ReadTracker::default()).await, status).await;
    };
    let store_unreachable = async {
        let Some(entry) = &entry else { return future::pending().await };
        entry.change_tracker().until_away().await;
        tokio::time::sleep(STORE_GRACE).await;
        entry
    };
    let loaded = tokio::select! {
        loaded = cache.single_flight.join(&key, load) => loaded,
        entry = store_unreachable => {
            CacheCounters::increment(&store.counters.stale);
            return cache.serve(request, Arc::clone(entry), CacheStatus::StoreUnreachable).await;
        }
    };
    let (outcome, joined) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return ApiError::Internal(Box::new(error)).into_response(),
    };
    CacheCounters::increment(if joined { &store.counters.joined } else { &store.counters.loads });
    match (&outcome, entry) {
        (LoadOutcome::Uncached(response), Some(entry)) if response.is_store_failure() => {
            CacheCounters::increment(&store.counters.stale);
            cache.serve(request, entry, CacheStatus::StaleOnError).await
        }
        _ => present(app, request, outcome, status).await,
    }
}

async fn present(
    app: &AppState,
    request: CacheRequest<'_>,
    outcome: LoadOutcome,
    status: CacheStatus,
) -> Response {
    match outcome {
        LoadOutcome::Entry(entry) => app.cache.serve(request, entry, status).await,
        LoadOutcome::Uncached(response) => response.to_response(),
    }
}

/// Runs the handler, and stores its response if it is a public one.
async fn load(app: AppState, request: Request, next: Next, reads: ReadTracker) -> LoadOutcome {
    match try_load(&app, request, next, reads).await {
        Ok(outcome) => outcome,
        Err(error) => uncached(error.into_response(), UncachedReason::ResponseStatus).await,
    }
}

async fn try_load(
    app: &AppState,
    request: Request,
    next: Next,
    reads: ReadTracker,
) -> Result<LoadOutcome, ApiError> {
    let permit = app.concurrency.try_acquire()?;
    let services = app.gate.services()?;
    let key = cache_key(request.uri()).to_owned();
    let route = Route::matched(request.extensions()).filter(|route| route.policy == Policy::Everyone);
    let loaded_at = Instant::now();
    // Shorter than the timeout of the waiting requests, so that they can still serve a stale entry.
    let deadline = app.request_timeout * 9 / 10;
    let response = tokio::time::timeout(deadline, reads.track(next.run(request))).await;
    let response = response.map_err(|_| ApiError::TimedOut)?;
    drop(permit);
    let Some(route) = route else { return Ok(uncached(response, UncachedReason::Policy).await) };
    if response.status() != StatusCode::OK {
        return Ok(uncached(response, UncachedReason::ResponseStatus).await);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    let reads = reads.so_far();
    let may_keep = ChangeTracker::may_keep(&reads);
    // Responses that read no collection are invalidated by any write.
    let reads = if reads.is_empty() { services.change_tracker.everything() } else { reads };
    let validity = Validity { reads, loaded_at, change_tracker: services.change_tracker.clone() };
    let cache_control = app.cache.cache_control.clone();
    let entry = Arc::new(CacheEntry::new(parts.headers, body, cache_control, route.path, validity));
    let not_stored = match &app.cache.store {
        None => Some(UncachedReason::Disabled),
        Some(_) if !may_keep => Some(UncachedReason::ReadsUsers),
        Some(store) => (!store.insert(&key, &entry)).then_some(UncachedReason::StaleOnArrival),
    };
    if let Some(reason) = not_stored {
        log_not_stored(reason);
    }
    Ok(LoadOutcome::Entry(entry))
}

async fn uncached(response: Response, reason: UncachedReason) -> LoadOutcome {
    log_not_stored(reason);
    LoadOutcome::Uncached(Arc::new(UncachedResponse::buffer(response).await))
}

fn log_not_stored(reason: UncachedReason) {
    tracing::debug!(reason = reason.as_str(), "response not cached");
}
