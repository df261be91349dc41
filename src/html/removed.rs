use std::collections::BTreeMap;
use std::fmt;

/// The maximum length of a reported name.
const MAX_NAME_LENGTH: usize = 32;
/// The number of different names that are counted by name.
const MAX_NAMES: usize = 100;
/// Stands for names that are too long, not valid in a header, or too many.
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

/// Counts what is removed. Attributes that are removed with their element are not counted.
#[derive(Debug, Default)]
pub(super) struct Removals {
    elements: BTreeMap<String, usize>,
    attributes: BTreeMap<String, usize>,
}

impl Removals {
    pub(super) fn element(&mut self, name: &str) {
        count(&mut self.elements, name);
    }

    pub(super) fn attribute(&mut self, name: &str) {
        count(&mut self.attributes, name);
    }

    /// Returns the elements, then the attributes, each in order of names.
    pub(super) fn into_list(self) -> Vec<Removed> {
        let all = self.elements.into_iter().chain(self.attributes);
        all.map(|(name, count)| Removed { name, count }).collect()
    }
}

fn count(counts: &mut BTreeMap<String, usize>, name: &str) {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b));
    let name = if plain && name.len() <= MAX_NAME_LENGTH { name } else { OTHER };
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < MAX_NAMES {
        counts.insert(name.to_owned(), 1);
    } else {
        *counts.entry(OTHER.to_owned()).or_default() += 1;
    }
}
