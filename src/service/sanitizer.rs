use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Error;
use crate::domain::MAX_CONTENT_LENGTH;
use crate::html::{self, Removed, Sanitized};

/// One permit for each processor. Sanitizing 100,000 characters takes milliseconds of one.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, NonZero::get)));

/// The longest content, in bytes, that is sanitized on the calling thread: at worst for less than a millisecond.
const SHORT: usize = 8 * 1024;

/// HTML that another program stored, if it is not as this one would have stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsanitized {
    /// The names and numbers of what is not allowed. HTML of which nothing is removed can still be parsed otherwise than
    /// its author meant, and is then written again in canonical form.
    pub removed: String,
    /// The sanitized HTML; `None` if it would be too long.
    pub html: Option<String>,
}

impl Unsanitized {
    /// Sanitizes stored HTML; returns `None` if that changes nothing.
    pub fn check(stored: &str) -> Option<Self> {
        match html::sanitize(stored, max_length()) {
            Ok(Sanitized { html, .. }) if html == stored => None,
            Ok(Sanitized { html, removed }) => {
                let removed = removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                // An item always has some content.
                let html = if html.is_empty() { "<p></p>".to_owned() } else { html };
                Some(Self { removed, html: Some(html) })
            }
            Err(_) => Some(Self { removed: String::new(), html: None }),
        }
    }
}

fn max_length() -> usize {
    usize::try_from(MAX_CONTENT_LENGTH).expect("the limit is small")
}

/// Sanitizes HTML content for a caller who may write it, on a thread of its own if it is long. Fails if it is too long or
/// if nothing of it remains.
pub(super) async fn sanitize(content: String) -> Result<Sanitized, Error> {
    let limit = max_length();
    let sanitized = if content.len() <= SHORT {
        html::sanitize(&content, limit)
    } else {
        let permit = PERMITS.acquire().await.expect("the semaphore is never closed");
        let sanitized = spawn_blocking(move || {
            let _permit = permit;
            html::sanitize(&content, limit)
        });
        sanitized.await.expect("sanitizing does not panic")
    };
    let invalid = |expected| Error::InvalidField { field: "content", expected };
    let sanitized = sanitized.map_err(|too_long| {
        invalid(format!(
            "must contain at most {} characters after it is sanitized: close elements and quote attributes",
            too_long.limit
        ))
    })?;
    if sanitized.html.is_empty() {
        return Err(invalid("must contain something other than removed elements".into()));
    }
    Ok(sanitized)
}

/// Sanitizes the HTML content of a patch, if it has any.
pub(super) async fn sanitize_patch(content: &mut Option<String>) -> Result<Vec<Removed>, Error> {
    let Some(text) = content.take() else { return Ok(Vec::new()) };
    let Sanitized { html, removed } = sanitize(text).await?;
    *content = Some(html);
    Ok(removed)
}
