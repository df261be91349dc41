//! Loads responses at the routes of content, once for all concurrent requests, and stores them.

use std::collections::HashMap;
use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::entry::{CacheEntry, CacheStatus, UncachedReason, VARY, Validity, cache_key};
use super::response_cache::{CacheCounters, CacheMiss, CacheRequest};
use crate::http::error::ErrorExtension;
use crate::http::middleware::{ClientInfo, RequestId, add_vary};
use crate::http::{ApiError, AppState, Policy, Route};
use crate::service::{ChangeTracker, ReadTracker};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The time to wait for a fresh response before serving a stale one while the store is unreachable.
const STORE_GRACE: Duration = Duration::from_millis(250);

/// The state of [`serve_or_load`]: the loads in flight. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ContentLoader {
    app: AppState,
    single_flight: SingleFlight<LoadOutcome>,
}

impl ContentLoader {
    pub(crate) fn new(app: AppState) -> Self {
        Self { app, single_flight: SingleFlight::default() }
    }

    /// Reports whether a load is in flight that a request for this key would join.
    pub(crate) fn is_loading(&self, key: &str) -> bool {
        self.single_flight.in_flight.lock().get(key).is_some_and(|load| load.reads.is_current())
    }
}

/// At the routes of content: answers anonymous reads with a cached or a newly loaded response, and marks the responses to
/// requests with a token as private.
pub(crate) async fn serve_or_load(
    State(ContentLoader { app, single_flight }): State<ContentLoader>,
    mut request: Request,
    next: Next,
) -> Response {
    let miss = request.extensions_mut().remove::<CacheMiss>();
    let CacheMiss { reason, canonical, entry } = miss.expect("`CachedService` looks up every request");
    tracing::debug!(reason = reason.as_str(), "cache miss");
    if !matches!(reason, UncachedReason::Method | UncachedReason::Authorization) {
        // The load sees the canonical URL, because others get its response, too.
        if let Some(canonical) = canonical {
            *request.uri_mut() = canonical;
        }
        return read(&app, &single_flight, entry, request, next).await;
    }
    let permit = match app.concurrency.try_acquire() {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    // A write is done: its response is never replaced by a 503.
    let is_read = request.method().is_safe();
    let is_private = request.headers().contains_key(header::AUTHORIZATION);
    request.extensions_mut().insert(permit.clone());
    let mut response = next.run(request).await;
    drop(permit);
    if is_read && let Err(error) = count_body(&app, &mut response).await {
        response = error.into_response();
    }
    add_vary(response.headers_mut(), VARY);
    if is_private {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    response
}

/// Answers an anonymous read that was not answered by the lookup. `entry` is what the lookup found.
async fn read(
    app: &AppState,
    single_flight: &SingleFlight<LoadOutcome>,
    entry: Option<Arc<CacheEntry>>,
    request: Request,
    next: Next,
) -> Response {
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
    if !cache.is_enabled() {
        return present(app, request, load(ReadTracker::default()).await, status).await;
    }
    let store_unreachable = async {
        let Some(entry) = &entry else { return future::pending().await };
        entry.change_tracker().until_away().await;
        tokio::time::sleep(STORE_GRACE).await;
        entry
    };
    let loaded = tokio::select! {
        loaded = single_flight.join(&key, load) => loaded,
        entry = store_unreachable => {
            CacheCounters::increment(&cache.counters.stale);
            return cache.serve(request, Arc::clone(entry), CacheStatus::StoreUnreachable).await;
        }
    };
    let (outcome, joined) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return ApiError::Internal(Box::new(error)).into_response(),
    };
    CacheCounters::increment(if joined { &cache.counters.joined } else { &cache.counters.loads });
    match (&outcome, entry) {
        (LoadOutcome::Uncached(response), Some(entry)) if response.is_store_failure() => {
            CacheCounters::increment(&cache.counters.stale);
            cache.serve(request, entry, CacheStatus::StaleOnError).await
        }
        _ => present(app, request, outcome, status).await,
    }
}

/// Counts the body of a response that is not cached, until the client has received it.
async fn count_body(app: &AppState, response: &mut Response) -> Result<(), ApiError> {
    let body = std::mem::take(response.body_mut());
    let body = to_bytes(body, usize::MAX).await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    *response.body_mut() = Body::from(if body.is_empty() { body } else { app.cache.bodies.count(body)? });
    Ok(())
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
    // A load that completed after the lookup of this request has stored a response.
    if let Some(entry) = app.cache.get(&key).filter(|entry| entry.is_fresh()) {
        return Ok(LoadOutcome::Entry(entry));
    }
    let route = Route::matched(request.extensions()).filter(|route| route.policy == Policy::Everyone);
    let loaded_at = Instant::now();
    // Shorter than the timeout of the waiting requests, so that they can still serve a stale entry.
    let deadline = app.request_timeout * 9 / 10;
    let response = tokio::time::timeout(deadline, reads.track(next.run(request))).await;
    let response = response.map_err(|_| ApiError::TimedOut { writes: false })?;
    drop(permit);
    let Some(route) = route else { return Ok(uncached(response, UncachedReason::Policy).await) };
    if response.status() != StatusCode::OK {
        return Ok(uncached(response, UncachedReason::ResponseStatus).await);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    let bodies = &app.cache.bodies;
    let body = if app.cache.is_enabled() { bodies.count_kept(body)? } else { bodies.count(body)? };
    let reads = reads.so_far();
    let may_keep = ChangeTracker::may_keep(&reads);
    // Responses that read no collection are invalidated by any write.
    let reads = if reads.is_empty() { services.change_tracker.everything() } else { reads };
    let validity = Validity { reads, loaded_at, change_tracker: services.change_tracker.clone() };
    let cache_control = app.cache.cache_control.clone();
    let entry = Arc::new(CacheEntry::new(parts.headers, body, cache_control, route.path, validity));
    let stored = if may_keep { app.cache.insert(&key, &entry) } else { Err(UncachedReason::ReadsUsers) };
    if let Err(reason) = stored {
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

/// The outcome of a load, shared by all requests that wait for it.
#[derive(Clone)]
enum LoadOutcome {
    /// A response that can be cached.
    Entry(Arc<CacheEntry>),
    /// A response that must not be cached: an error, a redirect, or one that depends on the caller.
    Uncached(Arc<UncachedResponse>),
}

/// A buffered response that each waiting request gets a copy of.
struct UncachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error: Option<ErrorExtension>,
}

impl UncachedResponse {
    async fn buffer(response: Response) -> Self {
        let (mut parts, body) = response.into_parts();
        add_vary(&mut parts.headers, VARY);
        let error = parts.extensions.remove::<ErrorExtension>();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        Self { status: parts.status, headers: parts.headers, body, error }
    }

    /// Returns whether the store failed to answer. An overloaded process has not asked it.
    fn is_store_failure(&self) -> bool {
        let error = self.error.as_ref().map(|ErrorExtension(error)| &**error);
        matches!(error, Some(ApiError::StoreUnavailable(_) | ApiError::TimedOut { .. }))
    }

    fn to_response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if let Some(error) = &self.error {
            response.extensions_mut().insert(error.clone());
        }
        response
    }
}

type InFlightMap<T> = Arc<Mutex<HashMap<Box<str>, InFlight<T>>>>;

/// The loads in flight, by key. Concurrent requests for the same key share one load.
#[derive(Clone)]
struct SingleFlight<T> {
    in_flight: InFlightMap<T>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { in_flight: Arc::default() }
    }
}

struct InFlight<T> {
    reads: ReadTracker,
    outcome: watch::Receiver<Option<T>>,
}

/// Removes a load from the map when it ends, even if it panics.
struct InFlightGuard<T> {
    in_flight: InFlightMap<T>,
    key: Box<str>,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        let mut in_flight = self.in_flight.lock();
        // A later load may have replaced this one.
        let is_this = |load: &InFlight<T>| load.outcome.same_channel(&self.outcome.subscribe());
        if in_flight.get(&*self.key).is_some_and(is_this) {
            in_flight.remove(&*self.key);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Returns the outcome of `load`, or of a load of the same key that is in flight, and whether it was joined. A load is
    /// joined only if nothing that it has read so far was written since: then it is as good as one that starts now. It
    /// runs to its end even if no one waits for it any more.
    ///
    /// # Errors
    /// If the load panicked.
    async fn join<F>(&self, key: &str, load: impl FnOnce(ReadTracker) -> F) -> Result<(T, bool), LoadPanicked>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut outcome, started) = {
            let mut in_flight = self.in_flight.lock();
            match in_flight.get(key) {
                Some(current) if current.reads.is_current() => (current.outcome.clone(), None),
                _ => {
                    let reads = ReadTracker::default();
                    let (sender, outcome) = watch::channel(None);
                    in_flight.insert(key.into(), InFlight { reads: reads.clone(), outcome: outcome.clone() });
                    let in_flight = Arc::clone(&self.in_flight);
                    (outcome, Some((reads, InFlightGuard { in_flight, key: key.into(), outcome: sender })))
                }
            }
        };
        let joined = started.is_none();
        if let Some((reads, guard)) = started {
            let load = load(reads);
            let work = async move {
                let outcome = load.await;
                guard.outcome.send_replace(Some(outcome));
            };
            tokio::spawn(work.in_current_span());
        }
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| LoadPanicked)?;
        Ok((outcome.clone().expect("the channel was waited for until it held an outcome"), joined))
    }
}

/// The load panicked. The panic itself is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the load panicked")]
struct LoadPanicked;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn concurrent_requests_for_one_key_share_one_load() {
        let single_flight = Arc::new(SingleFlight::default());
        let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let wait = |key: &'static str| {
            let (single_flight, loads, gate) =
                (Arc::clone(&single_flight), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = |_| async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    key
                };
                single_flight.join(key, load).await
            })
        };
        let waiting: Vec<_> = (0..50).map(|_| wait("a")).chain([wait("b")]).collect();
        tokio::task::yield_now().await;
        gate.add_permits(2);
        let mut joined = 0;
        for request in waiting {
            joined += usize::from(request.await.unwrap().unwrap().1);
        }
        assert_eq!((loads.load(Ordering::SeqCst), joined), (2, 49));
        assert!(single_flight.in_flight.lock().is_empty());
    }

    #[tokio::test]
    async fn panicked_load_is_removed() {
        let single_flight = SingleFlight::<()>::default();
        assert!(single_flight.join("a", |_| async { panic!("on purpose") }).await.is_err());
        assert!(single_flight.join("a", |_| async {}).await.is_ok());
    }
}
