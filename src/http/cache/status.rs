use axum::http::{HeaderName, HeaderValue};

/// The response header defined by RFC 9211.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

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
    pub(crate) fn header(self) -> HeaderValue {
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
