//! Cached responses: the keys under which they are stored, the memory of their bodies, their variants, and where a response
//! came from.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use bytes::Bytes;
use memmap2::MmapMut;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::encoding::{AcceptedEncodings, ContentEncoding};
use crate::http::middleware::{SECURITY_HEADERS, X_REQUEST_ID, add_vary};
use crate::http::{ApiError, Route};
use crate::service::{ChangeTracker, ReadSet};

/// The characters that stay as they are in a segment of a path.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the cache key of a URL: path and query.
pub(crate) fn cache_key(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str())
}

/// Returns the URL that stands for all requests with the same response: with the known query parameters alone, each once
/// and in the order of their declaration, and with one spelling of percent-encodings. Otherwise a client could fill the cache
/// with copies of one response. Returns `None` if the URL is canonical already, and if the response is an error anyway.
pub(crate) fn canonical_url(uri: &Uri, routes: &[Route]) -> Option<Uri> {
    let (path, query) = (uri.path(), uri.query());
    if query.is_none() && !path.contains('%') {
        return None;
    }
    let route = Route::find(routes, &Method::GET, path)?;
    let mut canonical = String::with_capacity(path.len());
    for (template, segment) in route.path.split('/').zip(path.split('/')).skip(1) {
        canonical.push('/');
        if template.starts_with('{') {
            let segment = percent_decode_str(segment).decode_utf8().ok()?;
            canonical.extend(utf8_percent_encode(&segment, &SEGMENT));
        } else {
            canonical.push_str(segment);
        }
    }
    let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    // Such a name is an error.
    if pairs.iter().any(|(name, _)| Route::is_operator(name)) {
        return None;
    }
    let mut separator = "?";
    for parameter in route.parameters() {
        // The last one of a repeated parameter counts.
        if let Some((_, value)) = pairs.iter().rev().find(|(name, _)| name == parameter) {
            canonical.push_str(separator);
            canonical.push_str(parameter);
            canonical.push('=');
            canonical.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
            separator = "&";
        }
    }
    if canonical == cache_key(uri) {
        return None;
    }
    Uri::from_str(&canonical).ok()
}

/// Bounds the memory of response bodies: those in the cache, and those that clients are still receiving. A body that is
/// sent to several clients counts once, so that cached responses cost nothing. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    used: Arc<AtomicU64>,
    limit: u64,
    free_pages: FreePages,
}

/// The size from which kept bodies have pages of their own. The allocator has pages for each range of sizes and each thread,
/// which stay when some of their bodies are evicted: up to twice the limit of the cache.
const MIN_OWN_PAGES: usize = 16 * 1024;
const PAGE: usize = 4096;

/// Pages of dropped bodies, for the next ones: to map, fill and unmap new ones takes longer than to read a list.
type FreePages = Arc<Mutex<Vec<MmapMut>>>;

/// The maximum number of kept pages. Each is of a body of at most [`MAX_FREE_LENGTH`] bytes, so together they take 1 MiB.
const MAX_FREE: usize = 8;
const MAX_FREE_LENGTH: usize = 128 * 1024;

/// The pages of one body.
struct OwnPages {
    /// `None` while it is dropped.
    pages: Option<MmapMut>,
    length: usize,
    free: FreePages,
}

impl OwnPages {
    /// Copies a body into free pages of about its size, or into new ones. Returns `None` if the system has no more.
    fn copy(body: &[u8], free: &FreePages) -> Option<Self> {
        let fitting = body.len()..=body.len() + body.len() / 8;
        let reused = {
            let mut free = free.lock();
            let position = free.iter().position(|pages| fitting.contains(&pages.len()));
            position.map(|position| free.swap_remove(position))
        };
        let new = || MmapMut::map_anon(body.len().next_multiple_of(PAGE)).ok();
        let mut pages = reused.or_else(new)?;
        pages[..body.len()].copy_from_slice(body);
        Some(Self { pages: Some(pages), length: body.len(), free: Arc::clone(free) })
    }
}

