//! The cache, and the service in front of the router that looks each request up in it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{self, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
use moka::ops::compute::Op;
use moka::sync::Cache;
use serde::Serialize;
use tokio::sync::Semaphore;
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};
use utoipa::ToSchema;

use super::ContentLoader;
use super::encoding::{AcceptedEncodings, ContentEncoding};
use super::entry::{
    BodyBudget, CacheEntry, CacheStatus, UncachedReason, VariantChoice, cache_key, canonical_url,
};
use crate::http::middleware::{self, NO_STORE, RequestId, SECURITY_HEADERS, X_REQUEST_ID, add_vary};
use crate::http::{ApiError, AppState, Route};

/// The whole application without a socket: the response cache in front of the router. Cheap to clone.
#[derive(Clone)]
pub struct CachedService {
    inner: Arc<Inner>,
    peer: Option<SocketAddr>,
}

struct Inner {
    app: AppState,
    router: Router,
    route_table: &'static [Route],
    loader: ContentLoader,
}

impl CachedService {
    pub(crate) fn new(
        app: AppState,
        router: Router,
        route_table: &'static [Route],
        loader: ContentLoader,
    ) -> Self {
        Self { inner: Arc::new(Inner { app, router, route_table, loader }), peer: None }
    }

    /// Returns the service for a connection from this address.
    pub(crate) fn with_peer(self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Returns the cached response with the headers that depend on the request.
    ///
    /// # Errors
    /// The miss, for [`Self::route`].
    pub(crate) fn lookup<B>(&self, request: &http::Request<B>) -> Result<http::Response<Bytes>, CacheMiss> {
        let app = &self.inner.app;
        let (mut response, route) = app.cache.lookup(request, self.inner.route_table)?;
        let id = middleware::request_id(request.headers(), &*app.clock);
        let peer = self.peer.or_else(|| request.extensions().get().map(|ConnectInfo(peer)| *peer));
        middleware::log_early_response(&app.middleware, request, peer, route, &id, response.status());
        self.add_client_headers(response.headers_mut(), request, peer, id);
        Ok(response)
    }

    /// Returns the refusal of a request that needs a permit, if there is none. It takes no layer, because refusals must cost
    /// little.
    pub(crate) fn refuse_excess<B>(&self, request: &http::Request<B>, miss: &CacheMiss) -> Option<Response> {
        let app = &self.inner.app;
        if !app.concurrency.is_exhausted() || self.is_shared(request, miss) {
            return None;
        }
        let path = request.uri().path();
        let route = Route::find_limited(self.inner.route_table, request.method(), path)?;
        let id = middleware::request_id(request.headers(), &*app.clock);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        middleware::log_early_response(&app.middleware, request, self.peer, route.path, &id, status);
        let mut response = ApiError::Overloaded.into_response();
        let accepts_problem = middleware::accepts_problem_json(request.headers());
        ApiError::Overloaded.write_body(&mut response, path, &RequestId::from(&id).0, accepts_problem);
        let headers = response.headers_mut();
        add_vary(headers, &["Origin"]);
        headers.extend(SECURITY_HEADERS);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        self.add_client_headers(headers, request, self.peer, id);
        Some(response)
    }

    /// Reports whether a request gets the response of a load that has ended or is in flight, for which it needs no permit.
    fn is_shared<B>(&self, request: &http::Request<B>, miss: &CacheMiss) -> bool {
        let CacheMiss { reason, canonical, entry } = miss;
        let is_public = !matches!(reason, UncachedReason::Method | UncachedReason::Authorization);
        let is_loading =
            || self.inner.loader.is_loading(cache_key(canonical.as_ref().unwrap_or(request.uri())));
        is_public && (entry.as_ref().is_some_and(|entry| entry.is_fresh()) || is_loading())
    }

    fn add_client_headers<B>(
        &self,
        headers: &mut HeaderMap,
        request: &http::Request<B>,
        peer: Option<SocketAddr>,
        id: HeaderValue,
    ) {
        let state = &self.inner.app.middleware;
        headers.insert(X_REQUEST_ID, id);
        if let Some(origin) = request.headers().get(header::ORIGIN) {
            middleware::allow_origin(state, headers, origin);
        }
        middleware::add_hsts(state, headers, request, peer);
    }

    /// Passes a request to the router, with the reason in its extensions: a [`CacheMiss`], or the error of its head.
    pub(crate) fn route<R: Clone + Send + Sync + 'static>(
        &self,
        mut request: Request,
        reason: R,
    ) -> Oneshot<Router, Request> {
        request.extensions_mut().insert(reason);
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        self.inner.router.clone().oneshot(request)
    }
}

