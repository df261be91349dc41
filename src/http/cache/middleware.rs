use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::ResponseCache;
use super::entry::{CacheEntry, VARY, Validity};
use super::status::CacheStatus;
use super::store::Counts;
use crate::http::error::ErrorExtension;
use crate::http::middleware::ClientInfo;
use crate::http::middleware::request_id::RequestId;
use crate::http::respond::vary;
use crate::http::{ApiError, AppState, Policy, Route};
use crate::service::{ChangeTracker, ReadTracker};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");
/// While the store is away, so long it may take to answer all the same.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a load came to, for all who waited.
#[derive(Clone)]
pub(crate) enum LoadOutcome {
    /// A page that is kept, if anything is.
    Entry(Arc<CacheEntry>),
    /// What is not kept: an error, a way to another address.
    Uncached(Arc<UncachedResponse>),
}

/// An answer that is made anew for each.
pub(crate) struct UncachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error: Option<ErrorExtension>,
}

impl UncachedResponse {
    /// Whether the store did not answer. Where there is too much to do already, nobody has asked it.
    fn is_of_the_store(&self) -> bool {
        let error = self.error.as_ref().map(|ErrorExtension(error)| &**error);
        matches!(error, Some(ApiError::StoreUnavailable(_) | ApiError::TimedOut))
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if let Some(error) = &self.error {
            response.extensions_mut().insert(error.clone());
        }
        response
    }
}

/// What an anonymous request reads of content, and what no other request can change.
pub(crate) fn is_anonymous_read(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(header::AUTHORIZATION)
}

/// What tells answers apart.
pub(crate) fn key(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |both| both.as_str())
}

/// At the routes of content: answers anonymous reads by what is rendered, and says of other answers for whom they are.
pub(crate) async fn through(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    if is_anonymous_read(request.method(), request.headers()) {
        return read(&app, request, next).await;
    }
    let is_private = request.headers().contains_key(header::AUTHORIZATION);
    let place = match app.concurrency.enter() {
        Ok(place) => place,
        Err(full) => return full.into_response(),
    };
    request.extensions_mut().insert(place.clone());
    let mut response = next.run(request).await;
    drop(place);
    vary::add(response.headers_mut(), VARY);
    if is_private {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    response
}

async fn read(app: &AppState, request: Request, next: Next) -> Response {
    let (mut parts, _) = request.into_parts();
    let (method, headers) = (std::mem::take(&mut parts.method), std::mem::take(&mut parts.headers));
    let key = key(&parts.uri).to_owned();
    let rendered = &app.cache;
    let held = rendered.kept.as_ref().and_then(|shelf| shelf.get(&key));
    if let Some(held) = held.clone().filter(|held| held.is_fresh()) {
        // It holds, and is there in no coding that this client takes.
        return rendered.give(&key, held, &method, &headers, CacheStatus::Hit).await;
    }
    let source = if held.is_some() { CacheStatus::Renewed } else { CacheStatus::Made };
    let load = |reading: ReadTracker| {
        // Nothing of the caller is left in it, so that nothing can depend on them.
        parts.method = Method::GET;
        parts.extensions.remove::<ClientInfo>();
        parts.extensions.remove::<RequestId>();
        parts.extensions.remove::<ConnectInfo<std::net::SocketAddr>>();
        load(app.clone(), Request::from_parts(parts, Body::empty()), next, reading)
    };
    let Some(shelf) = &rendered.kept else {
        return present(rendered, &key, load(ReadTracker::default()).await, (&method, &headers), source)
            .await;
    };
    let joined = rendered.flights.join(&key, load);
    let outcome = match &held {
        // There is something to serve if the store is away: then nobody waits for it as long as it may take.
        Some(held) => tokio::select! {
            joined = joined => Some(joined),
            () = held.gives_up(PATIENCE) => None,
        },
        None => Some(joined.await),
    };
    match (outcome, held) {
        (Some(Ok((loaded, joined))), held) => {
            Counts::add(if joined { &shelf.counts.joined } else { &shelf.counts.loads });
            match (loaded, held) {
                (LoadOutcome::Uncached(other), Some(held)) if other.is_of_the_store() => {
                    Counts::add(&shelf.counts.stale);
                    rendered.give(&key, held, &method, &headers, CacheStatus::Unanswered).await
                }
                (loaded, _) => present(rendered, &key, loaded, (&method, &headers), source).await,
            }
        }
        (None, Some(held)) => {
            Counts::add(&shelf.counts.stale);
            rendered.give(&key, held, &method, &headers, CacheStatus::Away).await
        }
        (Some(Err(panicked)), _) => ApiError::Internal(Box::new(panicked)).into_response(),
        // Only who holds something gives up.
        (None, None) => ApiError::TimedOut.into_response(),
    }
}

async fn present(
    rendered: &ResponseCache,
    key: &str,
    loaded: LoadOutcome,
    (method, headers): (&Method, &HeaderMap),
    source: CacheStatus,
) -> Response {
    match loaded {
        LoadOutcome::Entry(entry) => rendered.give(key, entry, method, headers, source).await,
        LoadOutcome::Uncached(other) => {
            let mut response = other.response();
            vary::add(response.headers_mut(), VARY);
            response
        }
    }
}

/// Makes an answer, and puts it on the shelf if it is one for everybody.
async fn load(app: AppState, request: Request, next: Next, reading: ReadTracker) -> LoadOutcome {
    let place = match app.concurrency.enter() {
        Ok(place) => place,
        Err(full) => return other(full.into_response()).await,
    };
    let services = match app.gate.services() {
        Ok(services) => services,
        Err(closed) => return other(closed.into_response()).await,
    };
    let key = key(request.uri()).to_owned();
    let route = Route::of(request.extensions());
    let is_public = route.is_some_and(|route| route.policy == Policy::Everyone);
    let made = Instant::now();
    // Before the requests that wait for it have to end, so that they can be given what is there.
    let work = tokio::time::timeout(app.request_timeout * 9 / 10, reading.track(next.run(request)));
    let Ok(response) = work.await else { return other(ApiError::TimedOut.into_response()).await };
    drop(place);
    if response.status() != StatusCode::OK || !is_public {
        return other(response).await;
    }
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return other(ApiError::Internal(Box::new(error)).into_response()).await,
    };
    let reads = reading.so_far();
    let may_keep = ChangeTracker::may_keep(&reads);
    // What reads nothing is not worth a rule of its own.
    let reads = if reads.is_empty() { services.change_tracker.everything() } else { reads };
    let origin = Validity { reads, made, freshness: services.change_tracker.clone() };
    let entry = Arc::new(CacheEntry::new(parts.headers, body, app.cache.cache_control.clone(), origin));
    if let (Some(shelf), true) = (&app.cache.kept, may_keep) {
        shelf.keep(&key, &entry);
    }
    LoadOutcome::Entry(entry)
}

async fn other(response: Response) -> LoadOutcome {
    let (mut parts, body) = response.into_parts();
    let error = parts.extensions.remove::<ErrorExtension>();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    LoadOutcome::Uncached(Arc::new(UncachedResponse {
        status: parts.status,
        headers: parts.headers,
        body,
        error,
    }))
}
