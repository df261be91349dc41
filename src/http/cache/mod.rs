//! Cached responses: the answer to an anonymous read is made once for each state of what it is made of, and handed
//! out as ready bytes.
//!
//! [`CachedService`] is the outermost: what is on the shelf and holds is answered there, before there is a span, a route or an
//! extractor. All else goes the long way; where it meets a route of content, `through` makes the answer, once for
//! all who want it, and puts it on the shelf.

/// Codings of bodies, and which of them a client takes.
mod encoding;
/// A rendered response.
mod entry;
/// Making answers, at the routes of content.
mod middleware;
/// The outermost service.
mod service;
/// Loads under way.
mod single_flight;
/// The header that says what was done.
mod status;
/// What is kept.
mod store;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{self, HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::Semaphore;

pub(crate) use entry::state_of;
pub(crate) use middleware::through;
pub use service::CachedService;
pub(crate) use service::RouterFuture;

use crate::http::ApiError;
use encoding::{AcceptedEncodings, ContentEncoding};
use entry::{CacheEntry, EncodingChoice};
use middleware::LoadOutcome;
use single_flight::SingleFlight;
use status::CacheStatus;
use store::{CacheStore, Counts};

/// So many bodies are coded at a time, each on a thread of its own.
const CODERS: usize = 2;

/// What is kept of rendered responses, and what others are told about keeping them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes that may be kept; `None` keeps nothing.
    pub max_bytes: Option<NonZeroU64>,
    /// How long shared caches may keep a public answer without asking.
    pub shared_age: Duration,
    /// How long they may go on giving it out while they ask.
    pub stale_while_revalidate: Duration,
}

impl Default for CacheSettings {
    /// 128 MiB; others ask every time.
    fn default() -> Self {
        Self {
            max_bytes: NonZeroU64::new(128 * 1024 * 1024),
            shared_age: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
        }
    }
}

/// Cached responses.
pub struct ResponseCache {
    cache_control: HeaderValue,
    kept: Option<Arc<CacheStore>>,
    flights: SingleFlight<LoadOutcome>,
    coders: Arc<Semaphore>,
}

/// How the rendered responses do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// How many are kept.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Answers that were ready.
    pub hits: u64,
    /// Answers that were ready and may not have held, while the store was away.
    pub stale: u64,
    /// Answers that were made.
    pub loads: u64,
    /// Requests that waited for an answer which another had asked for.
    pub joined: u64,
}

impl ResponseCache {
    /// Nothing is rendered yet.
    pub fn new(settings: &CacheSettings) -> Self {
        Self {
            cache_control: cache_control(settings),
            kept: settings.max_bytes.map(|bytes| Arc::new(CacheStore::new(bytes.get()))),
            flights: SingleFlight::default(),
            coders: Arc::new(Semaphore::new(CODERS)),
        }
    }

    /// How it does.
    pub fn counts(&self) -> CacheCounts {
        let Some(kept) = &self.kept else { return CacheCounts::default() };
        let (entries, bytes) = kept.size();
        let Counts { hits, stale, loads, joined } = &kept.counts;
        let [hits, stale, loads, joined] =
            [hits, stale, loads, joined].map(|counter| counter.load(Ordering::Relaxed));
        CacheCounts { entries, bytes, hits, stale, loads, joined }
    }