impl Service<Request> for CachedService {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, Oneshot<Router, Request>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.lookup(&request) {
            Ok(response) => Either::Left(ready(Ok(response.map(Body::from)))),
            Err(miss) => Either::Right(self.route(request, miss)),
        }
    }
}

/// The number of bodies that are encoded at the same time, each on a thread of its own.
const MAX_ENCODERS: usize = 2;

/// The size of the cache, and the `Cache-Control` of public responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The maximum size in bytes; `None` disables the cache.
    pub max_bytes: Option<NonZeroU64>,
    /// The maximum number of bytes of bodies that are not cached, or not any more, while clients receive them.
    pub in_flight_bytes: u64,
    /// The time for which shared caches may serve a public response without revalidation.
    pub shared_age: Duration,
    /// The time for which they may serve a stale one while they revalidate.
    pub stale_while_revalidate: Duration,
}

impl Default for CacheSettings {
    /// 128 MiB each; other caches always revalidate.
    fn default() -> Self {
        Self {
            max_bytes: NonZeroU64::new(128 * 1024 * 1024),
            in_flight_bytes: 128 * 1024 * 1024,
            shared_age: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
        }
    }
}

/// The response cache since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RenderedResponses)]
pub struct CacheCounts {
    /// Cached responses.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Fresh cached responses that were served.
    pub hits: u64,
    /// Cached responses that were served while the store was unreachable.
    pub stale: u64,
    /// Responses that were loaded.
    pub loads: u64,
    /// Requests that joined the load of another one.
    pub joined: u64,
    /// The time since the writes of other processes were last seen.
    pub lag_ms: u64,
}

/// Numbers of responses since the start, by their origin.
#[derive(Default)]
pub(crate) struct CacheCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) joined: AtomicU64,
}

impl CacheCounters {
    pub(crate) fn increment(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Entries by path and query, bounded by bytes. Frequently requested entries are kept.
type Entries = Cache<Arc<str>, Arc<CacheEntry>>;

/// The cache of public responses.
pub struct ResponseCache {
    pub(crate) cache_control: HeaderValue,
    /// `None` if the cache is disabled.
    entries: Option<Entries>,
    pub(crate) counters: CacheCounters,
    pub(crate) bodies: BodyBudget,
    encoders: Arc<Semaphore>,
}

/// The parts of a request that a cached response depends on.
#[derive(Clone, Copy)]
pub(crate) struct CacheRequest<'a> {
    pub(crate) key: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
}

/// A lookup that could not be answered, in the request's extensions.
#[derive(Clone)]
pub(crate) struct CacheMiss {
    pub(crate) reason: UncachedReason,
    /// The URL that stands for all requests with this response, if it is not the request's own.
    pub(crate) canonical: Option<Uri>,
    /// The entry, if there is one.
    pub(crate) entry: Option<Arc<CacheEntry>>,
}

impl ResponseCache {
    /// Creates an empty cache.
    pub fn new(settings: &CacheSettings) -> Self {
        let weigh = |key: &Arc<str>, entry: &Arc<CacheEntry>| {
            u32::try_from(key.len() + entry.weight()).unwrap_or(u32::MAX)
        };
        let entries = |bytes: NonZeroU64| Cache::builder().max_capacity(bytes.get()).weigher(weigh).build();
        Self {
            cache_control: cache_control(settings),
            entries: settings.max_bytes.map(entries),
            counters: CacheCounters::default(),
            bodies: BodyBudget::new(settings.max_bytes.map_or(0, NonZeroU64::get) + settings.in_flight_bytes),
            encoders: Arc::new(Semaphore::new(MAX_ENCODERS)),
        }
    }

