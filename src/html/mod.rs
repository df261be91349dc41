//! Sanitizes the HTML of content: everything that the editor emits is kept, everything else is removed.

/// The allow-list.
mod allow_list;
/// Allowed attribute values.
mod attribute_values;
/// Rules beyond the allow-list.
mod postprocess;
/// Reports removed elements and attributes.
mod removed;
/// Tokenizes HTML without building a tree.
mod tokenizer;

#[cfg(test)]
mod tests;

pub use removed::Removed;

/// The maximum number of passes until the output is stable. The editor's HTML is stable after one pass, invalid nesting
/// after a few.
const MAX_PASSES: usize = 8;

/// The maximum depth of elements. The time to parse is proportional to the length times the depth.
const MAX_DEPTH: usize = 100;

/// Sanitized HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// The HTML. Sanitizing it again changes nothing.
    pub html: String,
    /// The removed elements, then attributes, each in order of names.
    pub removed: Vec<Removed>,
}

/// Removes everything that is not allowed. HTML that does not become stable or is too deep can only be an attack, and is
/// reduced to its text.
pub fn sanitize(html: &str) -> Sanitized {
    let cleaned = stabilize(html).or_else(|| stabilize(&tokenizer::text(html))).unwrap_or_default();
    let removed = removed::difference(html, &cleaned);
    Sanitized { html: cleaned, removed }
}

/// Repeats passes until one changes nothing. A browser parses stable HTML as it was parsed here; attacks on sanitizers
/// rely on HTML whose meaning changes when it is parsed again.
fn stabilize(html: &str) -> Option<String> {
    let mut current = pass(html)?;
    for _ in 0..MAX_PASSES {
        let next = pass(&current)?;
        if next == current {
            return Some(current);
        }
        current = next;
    }
    None
}

fn pass(html: &str) -> Option<String> {
    (tokenizer::depth(html) <= MAX_DEPTH).then(|| postprocess::finish(&allow_list::apply(html)))
}
