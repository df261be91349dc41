use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::step::Step;
use crate::{Check, Error, Result, UndoImported, Up};

/// The batching of a migration's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One transaction for the whole migration, including its entry in the ledger: it is applied entirely or not at all.
    /// Changes at most 10,000 documents, changes no index, and needs a store with transactions.
    Transaction,
    /// Step by step. A resumed run starts each step over, and the step skips what is already done.
    #[default]
    Idempotent,
    /// Step by step, and the position within a step is stored with each batch: a resumed run continues there. For
    /// collections with many documents.
    Batched,
}

/// The effect of a migration on programs from before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Only adds: older programs continue to work.
    #[default]
    Expand,
    /// Removes what older programs may need. Ship it one release after the program stopped using what it removes.
    Contract,
}

/// The treatment of a migration whose run was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The next run resumes it.
    #[default]
    Resume,
    /// No run touches it until an operator decides with `repair`.
    Manual,
}

/// The static description of a migration. Create it with [`Meta::new`], as a constant.
///
/// ```
/// use migrator::{Meta, Mode, Phase};
///
/// const META: Meta = Meta::new("0007_drop_legacy_tags", "drop the field `tags` of stories")
///     .after(&["0006_copy_tags"])
///     .mode(Mode::Batched)
///     .phase(Phase::Contract)
///     .touches(&["stories"]);
/// # assert!(META.is_breaking());
/// ```
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Meta {
    /// The id: `NNNN_name`, the name of the file without its leading `m`.
    #[serde(skip)]
    pub id: &'static str,
    /// A summary in one line.
    pub summary: &'static str,
    /// The ids of the migrations that must be applied before.
    pub depends_on: &'static [&'static str],
    /// The environment variables that it reads. A run checks those of all pending migrations before it writes anything.
    pub requires_env: &'static [&'static str],
    /// The mode, which determines how writes are batched.
    pub mode: Mode,
    /// The phase: expand or contract.
    pub phase: Phase,
    /// True if programs that do not know it must refuse to start once it is applied. [`Phase::Contract`] implies it.
    pub breaks_older: bool,
    /// The collections that it writes to, and those whose content decides what it writes. If empty, it may touch any.
    pub touches: &'static [&'static str],
    /// The contexts in which it runs, such as `production`. If empty, it runs everywhere.
    pub contexts: &'static [&'static str],
    /// The treatment after its run was killed.
    pub on_interrupt: Recovery,
    /// The longest duration of one attempt.
    #[serde(rename = "time_limit_ms", serialize_with = "crate::serialize::maybe_milliseconds")]
    pub time_limit: Option<Duration>,
    /// True if its changes are journaled, so that it can be rolled back exactly.
    pub journal: bool,
    /// True if it may be applied after later migrations that do not depend on it, whatever they touch.
    pub out_of_order: bool,
    /// Checksums of earlier versions with the same effect, for example with other messages.
    #[serde(skip)]
    pub former_checksums: &'static [&'static str],
}

impl Meta {
    /// Creates the description of a migration without dependencies, in [`Mode::Idempotent`] and [`Phase::Expand`].
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
            former_checksums: &[],
        }
    }

    /// Returns true if programs that do not know it must refuse to start once it is applied.
    pub const fn is_breaking(&self) -> bool {
        self.breaks_older || matches!(self.phase, Phase::Contract)
    }
}

/// Builder methods: each sets one field of [`Meta`].
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty)?) $set:ident = $value:expr;)+) => {
        impl Meta {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(mut self $(, $field: $type)?) -> Self {
                self.$set = $value;
                self
            })+
        }
    };
}

setters! {
    /// Sets the migrations that must be applied before.
    after(ids: &'static [&'static str]) depends_on = ids;
    /// Sets the environment variables that it reads.
    requires_env(names: &'static [&'static str]) requires_env = names;
    /// Sets how its writes are batched.
    mode(mode: Mode) mode = mode;
    /// Sets whether it expands or contracts.
    phase(phase: Phase) phase = phase;
    /// Makes programs that do not know it refuse to start once it is applied.
    breaks_older() breaks_older = true;
    /// Sets the collections that it writes to, and those whose content decides what it writes.
    touches(collections: &'static [&'static str]) touches = collections;
    /// Sets the contexts in which it runs.
    contexts(contexts: &'static [&'static str]) contexts = contexts;
    /// Sets the treatment after its run was killed.
    on_interrupt(recovery: Recovery) on_interrupt = recovery;
    /// Sets the longest duration of one attempt.
    time_limit(limit: Duration) time_limit = Some(limit);
    /// Writes no journal. [`Undo::Journal`] is then refused.
    without_journal() journal = false;
    /// Allows it to be applied after later migrations that do not depend on it.
    allow_out_of_order() out_of_order = true;
    /// Accepts a database that an earlier version with these checksums migrated. The effect must be the same.
    former_checksums(checksums: &'static [&'static str]) former_checksums = checksums;
}

/// The kind of rollback of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// By the journal of its run: exactly what it changed.
    Journal,
    /// By [`Migration::down`], whether this engine or another tool applied it.
    Code,
    /// Not at all, for this reason.
    Irreversible(&'static str),
}

/// A field that holds the ids of other documents, as such or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The collection of the field.
    pub collection: &'static str,
    /// The field.
    pub field: &'static str,
}

impl Reference {
    /// Names a field of a collection.
    pub const fn new(collection: &'static str, field: &'static str) -> Self {
        Self { collection, field }
    }
}

/// A violated post-condition of an applied migration. It is reported, not repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding(pub String);

impl Finding {
    /// Creates a finding. The text must contain no secret and no personal data.
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
/// Declare [`Migration::steps`] if the change can be expressed as data; otherwise write [`Migration::up`]. Either way all
/// writes are steps: they are idempotent and journaled, so that a killed run can be resumed and an applied migration rolled
/// back.
#[async_trait]
pub trait Migration: Send + Sync {
    /// Returns the static description.
    fn meta(&self) -> &'static Meta;

    /// Returns the text of the migration's source file, for its checksum; see [`crate::Sourced`].
    fn source(&self) -> Option<&'static str> {
        None
    }

    /// Returns the declared steps.
    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }

    /// Applies the migration; by default, performs the declared steps.
    ///
    /// It may run again on the result of an attempt that was interrupted or failed.
    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.run(&self.steps()).await
    }

    /// Returns how the migration is rolled back. There is no default: the author must decide.
    fn undo(&self) -> Undo;

    /// Returns the fields that may refer to documents which this migration inserts. A rollback by the journal deletes these
    /// documents; if others refer to them, it counts as a loss of data.
    fn references(&self) -> &'static [Reference] {
        &[]
    }

    /// Rolls back a migration with [`Undo::Code`]. The journal of its run is then removed.
    ///
    /// It may run again on the result of an attempt that was interrupted or failed. Its steps have other names than those
    /// of [`Migration::up`].
    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        let _ = cx;
        Err(Error::Irreversible {
            id: self.meta().id.into(),
            why: "it declares `Undo::Code` but implements no `down`".into(),
        })
    }

    /// Rolls back a run of another tool, for which there is no journal. It runs twice: first only counting, so that the
    /// operator sees the losses, then writing.
    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        let _ = cx;
        Err(Error::Irreversible {
            id: self.meta().id.into(),
            why: "another tool applied it, and it does not implement `undo_imported`".into(),
        })
    }

    /// Checks the post-condition. Called after `up` and by `field-notes migrate verify`; only reads.
    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>>;
}
