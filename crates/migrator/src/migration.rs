use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::operation::Step;
use crate::{Check, Error, Result, UndoImported, Up};

/// How the writes of a migration are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All of it in one transaction, the ledger's entry included: it is applied as a whole or not at all. For few
    /// documents; needs a store with transactions.
    Transaction,
    /// Step by step. Each step finds out by itself what is still to be done, so that it can be run again.
    #[default]
    Idempotent,
    /// As `Idempotent`, but how far a step has come is kept with each batch, so that whoever resumes it goes on from
    /// there. For many documents.
    Batched,
}

/// What a migration does to programs that do not know it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It only adds. Programs from before it go on working.
    #[default]
    Expand,
    /// It takes away what programs from before it may need.
    Contract,
}

/// What is done about a migration whose runner died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The next runner goes on with it.
    #[default]
    Resume,
    /// Nothing, until an operator has decided.
    Manual,
}

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
    /// How its writes are made.
    pub mode: Mode,
    /// Whether it adds or takes away.
    pub phase: Phase,
    /// Whether programs that do not know it must not run once it is applied. [`Phase::Contract`] implies it.
    pub breaks_older: bool,
    /// The collections that it writes to, and those whose content decides what it writes. Empty: not said, so nothing
    /// can be concluded from it.
    pub touches: &'static [&'static str],
    /// Where it is run at all: in any of these contexts. Empty: everywhere.
    pub contexts: &'static [&'static str],
    /// What is done if its runner dies.
    pub on_interrupt: Recovery,
    /// For how long one attempt may run.
    pub time_limit: Option<Duration>,
    /// Whether what it changes is written down, so that it can be taken back exactly.
    pub journal: bool,
    /// Whether it may be applied after others that come later and do not depend on it, whatever they touch.
    pub out_of_order: bool,
}

impl Meta {
    /// A migration that depends on nothing and reads no variable.
    pub const fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            depends_on: &[],
            requires_env: &[],
            mode: Mode::Idempotent,
            phase: Phase::Expand,
            breaks_older: false,
            touches: &[],
            contexts: &[],
            on_interrupt: Recovery::Resume,
            time_limit: None,
            journal: true,
            out_of_order: false,
        }
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

    /// Sets how its writes are made.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether it adds or takes away.
    #[must_use]
    pub const fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// Says that programs that do not know it must not run once it is applied.
    #[must_use]
    pub const fn breaks_older(mut self) -> Self {
        self.breaks_older = true;
        self
    }

    /// Sets the collections that it writes to, and those whose content decides what it writes.
    #[must_use]
    pub const fn touches(mut self, collections: &'static [&'static str]) -> Self {
        self.touches = collections;
        self
    }

    /// Sets where it is run.
    #[must_use]
    pub const fn contexts(mut self, contexts: &'static [&'static str]) -> Self {
        self.contexts = contexts;
        self
    }

    /// Sets what is done if its runner dies.
    #[must_use]
    pub const fn on_interrupt(mut self, recovery: Recovery) -> Self {
        self.on_interrupt = recovery;
        self
    }

    /// Sets for how long one attempt may run.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Says that nothing is written down for an undo. Then [`Undo::Journal`] is refused.
    #[must_use]
    pub const fn without_journal(mut self) -> Self {
        self.journal = false;
        self
    }

    /// Says that its place among others that are applied does not matter.
    #[must_use]
    pub const fn allow_out_of_order(mut self) -> Self {
        self.out_of_order = true;
        self
    }

    /// Whether programs that do not know it must not run once it is applied.
    pub const fn is_breaking(&self) -> bool {
        self.breaks_older || matches!(self.phase, Phase::Contract)
    }
}

/// Whether, and how, a migration is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// By the journal of its run: exactly what it changed.
    Journal,
    /// By [`Migration::down`], whoever applied it.
    Code,
    /// Not at all, for this reason.
    Irreversible(&'static str),
}

/// Something that does not hold although the migration is applied. It is told, not repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

    /// The text of the file that it is in, for its checksum; see [`crate::Sourced`].
    fn source(&self) -> Option<&'static str> {
        None
    }

    /// What it does, as data, if it can be told so. Such a migration needs no [`Migration::up`].
    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }

    /// Does it. May be run again after it was interrupted or failed, on what the earlier run left. By default it
    /// carries out the steps.
    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.run(&self.steps()).await
    }

    /// Whether it can be taken back. There is no default: whoever writes a migration has to say.
    fn undo(&self) -> Undo;

    /// Takes it back, where [`Migration::undo`] says [`Undo::Code`]. May be run again after it was interrupted or failed,
    /// on what the earlier run left; its steps have other names than those of [`Migration::up`]. The journal of the run is
    /// dropped afterwards.
    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        let _ = cx;
        Err(Error::Irreversible {
            id: self.meta().id.into(),
            why: "it says that it is taken back by code, and has none".into(),
        })
    }

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