impl AsRef<[u8]> for OwnPages {
    fn as_ref(&self) -> &[u8] {
        self.pages.as_ref().map_or(&[], |pages| &pages[..self.length])
    }
}

impl Drop for OwnPages {
    fn drop(&mut self) {
        let mut free = self.free.lock();
        if free.len() < MAX_FREE {
            free.extend(self.pages.take().filter(|pages| pages.len() <= MAX_FREE_LENGTH));
        }
    }
}

/// A body of exactly the size that it needs, counted until its last copy is dropped.
struct CountedBody<B: AsRef<[u8]>> {
    bytes: B,
    used: Arc<AtomicU64>,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for CountedBody<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<B: AsRef<[u8]>> Drop for CountedBody<B> {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes.as_ref().len() as u64, Ordering::Relaxed);
    }
}

impl BodyBudget {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: Arc::default(), limit, free_pages: Arc::default() }
    }

    /// Counts a body that is sent once.
    ///
    /// # Errors
    /// 503 if the limit is reached.
    pub(super) fn count(&self, body: impl Into<Vec<u8>>) -> Result<Bytes, ApiError> {
        self.count_owned(body.into().into_boxed_slice())
    }

    /// Counts a body that is kept in the cache.
    ///
    /// # Errors
    /// 503 if the limit is reached.
    pub(super) fn count_kept(&self, body: impl Into<Vec<u8>>) -> Result<Bytes, ApiError> {
        let bytes = body.into();
        if bytes.len() >= MIN_OWN_PAGES
            && let Some(pages) = OwnPages::copy(&bytes, &self.free_pages)
        {
            return self.count_owned(pages);
        }
        // The system limits the number of mappings; beyond it, the allocator does.
        self.count_owned(bytes.into_boxed_slice())
    }

    fn count_owned(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Bytes, ApiError> {
        let length = bytes.as_ref().len() as u64;
        // From here on the body counts, also while it is refused.
        let used = self.used.fetch_add(length, Ordering::Relaxed) + length;
        let body = CountedBody { bytes, used: Arc::clone(&self.used) };
        if used > self.limit {
            return Err(ApiError::Overloaded);
        }
        Ok(Bytes::from_owner(body))
    }
}

/// The caller decides what is shown, `Accept-Encoding` the encoding, and `Accept` the type of an error.
pub(crate) const VARY: &[&str] = &["Authorization", "Accept", "Accept-Encoding"];

/// As [`VARY`], with the header that the CORS headers depend on.
const VARY_WITH_ORIGIN: &[&str] = &["Authorization", "Accept", "Accept-Encoding", "Origin"];

const REVALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// The reads that an entry was built from, and its age: they decide whether it is fresh.
#[derive(Clone)]
pub(crate) struct Validity {
    pub(crate) reads: ReadSet,
    pub(crate) loaded_at: Instant,
    pub(crate) change_tracker: ChangeTracker,
}

/// A cached 200, complete but for the headers that differ from request to request.
pub(crate) struct CacheEntry {
    validity: Validity,
    /// The template of its route, for the access log.
    pub(crate) route: &'static str,
    /// The entity tags of all variants, existing or not, by [`ContentEncoding::index`]. Computed when first needed.
    etags: OnceLock<[HeaderValue; 4]>,
    identity: Variant,
    /// The encoded variants, by [`ContentEncoding::index`].
    encoded: [Option<Variant>; 3],
    /// The encodings that are being produced: one bit each.
    pending: AtomicU8,
}

/// The body in one encoding, and the headers of a 200 with it. Headers that each request sets are present already, so
/// that a clone does not grow.
#[derive(Clone)]
struct Variant {
    body: Bytes,
    headers: HeaderMap,
}

/// The variant to serve to a client.
pub(crate) enum VariantChoice {
    /// This one exists. If a second encoding is given, the client prefers that one, which does not exist yet.
    Available(ContentEncoding, Option<ContentEncoding>),
    /// No accepted variant exists: this one must be encoded first.
    NotEncoded(ContentEncoding),
    /// The client accepts no encoding.
    NotAcceptable,
}

