//! Whether a migration still means what it meant when it was applied.
//!
//! A checksum is of meaning, not of bytes: of the declared steps as data; of code, its tokens, and those of the items
//! of its file that it names. Comments, formatting, the order of items, tests, the summary and the post-condition are
//! free. What it calls in other crates is not looked into. Each way, up and down, has its own, which begins with the
//! version of the rule that made it.

/// Cutting a file into items.
mod items;
/// The code of a migration.
mod source;
/// A migration with its file.
mod sourced;

use std::fmt;

use bson::Document;
use docstore::Update;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) use source::Code;
pub use sourced::Sourced;

use crate::{Migration, Step, Undo};

/// How the checksums of this program begin.
const VERSION: &str = "v1:";

/// The checksums of a migration; `None` where there is nothing to take one of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checksums {
    /// Of what `up` does.
    pub up: Option<String>,
    /// Of how it is taken back.
    pub down: Option<String>,
}

/// A migration that is not what it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChecksumDrift {
    /// Which.
    pub id: String,
    /// Whether `up` has changed.
    pub up: bool,
    /// Whether the way back has changed.
    pub down: bool,
}

impl fmt::Display for ChecksumDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.up, self.down) {
            (true, true) => "what it does and how it is taken back have",
            (true, false) => "what it does has",
            _ => "how it is taken back has",
        };
        write!(f, "{}: {what} changed since it was applied", self.id)
    }
}

impl Checksums {
    /// With what an entry of the ledger has.
    pub(crate) fn new(up: Option<String>, down: Option<String>) -> Self {
        Self { up, down }
    }

    /// Into an entry of the ledger.
    pub(crate) fn write(self, update: Update) -> Update {
        let sums = [("checksum_up", self.up), ("checksum_down", self.down)];
        sums.into_iter().fold(update, |update, (key, sum)| match sum {
            Some(sum) => update.set(key, sum),
            None => update.unset(key),
        })
    }

    /// What differs from what was written down when it was applied. Only what both sides have, made by the same rule,
    /// can be compared.
    pub fn drift(&self, id: &str, stored: &Self) -> Option<ChecksumDrift> {
        let differs = |now: &Option<String>, then: &Option<String>| match (now, then) {
            (Some(now), Some(then)) => then.starts_with(VERSION) && now != then,
            _ => false,
        };
        let (up, down) = (differs(&self.up, &stored.up), differs(&self.down, &stored.down));
        (up || down).then(|| ChecksumDrift { id: id.into(), up, down })
    }
}

/// The checksums of a migration as this program has it.
pub fn of(migration: &dyn Migration) -> Checksums {
    let code = migration.source().and_then(Code::read);
    let steps = migration.steps();
    let mut up = Parts::default();
    for step in &steps {
        up.document(&step.to_document());
    }
    if let Some(code) = &code {
        if steps.iter().any(Step::is_opaque) {
            up.lines(&code.reach("steps"));
        }
        if code.has("up") {
            up.lines(&code.reach("up"));
        }
    }
    let mut down = Parts::default();
    match migration.undo() {
        Undo::Journal => down.text("journal"),
        Undo::Irreversible(_) => down.text("irreversible"),
        Undo::Code => down.text("code"),
    }
    if let Some(code) = &code {
        for method in ["down", "undo_imported"] {
            if code.has(method) {
                down.lines(&code.reach(method));
            }
        }
    }
    Checksums::new(up.checksum(), down.checksum())
}

/// What goes into a checksum: each part with its length before it, so that no two lists run into one.
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

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.text(line);
        }
    }

    fn document(&mut self, document: &Document) {
        // A document that cannot be written cannot be carried out either.
        self.bytes(&bson::serialize_to_vec(document).unwrap_or_default());
    }

    fn checksum(self) -> Option<String> {
        use std::fmt::Write as _;

        self.any.then(|| {
            self.hash.finalize().iter().fold(VERSION.to_owned(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        })
    }
}
