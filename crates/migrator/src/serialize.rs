use std::time::Duration;

use bson::DateTime;
use serde::{Serialize, Serializer};

fn text(at: DateTime) -> String {
    at.try_to_rfc3339_string().unwrap_or_else(|_| at.timestamp_millis().to_string())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) fn instant<S: Serializer>(at: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    text(*at).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(crate) fn maybe_instant<S: Serializer>(at: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(text).serialize(serializer)
}

pub(crate) fn milliseconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    millis(*span).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(crate) fn maybe_milliseconds<S: Serializer>(
    span: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    span.map(millis).serialize(serializer)
}