impl CacheEntry {
    /// Creates the entry of a 200. `headers` are those that the handler set.
    pub(crate) fn new(
        mut headers: HeaderMap,
        body: Bytes,
        cache_control: HeaderValue,
        route: &'static str,
        validity: Validity,
    ) -> Self {
        // An item has the entity tag of its revision, which `If-Match` names.
        let etag = headers.remove(header::ETAG).unwrap_or_else(|| content_etag(&body));
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CACHE_CONTROL, cache_control);
        headers.insert(CACHE_STATUS, CacheStatus::Hit.header());
        headers.insert(header::ETAG, etag);
        add_vary(&mut headers, VARY_WITH_ORIGIN);
        for (name, value) in SECURITY_HEADERS {
            headers.entry(name).or_insert(value);
        }
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("-"));
        // The clone has no spare capacity.
        let identity = Variant { body, headers: headers.clone() };
        Self {
            validity,
            route,
            etags: OnceLock::new(),
            identity,
            encoded: [None, None, None],
            pending: AtomicU8::new(0),
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        let Validity { reads, loaded_at, change_tracker } = &self.validity;
        change_tracker.holds(reads, *loaded_at)
    }

    /// Returns why the entry is not fresh any more.
    pub(crate) fn stale_reason(&self) -> UncachedReason {
        if self.validity.reads.are_current() {
            UncachedReason::Expired
        } else {
            UncachedReason::StaleVersions
        }
    }

    pub(crate) fn change_tracker(&self) -> &ChangeTracker {
        &self.validity.change_tracker
    }

    /// Returns the approximate size in bytes: bodies, headers and bookkeeping.
    pub(crate) fn weight(&self) -> usize {
        const HEADERS: usize = 2500;
        let variants = self.encoded.iter().flatten().chain([&self.identity]);
        let memory = |length: usize| match length {
            ..MIN_OWN_PAGES => length,
            _ => length.next_multiple_of(PAGE),
        };
        HEADERS + variants.map(|variant| memory(variant.body.len()) + HEADERS).sum::<usize>()
    }

    fn variant(&self, encoding: ContentEncoding) -> Option<&Variant> {
        if encoding == ContentEncoding::Identity {
            return Some(&self.identity);
        }
        self.encoded[encoding.index()].as_ref()
    }

    pub(crate) fn has_variant(&self, encoding: ContentEncoding) -> bool {
        self.variant(encoding).is_some()
    }

    pub(crate) fn choose(&self, accepted: AcceptedEncodings) -> VariantChoice {
        let Some(preferred) = accepted.preferred(self.identity.body.len()) else {
            return VariantChoice::NotAcceptable;
        };
        if self.has_variant(preferred) {
            return VariantChoice::Available(preferred, None);
        }
        match accepted.best(|encoding| self.has_variant(encoding)) {
            Some(available) => VariantChoice::Available(available, Some(preferred)),
            None => VariantChoice::NotEncoded(preferred),
        }
    }

    /// Claims the task of producing an encoding. Returns false if it is claimed already.
    pub(crate) fn claim(&self, encoding: ContentEncoding) -> bool {
        let bit = 1 << encoding.index();
        self.pending.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(crate) fn release_claim(&self, encoding: ContentEncoding) {
        self.pending.fetch_and(!(1 << encoding.index()), Ordering::Relaxed);
    }

    /// Returns a copy of the entry with one more encoded variant. Blocks.
    pub(crate) fn with_variant(
        &self,
        encoding: ContentEncoding,
        bodies: &BodyBudget,
    ) -> Result<Self, ApiError> {
        let mut encoded = self.encoded.clone();
        if let Some(variant) = encoded.get_mut(encoding.index()) {
            let mut headers = self.identity.headers.clone();
            headers.insert(header::ETAG, self.etags()[encoding.index()].clone());
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
            // The clone has no spare capacity.
            let body =
                encoding.encode(&self.identity.body).map_err(|error| ApiError::Internal(Box::new(error)))?;
            *variant = Some(Variant { body: bodies.count_kept(body)?, headers: headers.clone() });
        }
        Ok(Self {
            validity: self.validity.clone(),
            route: self.route,
            etags: self.etags.clone(),
            identity: self.identity.clone(),
            encoded,
            // If two variants are encoded at the same time, only one is stored; the other one is encoded again.
            pending: AtomicU8::new(0),
        })
    }

    /// Builds the 200 with an existing variant, or the 304 if the client holds a current one.
    pub(crate) fn response(
        &self,
        method: &Method,
        request_headers: &HeaderMap,
        encoding: ContentEncoding,
        status: CacheStatus,
    ) -> http::Response<Bytes> {
        let mut response = http::Response::new(Bytes::new());
        if let Some(etag) = self.matching_etag(request_headers, encoding) {
            let mut headers = self.identity.headers.clone();
            headers.remove(header::CONTENT_TYPE);
            headers.insert(header::ETAG, etag.clone());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = headers;
        } else {
            let Variant { body, headers } = self.variant(encoding).expect("the chosen variant exists");
            *response.headers_mut() = headers.clone();
            if method == Method::HEAD {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            } else {
                *response.body_mut() = body.clone();
            }
        }
        // The stored headers are those of a hit.
        if status != CacheStatus::Hit {
            response.headers_mut().insert(CACHE_STATUS, status.header());
        }
        // Other caches must not treat a stale response as fresh.
        if matches!(status, CacheStatus::StoreUnreachable | CacheStatus::StaleOnError) {
            response.headers_mut().insert(header::CACHE_CONTROL, REVALIDATE);
        }
        response
    }

    fn etags(&self) -> &[HeaderValue; 4] {
        self.etags.get_or_init(|| {
            let etag = &self.identity.headers[header::ETAG];
            ContentEncoding::ALL.map(|encoding| variant_etag(etag, encoding))
        })
    }

    /// Returns the entity tag of `If-None-Match` that names an accepted variant of this entry; for `*` that of the selected
    /// variant. A cache that asks on behalf of a client may hold others, too.
    fn matching_etag(&self, request_headers: &HeaderMap, selected: ContentEncoding) -> Option<&HeaderValue> {
        if !request_headers.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let (accepted, etags) = (AcceptedEncodings::from_headers(request_headers), self.etags());
        request_headers.get_all(header::IF_NONE_MATCH).iter().find_map(|value| {
            let mut tags = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            tags.find_map(|tag| {
                let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
                if tag == b"*" {
                    return Some(&etags[selected.index()]);
                }
                let mut variants =
                    ContentEncoding::ALL.into_iter().filter(|encoding| accepted.accepts(*encoding));
                variants
                    .find_map(|variant| Some(&etags[variant.index()]).filter(|etag| tag == etag.as_bytes()))
            })
        })
    }
}