    /// Returns the current counts, all 0 if the cache is disabled. The lag is 0, since the change tracker measures it.
    pub fn counts(&self) -> CacheCounts {
        let Some(all) = &self.entries else { return CacheCounts::default() };
        let CacheCounters { hits, stale, loads, joined } = &self.counters;
        let [hits, stale, loads, joined] =
            [hits, stale, loads, joined].map(|counter| counter.load(Ordering::Relaxed));
        let (entries, bytes) = (all.entry_count(), all.weighted_size());
        CacheCounts { entries, bytes, hits, stale, loads, joined, lag_ms: 0 }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.entries.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.entry_count() == 0)
    }

    /// Returns the entry of a key, fresh or not.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<CacheEntry>> {
        self.entries.as_ref()?.get(key)
    }

    /// Stores an entry, unless it is stale already and there is another one.
    ///
    /// # Errors
    /// The reason why it was not stored.
    pub(crate) fn insert(&self, key: &str, entry: &Arc<CacheEntry>) -> Result<(), UncachedReason> {
        let entries = self.entries.as_ref().ok_or(UncachedReason::Disabled)?;
        if !entry.is_fresh() && entries.contains_key(key) {
            return Err(UncachedReason::StaleOnArrival);
        }
        entries.insert(key.into(), Arc::clone(entry));
        evict(entries);
        Ok(())
    }

    /// Looks a request up, and returns the response and the template of its route. Takes no lock. A URL that is not canonical
    /// is only noticed if there is no entry under it.
    ///
    /// # Errors
    /// The reason why the request is not answered.
    pub(crate) fn lookup<B>(
        &self,
        request: &http::Request<B>,
        routes: &[Route],
    ) -> Result<(http::Response<Bytes>, &'static str), CacheMiss> {
        let miss = |reason, canonical, entry| Err(CacheMiss { reason, canonical, entry });
        let (method, headers) = (request.method(), request.headers());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return miss(UncachedReason::Method, None, None);
        }
        if headers.contains_key(header::AUTHORIZATION) {
            return miss(UncachedReason::Authorization, None, None);
        }
        let Some(entries) = &self.entries else {
            return miss(UncachedReason::Disabled, None, None);
        };
        let mut canonical = None;
        let mut entry = entries.get(cache_key(request.uri()));
        if entry.is_none() {
            canonical = canonical_url(request.uri(), routes);
            entry = canonical.as_ref().and_then(|canonical| entries.get(cache_key(canonical)));
        }
        let Some(entry) = entry else { return miss(UncachedReason::NoEntry, canonical, None) };
        if !entry.is_fresh() {
            return miss(entry.stale_reason(), canonical, Some(entry));
        }
        let VariantChoice::Available(encoding, preferred) =
            entry.choose(AcceptedEncodings::from_headers(headers))
        else {
            return miss(UncachedReason::NotEncoded, canonical, Some(entry));
        };
        let (status, counter) = if entry.change_tracker().store_is_away() {
            (CacheStatus::StoreUnreachable, &self.counters.stale)
        } else {
            (CacheStatus::Hit, &self.counters.hits)
        };
        CacheCounters::increment(counter);
        let response = entry.response(method, headers, encoding, status);
        let route = entry.route;
        if let Some(preferred) = preferred {
            let key = cache_key(canonical.as_ref().unwrap_or(request.uri()));
            self.encode_in_background(key, entry, preferred);
        }
        Ok((response, route))
    }

    /// Serves an entry in an encoding that the client accepts, and encodes it if necessary.
    pub(crate) async fn serve(
        &self,
        request: CacheRequest<'_>,
        entry: Arc<CacheEntry>,
        status: CacheStatus,
    ) -> Response {
        let CacheRequest { key, method, headers } = request;
        match entry.choose(AcceptedEncodings::from_headers(headers)) {
            VariantChoice::Available(encoding, preferred) => {
                let response = entry.response(method, headers, encoding, status);
                if let Some(preferred) = preferred {
                    self.encode_in_background(key, entry, preferred);
                }
                response.map(Body::from)
            }
            VariantChoice::NotEncoded(encoding) => match self.encode(key, entry, encoding).await {
                Ok(entry) => entry.response(method, headers, encoding, status).map(Body::from),
                Err(error) => error.into_response(),
            },
            VariantChoice::NotAcceptable => ApiError::NotAcceptable.into_response(),
        }
    }

    /// Waits for an encoder, and returns the entry with the variant, or a fresh one that has it by then.
    async fn encode(
        &self,
        key: &str,
        entry: Arc<CacheEntry>,
        encoding: ContentEncoding,
    ) -> Result<Arc<CacheEntry>, ApiError> {
        let _permit = self.encoders.acquire().await.expect("the semaphore is never closed");
        if let Some(current) = self.get(key).filter(|entry| entry.is_fresh() && entry.has_variant(encoding)) {
            return Ok(current);
        }
        let task = tokio::task::spawn_blocking({
            let (entry, bodies) = (Arc::clone(&entry), self.bodies.clone());
            move || entry.with_variant(encoding, &bodies).map(Arc::new)
        });
        let encoded = task.await.map_err(|error| ApiError::Internal(Box::new(error)))??;
        if let Some(entries) = &self.entries {
            replace(entries, key, &entry, Arc::clone(&encoded));
        }
        Ok(encoded)
    }

    /// Encodes an entry for later requests. Does nothing if the encoders are busy: the next request tries again.
    fn encode_in_background(&self, key: &str, entry: Arc<CacheEntry>, encoding: ContentEncoding) {
        let Some(entries) = self.entries.as_ref().filter(|_| entry.claim(encoding)) else { return };
        let Ok(permit) = Arc::clone(&self.encoders).try_acquire_owned() else {
            return entry.release_claim(encoding);
        };
        let (entries, key, bodies) = (entries.clone(), key.to_owned(), self.bodies.clone());
        tokio::task::spawn_blocking(move || {
            match entry.with_variant(encoding, &bodies) {
                Ok(encoded) => replace(&entries, &key, &entry, Arc::new(encoded)),
                Err(ApiError::Overloaded) => entry.release_claim(encoding),
                Err(error) => {
                    let error = error.source_text().unwrap_or_default();
                    tracing::error!(error, encoding = encoding.as_str(), "failed to encode a response");
                }
            }
            drop(permit);
        });
    }
}