    /// Whether there is anything that could be served without the store.
    pub(crate) fn has_any(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.is_empty())
    }

    /// What is ready and holds, if the client can be given it at once.
    fn ready(&self, key: &str, method: &Method, asked: &HeaderMap) -> Option<http::Response<Bytes>> {
        let kept = self.kept.as_ref()?;
        let entry = kept.get(key)?;
        if !entry.is_fresh() {
            return None;
        }
        let EncodingChoice::Now(coding, wanted) = entry.choose(AcceptedEncodings::of(asked)) else {
            return None;
        };
        let source = if entry.store_is_away() { CacheStatus::Away } else { CacheStatus::Hit };
        Counts::add(if source == CacheStatus::Hit { &kept.counts.hits } else { &kept.counts.stale });
        let response = entry.answer(method, asked, coding, source);
        if let Some(wanted) = wanted {
            self.render_later(kept, key, entry, wanted);
        }
        Some(response)
    }

    /// An entry to somebody, in a coding that they take.
    async fn give(
        &self,
        key: &str,
        entry: Arc<CacheEntry>,
        method: &Method,
        asked: &HeaderMap,
        source: CacheStatus,
    ) -> Response {
        match entry.choose(AcceptedEncodings::of(asked)) {
            EncodingChoice::Now(coding, wanted) => {
                let response = entry.answer(method, asked, coding, source).map(Body::from);
                if let (Some(wanted), Some(kept)) = (wanted, &self.kept) {
                    self.render_later(kept, key, entry, wanted);
                }
                response
            }
            EncodingChoice::Later(coding) => {
                // Nobody closes the semaphore.
                let _permit = self.coders.acquire().await;
                let newer = self.kept.as_ref().and_then(|kept| kept.get(key));
                if let Some(newer) = newer.filter(|newer| newer.is_fresh() && newer.has(coding)) {
                    return newer.answer(method, asked, coding, source).map(Body::from);
                }
                let coded = tokio::task::spawn_blocking({
                    let entry = Arc::clone(&entry);
                    move || entry.with(coding)
                });
                let new = match coded.await {
                    Ok(Ok(new)) => new,
                    Ok(Err(error)) => return ApiError::Internal(Box::new(error)).into_response(),
                    Err(error) => return ApiError::Internal(Box::new(error)).into_response(),
                };
                let response = new.answer(method, asked, coding, source).map(Body::from);
                if let Some(kept) = &self.kept {
                    kept.replace(key, &entry, new);
                }
                response
            }
            EncodingChoice::Nothing => ApiError::NotAcceptable.into_response(),
        }
    }

    /// Renders another coding for those who come later, unless there is too much to do already.
    fn render_later(
        &self,
        kept: &Arc<CacheStore>,
        key: &str,
        entry: Arc<CacheEntry>,
        coding: ContentEncoding,
    ) {
        if !entry.claim(coding) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.coders).try_acquire_owned() else { return entry.unclaim(coding) };
        let (kept, key) = (Arc::clone(kept), key.to_owned());
        tokio::task::spawn_blocking(move || {
            match entry.with(coding) {
                Ok(new) => kept.replace(&key, &entry, new),
                Err(error) => tracing::error!(%error, coding = coding.name(), "a body cannot be coded"),
            }
            drop(permit);
        });
    }
}

/// What others are told about keeping a public answer. By themselves they have to ask whether it still holds.
fn cache_control(settings: &CacheSettings) -> HeaderValue {
    let (shared, stale) = (settings.shared_age.as_secs(), settings.stale_while_revalidate.as_secs());
    let shared = if shared > 0 { format!(", s-maxage={shared}") } else { String::new() };
    // Whoever may give out what is stale need not ask first.
    let beyond =
        if stale > 0 { format!("stale-while-revalidate={stale}") } else { "must-revalidate".to_owned() };
    let text = format!("public, max-age=0{shared}, {beyond}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_what_is_configured() {
        let told = |shared, stale| {
            let settings = CacheSettings {
                shared_age: Duration::from_secs(shared),
                stale_while_revalidate: Duration::from_secs(stale),
                ..CacheSettings::default()
            };
            cache_control(&settings).to_str().unwrap().to_owned()
        };
        assert_eq!(told(0, 0), "public, max-age=0, must-revalidate");
        assert_eq!(told(60, 0), "public, max-age=0, s-maxage=60, must-revalidate");
        assert_eq!(told(60, 300), "public, max-age=0, s-maxage=60, stale-while-revalidate=300");
    }
}
