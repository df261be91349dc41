use std::fmt;

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};

/// The changes that one step made to one collection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
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

    /// Parses the counts of a step. Fields may be missing.
    pub(crate) fn from_document(document: &Document) -> Self {
        bson::deserialize_from_document(document.clone()).unwrap_or_default()
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
    bson::serialize_to_bson(counts).expect("counts are texts and numbers")
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn counts_round_trip_through_the_ledger() {
        let mut counts = StepCounts::new("seed", "sections");
        (counts.inserted, counts.updated, counts.deleted, counts.left) = (1, 2, 3, 4);
        let stored = counts_to_bson(std::slice::from_ref(&counts));
        let expected = doc! {
            "step": "seed", "collection": "sections", "inserted": 1_i64, "updated": 2_i64, "deleted": 3_i64, "left": 4_i64,
        };
        assert_eq!(stored, Bson::Array(vec![expected.clone().into()]));
        assert_eq!(StepCounts::from_document(&expected), counts);
        assert_eq!(StepCounts::from_document(&doc! { "step": "seed", "inserted": 1 }).inserted, 1);
        assert_eq!(
            counts.to_string(),
            "seed (sections): 1 inserted, 2 changed, 3 deleted, 4 left as they are"
        );
        assert_eq!(StepCounts::new("a", "b").to_string(), "a (b): nothing to do");
    }
}
