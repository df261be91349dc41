//! The HTML of content: what the editor emits is kept, everything else is removed. The text of an HTML document is the
//! only thing that is known here.

/// The allow-list.
mod allow_list;
/// Which values an attribute may have.
mod attribute_values;
/// What an element needs beside the allow-list.
mod postprocess;
/// What a cleaning removed.
mod removed;
/// HTML piece by piece, without a tree.
mod tokenizer;

#[cfg(test)]
mod tests;

pub use removed::Removed;

/// HTML is cleaned again until nothing changes any more, at most so often. What the editor emits is settled after the
/// first time, and a text that nests what cannot be nested after a few.
const PASSES: usize = 8;

/// Elements inside one another: the time that reading takes is in proportion to the length times the depth.
const MAX_DEPTH: usize = 100;

/// HTML that holds nothing but what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// The HTML. Cleaning it once more changes no byte of it.
    pub html: String,
    /// What was removed, elements first, each kind by name.
    pub removed: Vec<Removed>,
}

/// Removes what is not allowed. HTML that does not settle, or that is deeper than any text, is reduced to its text:
/// nothing but an attack is so.
pub fn sanitize(html: &str) -> Sanitized {
    let cleaned = settled(html).or_else(|| settled(&tokenizer::text(html))).unwrap_or_default();
    let removed = removed::difference(html, &cleaned);
    Sanitized { html: cleaned, removed }
}

/// HTML that another pass does not change. It is read by a browser as it was read here: a text whose meaning
/// changes from one reading to the next is how cleaning is got around.
fn settled(html: &str) -> Option<String> {
    let mut now = pass(html)?;
    for _ in 0..PASSES {
        let next = pass(&now)?;
        if next == now {
            return Some(now);
        }
        now = next;
    }
    None
}

fn pass(html: &str) -> Option<String> {
    (tokenizer::depth(html) <= MAX_DEPTH).then(|| postprocess::finish(&allow_list::apply(html)))
}
