use std::collections::BTreeMap;
use std::fmt;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::Tag;

use super::allow_list;
use super::tokenizer::{self, Piece};

/// The maximum length of a reported name.
const MAX_NAME_LENGTH: usize = 32;
/// Stands for names that are too long or not valid in a header.
const OTHER: &str = "other";

/// The number of removed elements or attributes of one name; displayed as `script;1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The name: ASCII letters, digits and `-_:.`; `comment` for comments.
    pub name: String,
    /// The number of removals.
    pub count: usize,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.name, self.count)
    }
}

/// Returns the elements and attributes that are in one text and not in the other. Attributes that were removed with their
/// element are not reported.
pub(super) fn difference(before: &str, after: &str) -> Vec<Removed> {
    let (before, after) = (Counts::new(before), Counts::new(after));
    let lost = |element: &str| {
        let has = before.elements.get(element).copied().unwrap_or_default();
        has.saturating_sub(after.elements.get(element).copied().unwrap_or_default())
    };
    let mut elements = BTreeMap::<String, usize>::new();
    for element in before.elements.keys() {
        *elements.entry(reported_name(element)).or_default() += lost(element);
    }
    let mut attributes = BTreeMap::<String, usize>::new();
    for (key, count) in &before.attributes {
        let (element, name, _) = key;
        let lost_values = count.saturating_sub(after.attributes.get(key).copied().unwrap_or_default());
        if lost(element) == 0 || !allow_list::allows_attribute(element, name) {
            *attributes.entry(reported_name(name)).or_default() += lost_values;
        }
    }
    let removed = elements.into_iter().chain(attributes);
    removed.filter(|(_, count)| *count > 0).map(|(name, count)| Removed { name, count }).collect()
}

fn reported_name(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b));
    if plain && name.len() <= MAX_NAME_LENGTH { name.to_owned() } else { OTHER.to_owned() }
}

#[derive(Default)]
struct Counts {
    elements: BTreeMap<String, usize>,
    /// By element, attribute and value, so that a shortened value counts as removed.
    attributes: BTreeMap<(String, String, StrTendril), usize>,
}

impl Counts {
    fn new(html: &str) -> Self {
        let mut counted = Self::default();
        tokenizer::each(html, |piece| match piece {
            Piece::Start(tag) => counted.add(tag),
            Piece::Comment => *counted.elements.entry("comment".to_owned()).or_default() += 1,
            Piece::End(_) | Piece::Text(_) => {}
        });
        counted
    }

    fn add(&mut self, tag: Tag) {
        let element = tag.name.to_string();
        if allow_list::allows(&element) {
            for attribute in tag.attrs {
                let name = attribute.name.local.to_string();
                // The sanitizer adds to these attributes and removes nothing.
                let extended = matches!(&*name, "rel" | "sandbox");
                let value = if extended { StrTendril::new() } else { attribute.value };
                *self.attributes.entry((element.clone(), name, value)).or_default() += 1;
            }
        }
        *self.elements.entry(element).or_default() += 1;
    }
}
