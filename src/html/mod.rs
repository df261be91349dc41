//! Sanitizes the HTML of content: everything that the editor emits is kept, everything else is removed.
//!
//! A text is read once and written once, in time and memory proportional to its length. What is kept is listed in
//! `docs/content.md`.

use std::borrow::Cow;

/// The elements and attributes that are kept.
mod allow_list;
/// Allowed attribute values.
mod attribute_values;
/// Allowed declarations of styles.
mod css;
/// Character references.
mod references;
/// Counts removed elements and attributes.
mod removed;
/// Tokenizes HTML without building a tree.
mod tokenizer;
/// Writes balanced HTML.
mod writer;

/// The generated part of `docs/content.md`.
#[cfg(test)]
mod documentation;
/// The fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// The parser of html5ever, which the tests compare with.
#[cfg(any(test, fuzzing))]
mod oracle;
#[cfg(test)]
mod tests;

pub use removed::Removed;

/// The maximum depth of elements. For a tag, all elements around it may be searched.
const MAX_DEPTH: usize = 200;

/// A text may become longer by this many characters, or by a fifth, since elements are closed and attributes get
/// quotation marks.
const MAX_GROWTH: usize = 2000;

/// Sanitized HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// The HTML. Sanitizing it again changes nothing.
    pub html: String,
    /// The removed elements, then attributes, each in order of names.
    pub removed: Vec<Removed>,
}

/// The sanitized HTML would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The maximum number of characters.
    pub limit: usize,
}

/// Removes everything that is not allowed. A browser reads the result as it is meant: whatever the text was, its elements
/// are closed where they must be, and elements that are nested too deep are left out.
///
/// # Errors
/// Fails if the text has more than `limit` characters, or would have after it is sanitized, or if it would become longer
/// by more than a fifth and 2000 characters.
pub fn sanitize(html: &str, limit: usize) -> Result<Sanitized, TooLong> {
    let length = html.chars().count();
    let limit = limit.min(length + (length / 5).max(MAX_GROWTH));
    let too_long = TooLong { limit };
    if length > limit {
        return Err(too_long);
    }
    let html = normalize_line_breaks(html);
    // A character has up to four bytes.
    let (html, removed) = writer::Writer::new(&html, 4 * limit).write().ok_or(too_long)?;
    if html.chars().count() > limit {
        return Err(too_long);
    }
    Ok(Sanitized { html, removed })
}

/// Reports whether a word is listed. HTML and CSS do not distinguish the case of ASCII letters.
fn contains(words: &[&str], wanted: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(wanted))
}

/// Replaces carriage returns, as parsers do.
fn normalize_line_breaks(html: &str) -> Cow<'_, str> {
    if html.contains('\r') { html.replace("\r\n", "\n").replace('\r', "\n").into() } else { html.into() }
}
