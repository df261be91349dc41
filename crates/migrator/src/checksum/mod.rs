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

use crate::{Migration, Undo};

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
    pub(crate) fn new(up: Option<String>, down: Option<String>) -> Self {
        Self { up, down }
    }

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
    let code = migration.source().and_then(Code::read);
    let steps = migration.steps();
    let mut up = Parts::default();
    for step in &steps {
        let document = bson::serialize_to_vec(&step.to_document());
        up.bytes(&document.expect("a step is made of values that can be encoded"));
    }
    if let Some(code) = &code {
        if steps.iter().any(|step| step.operation.is_opaque()) {
            up.lines(&code.reach("steps"));
        }
        if code.has("up") {
            up.lines(&code.reach("up"));
        }
    }
    let mut down = Parts::default();
    down.bytes(match migration.undo() {
        Undo::Journal => b"journal",
        Undo::Irreversible(_) => b"irreversible",
        Undo::Code => b"code",
    });
    if let Some(code) = &code {
        for method in ["down", "undo_imported"] {
            if code.has(method) {
                down.lines(&code.reach(method));
            }
        }
    }
    Checksums::new(up.checksum(), down.checksum())
}

/// The input of a checksum. Each part is preceded by its length, so that different lists of parts differ.
#[derive(Default)]
struct Parts {
    hash: Sha256,
    any: bool,
}

impl Parts {
    fn bytes(&mut self, bytes: &[u8]) {
        self.any = true;
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.bytes(line.as_bytes());
        }
    }

    fn checksum(self) -> Option<String> {
        self.any.then(|| format!("{VERSION}{}", hex::encode(self.hash.finalize())))
    }
}
