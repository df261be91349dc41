use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Which state of an item it is: different after every change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The revision of a state, by 128 bits of a hash of it. What is shown of a state may be different in another
    /// version of the program, so that counts too.
    pub fn from_bytes(state: &[u8]) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, env!("CARGO_PKG_VERSION"), state).hash(&mut hasher);
            hasher.finish()
        };
        Self(format!("{:016x}{:016x}", half(0), half(1)))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In which state an item has to be for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// In any.
    None,
    /// In one of these, by their names.
    AnyOf(Vec<String>),
}

impl Precondition {
    /// Whether an item of this revision may be changed.
    pub fn holds(&self, revision: &Revision) -> bool {
        match self {
            Self::None => true,
            Self::AnyOf(names) => names.contains(&revision.0),
        }
    }
}

/// An item, and which state of it this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// The item.
    pub item: T,
    /// Its state.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_states() {
        let (one, other) = (Revision::from_bytes(b"1"), Revision::from_bytes(b"2"));
        assert_ne!(one, other);
        assert_eq!(one, Revision::from_bytes(b"1"));
        assert!(Precondition::None.holds(&one));
        let condition = Precondition::AnyOf(vec![other.to_string(), "x".to_owned()]);
        assert!(condition.holds(&other) && !condition.holds(&one));
        assert!(!Precondition::AnyOf(Vec::new()).holds(&one));
    }
}
