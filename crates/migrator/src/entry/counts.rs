use std::fmt;

use bson::{Bson, Document, doc};
use serde::Serialize;

use super::fields::{integer, text};

/// The changes that one step made to one collection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StepCounts {
    /// The step's name.
    pub step: String,
    /// The collection.
    pub collection: String,
    /// Documents inserted.
    pub inserted: u64,
    /// Documents changed.
    pub updated: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Documents left unchanged: present already, or changed by others.
    pub left: u64,
}

impl StepCounts {
    pub(crate) fn new(step: &str, collection: &str) -> Self {
        Self { step: step.into(), collection: collection.into(), ..Self::default() }
    }

    /// Returns the index of a step's counts in a list, after adding them if there are none.
    pub(crate) fn index_of(list: &mut Vec<Self>, step: &str, collection: &str) -> usize {
        list.iter().position(|c| c.step == step && c.collection == collection).unwrap_or_else(|| {
            list.push(Self::new(step, collection));
            list.len() - 1
        })
    }

    /// Returns the number of documents that the step changed.
    pub(crate) fn changed(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    fn to_document(&self) -> Document {
        let Self { step, collection, inserted, updated, deleted, left } = self;
        let number = |n: &u64| i64::try_from(*n).unwrap_or(i64::MAX);
        doc! {
            "step": step, "collection": collection, "inserted": number(inserted), "updated": number(updated),
            "deleted": number(deleted), "left": number(left),
        }
    }

    pub(crate) fn from_document(document: &Document) -> Self {
        let number = |key| integer(document, key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Self {
            step: text(document, "step").unwrap_or_default(),
            collection: text(document, "collection").unwrap_or_default(),
            inserted: number("inserted"),
            updated: number("updated"),
            deleted: number("deleted"),
            left: number("left"),
        }
    }
}

impl fmt::Display for StepCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.step, self.collection)?;
        let parts = [
            (self.inserted, "inserted"),
            (self.updated, "changed"),
            (self.deleted, "deleted"),
            (self.left, "left as they are"),
        ];
        let texts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(&if texts.is_empty() { "nothing to do".to_owned() } else { texts.join(", ") })
    }
}

pub(crate) fn counts_to_bson(counts: &[StepCounts]) -> Bson {
    Bson::Array(counts.iter().map(|c| c.to_document().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_round_trip_through_the_ledger() {
        let mut counts = StepCounts::new("seed", "sections");
        (counts.inserted, counts.updated, counts.deleted, counts.left) = (1, 2, 3, 4);
        assert_eq!(StepCounts::from_document(&counts.to_document()), counts);
        assert_eq!(
            counts.to_string(),
            "seed (sections): 1 inserted, 2 changed, 3 deleted, 4 left as they are"
        );
        assert_eq!(StepCounts::new("a", "b").to_string(), "a (b): nothing to do");
    }
}
