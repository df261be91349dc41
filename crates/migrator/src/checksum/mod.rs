//! Detects applied migrations whose meaning has changed since.
//!
//! A checksum covers what a migration does: declared steps as data; of code, the tokens of the method and of the items of
//! its file that the method names. Comments, formatting, the order of items, tests, the summary and the post-condition are
//! not covered, and neither is code in other crates. `up` and `down` have separate checksums, which begin with the version
//! of the algorithm.

/// The source code of a migration.
mod source;
/// A migration with its source file.
mod sourced;

use std::fmt;

use docstore::Update;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) use source::Code;
pub use sourced::Sourced;

use crate::{Migration, Step, Undo};

/// The version of the algorithm, with which each checksum begins.
const VERSION: &str = "v1:";

/// The checksums of a migration; `None` where there is nothing to cover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checksums {
    /// The checksum of `up`.
    pub up: Option<String>,
    /// The checksum of the rollback.
    pub down: Option<String>,
}

/// A migration that has changed since it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecksumDrift {
    /// The migration.
    pub id: String,
    /// True if `up` has changed.
    pub up: bool,
    /// True if the rollback has changed.
    pub down: bool,
}

impl fmt::Display for ChecksumDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.up, self.down) {
            (true, true) => "up and rollback have",
            (true, false) => "up has",
            _ => "the rollback has",
        };
        write!(f, "{}: {what} changed since the migration was applied", self.id)
    }
}

impl Checksums {
    /// Writes the checksums to an entry of the ledger.
    pub(crate) fn write(self, update: Update) -> Update {
        let sums = [("checksum_up", self.up), ("checksum_down", self.down)];
        sums.into_iter().fold(update, |update, (key, sum)| match sum {
            Some(sum) => update.set(key, sum),
            None => update.unset(key),
        })
    }
}

/// Compares a migration with the checksums from when it was applied. A checksum that is missing on one side, or was made
/// by another version of the algorithm, counts as equal, and so does one that the migration's
/// [`Meta`](crate::Meta::former_checksums) lists.
pub(crate) fn drift(migration: &dyn Migration, stored: &Checksums) -> Option<ChecksumDrift> {
    let (current, meta) = (compute(migration), migration.meta());
    let differs = |current: &Option<String>, stored: &Option<String>| match (current, stored) {
        (Some(current), Some(stored)) => {
            let is_former = meta.former_checksums.contains(&stored.as_str());
            stored.starts_with(VERSION) && current != stored && !is_former
        }
        _ => false,
    };
    let (up, down) = (differs(&current.up, &stored.up), differs(&current.down, &stored.down));
    (up || down).then(|| ChecksumDrift { id: meta.id.into(), up, down })
}

/// Computes the checksums of a migration.
pub fn compute(migration: &dyn Migration) -> Checksums {
    let steps = migration.steps();
    let encode = |step: &Step| bson::serialize_to_vec(&step.to_document());
    let encoded = steps.iter().map(encode).collect::<Result<_, _>>();
    let mut up: Vec<Vec<u8>> = encoded.expect("a step is made of values that can be encoded");
    let mut down = vec![match migration.undo() {
        Undo::Journal => b"journal".to_vec(),
        Undo::Irreversible(_) => b"irreversible".to_vec(),
        Undo::Code => b"code".to_vec(),
    }];
    if let Some(code) = migration.source().and_then(Code::read) {
        let lines = |method| code.reach(method).into_iter().map(String::into_bytes);
        if steps.iter().any(|step| step.operation.is_opaque()) {
            up.extend(lines("steps"));
        }
        if code.has("up") {
            up.extend(lines("up"));
        }
        for method in ["down", "undo_imported"].into_iter().filter(|method| code.has(method)) {
            down.extend(lines(method));
        }
    }
    Checksums { up: sum(&up), down: sum(&down) }
}

/// Returns the checksum of parts, if there are any. Each is preceded by its length, so that different lists differ.
fn sum(parts: &[Vec<u8>]) -> Option<String> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    (!parts.is_empty()).then(|| format!("{VERSION}{}", hex::encode(hash.finalize())))
}
