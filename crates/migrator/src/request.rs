use bson::DateTime;
use serde::Serialize;

/// Who asks for an `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpMode {
    /// A person, who has seen what failed: it is retried.
    Operator,
    /// A program that starts: what failed in an earlier run is told, not retried.
    Start,
}

/// How far an `up` goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UpTarget {
    /// All that is pending.
    #[default]
    All,
    /// This one, by its id or the beginning of it, and what it depends on.
    To(String),
    /// So many of those that are pending, in order.
    Steps(usize),
}

/// How an `up` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpRequest {
    /// Who asks.
    pub mode: UpMode,
    /// How far it goes.
    pub target: UpTarget,
    /// Whether a migration that leaves something out, or whose condition does not hold afterwards, has failed.
    pub strict: bool,
}

impl UpRequest {
    /// All that is pending.
    pub const fn all(mode: UpMode) -> Self {
        Self { mode, target: UpTarget::All, strict: false }
    }

    /// A person asks for one migration and what it depends on.
    pub fn to(id: impl Into<String>) -> Self {
        Self { target: UpTarget::To(id.into()), ..Self::all(UpMode::Operator) }
    }

    /// A person asks for so many.
    pub const fn steps(n: usize) -> Self {
        Self { mode: UpMode::Operator, target: UpTarget::Steps(n), strict: false }
    }

    /// Takes warnings for failures.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}

impl From<UpMode> for UpRequest {
    fn from(mode: UpMode) -> Self {
        Self::all(mode)
    }
}

impl From<&UpRequest> for UpRequest {
    fn from(request: &UpRequest) -> Self {
        request.clone()
    }
}

/// How far a `down` goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DownTarget {
    /// One: the last applied.
    #[default]
    Last,
    /// Whatever is applied that depends on this one, by its id or the beginning of it; it stays itself.
    To(String),
    /// So many, one after the other.
    Steps(usize),
    /// What one run applied, by its id or the beginning of it, with whatever is applied that depends on that.
    Run(String),
    /// Everything.
    All,
}

/// How a `down` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownRequest {
    /// How far it goes.
    pub target: DownTarget,
    /// Whether what the plan shows is accepted: losses, all of it, more than the run that was named.
    pub confirmed: bool,
}

impl DownRequest {
    /// The last applied.
    pub const fn last() -> Self {
        Self { target: DownTarget::Last, confirmed: false }
    }

    /// Whatever depends on this one.
    pub fn to(id: impl Into<String>) -> Self {
        Self { target: DownTarget::To(id.into()), confirmed: false }
    }

    /// So many.
    pub const fn steps(n: usize) -> Self {
        Self { target: DownTarget::Steps(n), confirmed: false }
    }

    /// What one run applied.
    pub fn run(id: impl Into<String>) -> Self {
        Self { target: DownTarget::Run(id.into()), confirmed: false }
    }

    /// Everything.
    pub const fn all() -> Self {
        Self { target: DownTarget::All, confirmed: false }
    }

    /// Accepts what the plan shows.
    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }
}

impl From<&DownRequest> for DownRequest {
    fn from(request: &DownRequest) -> Self {
        request.clone()
    }
}

/// What the ledger is told to say of a migration, without running anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// It is applied, though not by us: there is no journal.
    Applied,
    /// It is not applied.
    RolledBack,
}

/// What an operator decided about a migration that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// The rest was done by hand: it is applied.
    Applied,
    /// What it did was taken back by hand: it is not applied, and its journal is dropped.
    RolledBack,
    /// The next run is to go on with it, be it a start or not.
    Retry,
}

/// Which records of the log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryRequest {
    /// Of this migration only, by its id or the beginning of it.
    pub migration: Option<String>,
    /// Of this run only, by its id or the beginning of it.
    pub run: Option<String>,
    /// Not older than this.
    pub since: Option<DateTime>,
    /// The latest so many; all of them if it is not said.
    pub limit: Option<usize>,
    /// Whether records of progress are among them.
    pub progress: bool,
}
