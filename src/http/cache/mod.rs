//! The response cache. The response to an anonymous read is built once for each state of the data that it reads, and is
//! then served as bytes.
//!
//! [`CachedService`] is the outermost service and looks each request up, once. It answers hits before there is a span, a
//! route or an extractor. On a miss it hands `CacheMiss` to the router; at the routes of
//! content, `middleware::cache` loads the response, once for all concurrent requests, and stores it.
//!
//! `status::UncachedReason` lists why a response does not come from the cache; the log shows it at debug level.

/// Content encodings, and their negotiation.
mod encoding;
/// A cached response with its variants.
mod entry;
/// Loading and storing responses, at the routes of content.
mod middleware;
/// The outcome of a load.
mod outcome;
/// Lookup, encoding and counts.
mod response_cache;
/// The outermost service.
mod service;
/// The loads in flight.
mod single_flight;
/// `Cache-Status`, and the reasons for a miss.
mod status;
/// The stored entries.
mod store;

pub(crate) use entry::strip_encoding;
pub(crate) use middleware::cache;
pub use response_cache::{CacheCounts, CacheSettings, ResponseCache};
pub use service::CachedService;
pub(crate) use service::RouterFuture;
