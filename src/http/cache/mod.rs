//! The response cache. The response to an anonymous read is built once for each state of the data that it reads, and is
//! then served as bytes.
//!
//! [`CachedService`] is the outermost service and looks each request up, once. It answers hits before there is a span, a
//! route or an extractor. On a miss it hands `CacheMiss` to the router; at the routes of
//! content, `load::serve_or_load` loads the response, once for all concurrent requests, and stores it.
//!
//! `entry::UncachedReason` lists why a response does not come from the cache; the log shows it at debug level.

/// Content encodings, and their negotiation.
mod encoding;
/// Cached responses with their keys, bodies and variants, and `Cache-Status`.
mod entry;
/// Loading and storing responses, at the routes of content.
mod load;
/// The cache and the outermost service.
mod response_cache;

#[cfg(any(test, fuzzing))]
pub(crate) use entry::canonical_url;
pub(crate) use entry::strip_encoding;
pub(crate) use load::{ContentLoader, serve_or_load};
pub use response_cache::{CacheCounts, CacheSettings, CachedService, ResponseCache};