/// Returns the strong entity tag of a body: its 128-bit hash. It is not a secret, so speed is what matters.
fn content_etag(body: &[u8]) -> HeaderValue {
    let etag = format!("\"{:032x}\"", twox_hash::XxHash3_128::oneshot(body));
    HeaderValue::from_str(&etag).expect("hexadecimal digits are valid in a header")
}

/// Returns the entity tag of a variant: other bytes need another tag.
fn variant_etag(etag: &HeaderValue, encoding: ContentEncoding) -> HeaderValue {
    if encoding == ContentEncoding::Identity {
        return etag.clone();
    }
    let opaque = etag.to_str().ok().and_then(|etag| etag.strip_suffix('"'));
    let opaque = opaque.expect("our entity tags are quoted ASCII");
    HeaderValue::from_str(&format!("{opaque}-{}\"", encoding.as_str())).expect("ASCII is valid in a header")
}

/// Strips the suffix of an encoded variant from an entity tag without its quotes.
pub(crate) fn strip_encoding(etag: &str) -> &str {
    let stripped = ContentEncoding::ALL
        .iter()
        .find_map(|encoding| etag.strip_suffix(encoding.as_str())?.strip_suffix('-'));
    stripped.unwrap_or(etag)
}

/// The response header defined by RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The origin of a response, as reported in `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// A fresh entry.
    Hit,
    /// An entry served without asking the store, which is unreachable.
    StoreUnreachable,
    /// A stale entry served because the store failed to answer the load.
    StaleOnError,
    /// A new response; there was no entry.
    Miss,
    /// A new response in place of a stale entry.
    Refreshed,
}

