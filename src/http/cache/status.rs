use axum::http::{HeaderName, HeaderValue};

/// What a cache did, as RFC 9211 says it.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// It was rendered before, and holds.
    Hit,
    /// It was rendered before, and the store is away: nobody knows whether it holds.
    Away,
    /// It was rendered before and may not hold; the store was asked and did not answer.
    Unanswered,
    /// It was made now.
    Made,
    /// It was made now, in place of one that did not hold.
    Renewed,
}

impl CacheStatus {
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hit => "field-notes; hit",
            Self::Away => "field-notes; hit; detail=stale",
            Self::Unanswered => "field-notes; fwd=stale; fwd-status=503; detail=stale",
            Self::Made => "field-notes; fwd=uri-miss",
            Self::Renewed => "field-notes; fwd=stale",
        })
    }
}