/// Replaces `old` by `new`, unless another entry has replaced it already.
fn replace(entries: &Entries, key: &str, old: &Arc<CacheEntry>, new: Arc<CacheEntry>) {
    entries.entry(key.into()).and_compute_with(|current| match current {
        Some(current) if Arc::ptr_eq(current.value(), old) => Op::Put(new),
        _ => Op::Nop,
    });
    evict(entries);
}

/// Evicts entries beyond the limit now, so that it holds at any time, and frees them. Otherwise each thread would keep the
/// last 64 of them.
fn evict(entries: &Entries) {
    entries.run_pending_tasks();
    // A thread's garbage is collected when the epoch has advanced twice.
    for _ in 0..3 {
        crossbeam_epoch::pin().flush();
    }
}

/// Returns the `Cache-Control` of public responses. Private caches always revalidate.
fn cache_control(settings: &CacheSettings) -> HeaderValue {
    let (shared, stale) = (settings.shared_age.as_secs(), settings.stale_while_revalidate.as_secs());
    let shared = if shared > 0 { format!(", s-maxage={shared}") } else { String::new() };
    // `must-revalidate` would forbid what `stale-while-revalidate` allows.
    let stale =
        if stale > 0 { format!("stale-while-revalidate={stale}") } else { "must-revalidate".to_owned() };
    HeaderValue::from_str(&format!("public, max-age=0{shared}, {stale}")).expect("ASCII is valid in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_follows_the_settings() {
        let value = |shared, stale| {
            let settings = CacheSettings {
                shared_age: Duration::from_secs(shared),
                stale_while_revalidate: Duration::from_secs(stale),
                ..CacheSettings::default()
            };
            cache_control(&settings).to_str().unwrap().to_owned()
        };
        assert_eq!(value(0, 0), "public, max-age=0, must-revalidate");
        assert_eq!(value(60, 0), "public, max-age=0, s-maxage=60, must-revalidate");
        assert_eq!(value(60, 300), "public, max-age=0, s-maxage=60, stale-while-revalidate=300");
    }
}
