use std::fmt;

use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Suspicious, but possibly right.
    Warning,
    /// Fails, loses data or breaks a guarantee.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident: $severity:ident = $id:literal,)+) => {
        /// A lint rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $name,)+
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the id of the rule.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// Returns the severity of its findings, unless a finding says otherwise.
            pub(super) fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)+
                }
            }
        }
    };
}

rules! {
    /// The name does not describe the change.
    VagueName: Warning = "vague-name",
    /// The name joins two changes with "and".
    TwoInName: Warning = "two-in-name",
    /// The summary is empty.
    NoSummary: Warning = "no-summary",
    /// The migration makes several unrelated changes.
    SeveralConcerns: Warning = "several-concerns",
    /// The migration is irreversible without a stated reason.
    NoReason: Error = "no-reason",
    /// The rollback needs a journal that the migration does not keep.
    NoJournal: Error = "no-journal",
    /// The rollback needs a `down` method that the migration does not have.
    NoDown: Error = "no-down",
    /// The migration reads a variable that it does not declare.
    UndeclaredVariable: Error = "undeclared-variable",
    /// The migration does not declare the collections that it writes to.
    TouchesUnsaid: Warning = "touches-unsaid",
    /// The migration writes to a collection that it does not declare.
    TouchesMore: Error = "touches-more",
    /// Two steps have the same name.
    RepeatedStep: Error = "repeated-step",
    /// A step changes the id of documents.
    ChangesId: Error = "changes-id",
    /// A step writes to the engine's own collections.
    EngineCollection: Error = "engine-collection",
    /// An expanding migration removes something.
    ExpandTakesAway: Error = "expand-takes-away",
    /// An expanding migration forbids what was allowed.
    ExpandTightens: Warning = "expand-tightens",
    /// A contracting migration only adds.
    ContractOnlyAdds: Warning = "contract-only-adds",
    /// A field is renamed in one migration.
    RenameAtOnce: Error = "rename-at-once",
    /// A rename ends that no earlier migration began.
    RenameWithoutCopy: Error = "rename-without-copy",
    /// A step creates or drops an index within a transaction.
    DefinesInTransaction: Error = "defines-in-transaction",
    /// A step changes a whole collection within one transaction.
    WholeInTransaction: Warning = "whole-in-transaction",
    /// The code uses a value that differs between attempts.
    NotDeterministic: Warning = "not-deterministic",
    /// The code reads the environment directly.
    ProcessEnvironment: Error = "process-environment",
    /// The dry run of the migration failed.
    NotForeseen: Warning = "not-foreseen",
    /// A step changes more documents than fit into one transaction.
    LargeTransaction: Error = "large-transaction",
    /// A step changes many documents without storing its progress.
    LargeWithoutBatches: Warning = "large-without-batches",
    /// A step searches a large collection without an index.
    UnindexedFilter: Warning = "unindexed-filter",
    /// A step names a collection that does not exist.
    UnknownCollection: Warning = "unknown-collection",
    /// A step copies into a collection that has documents.
    CopyOverExisting: Warning = "copy-over-existing",
    /// A step creates an index that conflicts with an existing one.
    IndexConflict: Error = "index-conflict",
    /// A step creates a unique index over duplicate documents.
    UniqueOverDuplicates: Error = "unique-over-duplicates",
    /// A step creates an index on a field that no document has.
    IndexOnMissingField: Warning = "index-on-missing-field",
    /// A step sets an indexed field to a value of another type.
    IndexedTypeChange: Warning = "indexed-type-change",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
