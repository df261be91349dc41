use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// The revision of an item: a hash that differs after every change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// Hashes the stored bytes of an item and the version of the program, which may represent them differently.
    pub fn from_bytes(stored: &[u8]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(&[0]);
        hasher.update(stored);
        Self(format!("{:032x}", hasher.digest128()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A condition on the revision of an item that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Accepts every revision.
    None,
    /// Accepts these revisions.
    AnyOf(Vec<String>),
}

impl Precondition {
    /// Reports whether it accepts a revision.
    pub fn holds(&self, revision: &Revision) -> bool {
        match self {
            Self::None => true,
            Self::AnyOf(revisions) => revisions.contains(&revision.0),
        }
    }
}

/// An item and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// The item.
    pub item: T,
    /// Its revision.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precondition_accepts_listed_revisions() {
        let (one, other) = (Revision::from_bytes(b"1"), Revision::from_bytes(b"2"));
        assert_ne!(one, other);
        assert_eq!(one, Revision::from_bytes(b"1"));
        assert!(Precondition::None.holds(&one));
        let condition = Precondition::AnyOf(vec![other.to_string(), "x".to_owned()]);
        assert!(condition.holds(&other) && !condition.holds(&one));
        assert!(!Precondition::AnyOf(Vec::new()).holds(&one));
    }
}
