//! The fuzz target of the sanitizer.

use super::oracle::{self, dangers, is_read_as_written};
use super::{MAX_GROWTH, Sanitized, TooLong, normalize_line_breaks};

const LIMIT: usize = 100_000;
/// The maximum number of names that are reported: for elements and for attributes each a hundred, and all others.
const MAX_REMOVED: usize = 2 * 101;

/// Sanitizes a text. A browser executes nothing of the result and reads it as it is written, the result is bounded, and
/// it is unchanged when it is sanitized again.
pub fn sanitizer(data: &[u8]) {
    let html = String::from_utf8_lossy(data);
    let normalized = normalize_line_breaks(&html);
    assert_eq!(oracle::markup(&normalized), oracle::own_markup(&normalized), "tokens of {html:?}");
    let length = html.chars().count();
    let Sanitized { html: once, removed } = match super::sanitize(&html, LIMIT) {
        Ok(sanitized) => sanitized,
        Err(TooLong { limit }) => {
            return assert_eq!(limit, LIMIT.min(length + (length / 5).max(MAX_GROWTH)), "{html:?}");
        }
    };
    assert_eq!(dangers(&once), Vec::<String>::new(), "{html:?} became {once:?}");
    assert!(is_read_as_written(&once), "{html:?} became {once:?}");
    let grown = once.chars().count();
    assert!(grown <= LIMIT.min(length + (length / 5).max(MAX_GROWTH)), "{html:?} grew to {grown}");
    assert!(removed.len() <= MAX_REMOVED, "{} names", removed.len());
    let twice = super::sanitize(&once, LIMIT).expect("what was stored is accepted again");
    assert_eq!(twice, Sanitized { html: once.clone(), removed: Vec::new() }, "{html:?}");
    // A limit rejects a text, or changes nothing.
    let needed = length.max(grown);
    assert_eq!(super::sanitize(&html, needed).map(|sanitized| sanitized.html), Ok(once), "{html:?}");
    if let Some(limit) = needed.checked_sub(1) {
        assert_eq!(super::sanitize(&html, limit), Err(TooLong { limit }), "{html:?}");
    }
}