impl CacheStatus {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hit => "field-notes; hit",
            Self::StoreUnreachable => "field-notes; hit; detail=stale",
            Self::StaleOnError => "field-notes; fwd=stale; fwd-status=503; detail=stale",
            Self::Miss => "field-notes; fwd=uri-miss",
            Self::Refreshed => "field-notes; fwd=stale",
        })
    }
}

/// The reason why a request was not answered from the cache, or why its response was not stored. Logged at debug level
/// in the span of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UncachedReason {
    /// The request is neither GET nor HEAD.
    Method,
    /// The request carries a token: the response may depend on the caller.
    Authorization,
    /// `CACHE_MAX_BYTES` is 0.
    Disabled,
    /// Nothing is stored under this path and query.
    NoEntry,
    /// A collection that the entry was built from has changed.
    StaleVersions,
    /// The entry is older than `CACHE_MAX_AGE` allows.
    Expired,
    /// The entry is fresh, but not yet encoded in any way that the client accepts.
    NotEncoded,
    /// The route is not open to everyone.
    Policy,
    /// The response is not a 200.
    ResponseStatus,
    /// The response was built from the collection of users.
    ReadsUsers,
    /// The data changed during the load, and there is an entry already.
    StaleOnArrival,
}

impl UncachedReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Method => "not_cacheable_method",
            Self::Authorization => "authorization",
            Self::Disabled => "disabled",
            Self::NoEntry => "no_entry",
            Self::StaleVersions => "stale_versions",
            Self::Expired => "expired",
            Self::NotEncoded => "not_encoded",
            Self::Policy => "policy",
            Self::ResponseStatus => "response_status",
            Self::ReadsUsers => "reads_users",
            Self::StaleOnArrival => "stale_on_arrival",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_count_until_their_last_copy_is_dropped() {
        let budget = BodyBudget::new(10);
        let first = budget.count(vec![0; 6]).unwrap();
        assert!(budget.count(vec![0; 5]).is_err());
        let second = budget.count(vec![0; 4]).unwrap();
        let part = first.slice(1..2);
        drop((first, second));
        assert!(budget.count(vec![0; 5]).is_err());
        drop(part);
        assert_eq!(budget.count(vec![0; 10]).unwrap().len(), 10);
    }

    #[test]
    fn pages_of_a_dropped_body_take_the_next_one_of_its_size() {
        let budget = BodyBudget::new(u64::MAX);
        let keep = |value: u8, length: usize| budget.count_kept(vec![value; length]).unwrap();
        let first = keep(1, 50_000);
        let address = first.as_ptr();
        drop(first);
        // Neither a longer body nor a much shorter one.
        let others = [keep(2, 60_000), keep(3, 20_000)];
        let next = keep(4, 48_000);
        assert_eq!((next.as_ptr(), next.len()), (address, 48_000));
        assert!(next.iter().all(|byte| *byte == 4));
        drop((next, others));
        // What is kept for later is bounded.
        drop([(); 20].map(|()| keep(5, MAX_FREE_LENGTH)));
        assert_eq!(budget.free_pages.lock().len(), MAX_FREE);
        assert!(budget.free_pages.lock().iter().all(|pages| pages.len() <= MAX_FREE_LENGTH));
    }
}
