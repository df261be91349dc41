use std::fmt;

use bson::oid::ObjectId;
use twox_hash::XxHash3_128;

/// The id of a document, written as 24 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(ObjectId);

/// A text that is not 24 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid id: must be 24 hexadecimal digits")]
pub struct InvalidId;

impl Id {
    /// Parses 24 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`InvalidId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        ObjectId::parse_str(text).map(Self).map_err(|_| InvalidId)
    }

    /// Returns the stored form.
    pub fn object_id(self) -> ObjectId {
        self.0
    }
}

impl From<ObjectId> for Id {
    fn from(id: ObjectId) -> Self {
        Self(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

/// The revision of an item: a hash that differs after every change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub(super) String);

impl Revision {
    /// Hashes the stored bytes of an item and the version of the program, which may represent them differently.
    pub fn from_bytes(stored: &[u8]) -> Self {
        let mut hasher = XxHash3_128::new();
        hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.write(&[0]);
        hasher.write(stored);
        Self(format!("{:032x}", hasher.finish_128()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_24_hexadecimal_digits_of_either_case() {
        let id = Id::parse("65A0B1C2D3E4F50617283940").unwrap();
        assert_eq!(id.to_string(), "65a0b1c2d3e4f50617283940");
        for bad in [
            "",
            "zzz",
            "65a0b1c2d3e4f5061728394",
            "65a0b1c2d3e4f506172839400",
            "65a0b1c2d3e4f5061728394g",
            "é5a0b1c2d3e4f5061728394",
        ] {
            assert_eq!(Id::parse(bad), Err(InvalidId), "{bad:?}");
        }
    }
}
