use bson::DateTime;
use serde::Serialize;

/// The caller of an `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpMode {
    /// An operator, who has seen what failed: it is retried.
    Operator,
    /// A program that starts: what failed in an earlier run is reported, not retried.
    Start,
}

/// The target of an `up`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UpTarget {
    /// All pending migrations.
    #[default]
    All,
    /// This migration, by id or prefix, and its dependencies.
    To(String),
    /// This number of pending migrations, in order.
    Steps(usize),
}

/// The parameters of an `up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpRequest {
    /// The caller.
    pub mode: UpMode,
    /// The target.
    pub target: UpTarget,
    /// `true` to treat warnings as failures: a migration that leaves something out, or whose conditions do not hold.
    pub strict: bool,
}

impl From<UpMode> for UpRequest {
    /// Requests all pending migrations.
    fn from(mode: UpMode) -> Self {
        Self { mode, target: UpTarget::All, strict: false }
    }
}

impl From<UpTarget> for UpRequest {
    /// Requests migrations for an operator.
    fn from(target: UpTarget) -> Self {
        Self { mode: UpMode::Operator, target, strict: false }
    }
}

/// The target of a `down`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DownTarget {
    /// The last applied migration.
    #[default]
    Last,
    /// Everything applied that depends on this migration, given by id or prefix; the migration itself stays.
    To(String),
    /// This migration, given by id or prefix, and everything applied that depends on it.
    One(String),
    /// This number of migrations, last first.
    Steps(usize),
    /// Everything that one run applied, by run id or prefix, and everything applied that depends on it.
    Run(String),
    /// Everything.
    All,
}

/// The parameters of a `down`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownRequest {
    /// The target.
    pub target: DownTarget,
    /// `true` to accept what the plan shows: data loss, everything, or more than the run that was named.
    pub confirmed: bool,
}

impl From<DownTarget> for DownRequest {
    /// Requests a rollback without confirming it.
    fn from(target: DownTarget) -> Self {
        Self { target, confirmed: false }
    }
}

impl DownTarget {
    /// Requests a rollback and confirms what the plan shows.
    pub fn confirmed(self) -> DownRequest {
        DownRequest { target: self, confirmed: true }
    }
}

/// The state that a stamp records, without running anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// Applied, but not by this engine: there is no journal.
    Applied,
    /// Not applied.
    RolledBack,
}

/// An operator's decision about a migration that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// It was completed by hand: it is applied.
    Applied,
    /// It was rolled back by hand: it is not applied, and its journal is dropped.
    RolledBack,
    /// The next run resumes it, including at a start.
    Retry,
}

/// A filter for records of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryRequest {
    /// Only of this migration, by id or prefix.
    pub migration: Option<String>,
    /// Only of this run, by id or prefix.
    pub run: Option<String>,
    /// Not older than this time.
    pub since: Option<DateTime>,
    /// The maximum number of records, latest first; all if `None`.
    pub limit: Option<usize>,
    /// `true` to include records of progress.
    pub progress: bool,
}
