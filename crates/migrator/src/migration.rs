use std::fmt;

use async_trait::async_trait;

use crate::{Check, Error, Result, UndoImported, Up};

/// What is known of a migration before it runs. Made with [`Meta::new`], as a constant.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Meta {
    /// `NNNN_name`, the name of its file.
    pub id: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Ids of the migrations that have to be applied before.
    pub depends_on: &'static [&'static str],
    /// Variables that it reads; all pending ones are looked for before the first migration runs.
    pub requires_env: &'static [&'static str],
}

impl Meta {
    /// A migration that depends on nothing and reads no variable.
    pub const fn new(id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, depends_on: &[], requires_env: &[] }
    }

    /// Sets what has to be applied before.
    #[must_use]
    pub const fn after(mut self, ids: &'static [&'static str]) -> Self {
        self.depends_on = ids;
        self
    }

    /// Sets the variables that it reads.
    #[must_use]
    pub const fn requires_env(mut self, names: &'static [&'static str]) -> Self {
        self.requires_env = names;
        self
    }
}

/// Whether, and how, a migration is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// By the journal of its run: exactly what it changed.
    Journal,
    /// Not at all, for this reason.
    Irreversible(&'static str),
}

/// Something that does not hold although the migration is applied. It is told, not repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding(pub String);

impl Finding {
    /// A finding with this text. It names no secret and no personal data.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One migration.
///
/// It writes through the steps of [`Up`] only. These are idempotent and journalled, so that a run that was killed can
/// be run again, and an applied one can be taken back.
#[async_trait]
pub trait Migration: Send + Sync {
    /// Who it is.
    fn meta(&self) -> &'static Meta;

    /// Does it. May be run again after it was interrupted or failed, on what the earlier run left.
    async fn up(&self, cx: &mut Up<'_>) -> Result<()>;

    /// Whether it can be taken back. There is no default: whoever writes a migration has to say.
    fn undo(&self) -> Undo;

    /// Takes back a run of another tool, for which there is no journal. It is run twice: first only counting, so that
    /// the losses can be shown, then for real.
    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        let _ = cx;
        Err(Error::Irreversible {
            id: self.meta().id.into(),
            why: "it was applied by another tool, and it has no undo for that".into(),
        })
    }

    /// What does not hold although it should once this is applied. Never writes.
    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>>;
}
