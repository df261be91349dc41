use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a second look; it may be right.
    Warning,
    /// It would fail, lose something, or break a promise.
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
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal,)+) => {
        /// A rule, by what it looks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $name,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its id.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// What it looks for.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rules! {
    /// The name does not say what it does.
    VagueName = "vague-name",
    /// The name joins two things with "and".
    TwoInName = "two-in-name",
    /// It has no summary.
    NoSummary = "no-summary",
    /// It does several things that have nothing to do with each other.
    SeveralConcerns = "several-concerns",
    /// It cannot be taken back, and says no reason.
    NoReason = "no-reason",
    /// It is to be taken back by a journal that it does not keep.
    NoJournal = "no-journal",
    /// It is to be taken back by code that it does not have.
    NoDown = "no-down",
    /// It reads a variable that it does not declare.
    UndeclaredVariable = "undeclared-variable",
    /// It does not say which collections it writes to.
    TouchesUnsaid = "touches-unsaid",
    /// It writes to a collection that it does not declare.
    TouchesMore = "touches-more",
    /// Two of its steps have the same name.
    RepeatedStep = "repeated-step",
    /// It changes the id of documents.
    ChangesId = "changes-id",
    /// It writes to the engine's own collections.
    EngineCollection = "engine-collection",
    /// It says that it only adds, and takes something away.
    ExpandTakesAway = "expand-takes-away",
    /// It says that it only adds, and forbids what was allowed.
    ExpandTightens = "expand-tightens",
    /// It says that it takes away, and only adds.
    ContractOnlyAdds = "contract-only-adds",
    /// It renames a field at once.
    RenameAtOnce = "rename-at-once",
    /// It ends a rename that nothing before it began.
    RenameWithoutCopy = "rename-without-copy",
    /// It makes or drops indexes or rules within a transaction.
    DefinesInTransaction = "defines-in-transaction",
    /// It changes whole collections within one transaction.
    WholeInTransaction = "whole-in-transaction",
    /// It uses a value that is another one each time.
    NotDeterministic = "not-deterministic",
    /// It reads the environment past the configuration.
    ProcessEnvironment = "process-environment",
    /// What it would do could not be looked at.
    NotForeseen = "not-foreseen",
    /// It changes more documents than one transaction takes.
    LargeTransaction = "large-transaction",
    /// It changes many documents and does not keep how far it has come.
    LargeWithoutBatches = "large-without-batches",
    /// It looks for documents of a large collection without an index.
    UnindexedFilter = "unindexed-filter",
    /// It names a collection that is not there.
    UnknownCollection = "unknown-collection",
    /// It copies into a collection that has documents.
    CopyOverExisting = "copy-over-existing",
    /// It makes an index that contradicts one that is there.
    IndexConflict = "index-conflict",
    /// It makes a unique index over documents that are not unique.
    UniqueOverDuplicates = "unique-over-duplicates",
    /// It makes an index on a field that no document has.
    IndexOnMissingField = "index-on-missing-field",
    /// It gives an indexed field a value of another type.
    IndexedTypeChange = "indexed-type-change",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
