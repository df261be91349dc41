use std::collections::BTreeMap;
use std::fmt;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::Tag;

use super::allow_list;
use super::tokenizer::{self, Piece};

/// Names longer than this are nothing that anybody would know.
const LONGEST: usize = 32;
/// What names that are too long, or that no header could hold, are called together.
const OTHER: &str = "other";

/// Elements or attributes of one name that were removed; `script;1` in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The name of the element or attribute: ASCII letters, digits and `-_:.`; `comment` for comments.
    pub name: String,
    /// How many.
    pub count: usize,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.name, self.count)
    }
}

/// What one text holds and another does not. Of attributes, those of elements that could stay are named, and not
/// those that went with an element.
pub(super) fn difference(before: &str, after: &str) -> Vec<Removed> {
    let (before, after) = (Counted::of(before), Counted::of(after));
    let lost = |element: &str| {
        let has = before.elements.get(element).copied().unwrap_or_default();
        has.saturating_sub(after.elements.get(element).copied().unwrap_or_default())
    };
    let mut elements = BTreeMap::<String, usize>::new();
    for element in before.elements.keys() {
        *elements.entry(shown(element)).or_default() += lost(element);
    }
    let mut attributes = BTreeMap::<String, usize>::new();
    for (key, count) in &before.attributes {
        let (element, name, _) = key;
        let gone = count.saturating_sub(after.attributes.get(key).copied().unwrap_or_default());
        if lost(element) == 0 || !allow_list::allows_attribute(element, name) {
            *attributes.entry(shown(name)).or_default() += gone;
        }
    }
    let removed = elements.into_iter().chain(attributes);
    removed.filter(|(_, count)| *count > 0).map(|(name, count)| Removed { name, count }).collect()
}

fn shown(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b));
    if plain && name.len() <= LONGEST { name.to_owned() } else { OTHER.to_owned() }
}

#[derive(Default)]
struct Counted {
    elements: BTreeMap<String, usize>,
    /// By element, attribute and value, so that a value of which a part went counts too.
    attributes: BTreeMap<(String, String, StrTendril), usize>,
}

impl Counted {
    fn of(html: &str) -> Self {
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
                // These are added to, which takes nothing away.
                let added_to = matches!(&*name, "rel" | "sandbox");
                let value = if added_to { StrTendril::new() } else { attribute.value };
                *self.attributes.entry((element.clone(), name, value)).or_default() += 1;
            }
        }
        *self.elements.entry(element).or_default() += 1;
    }
}
