use std::fmt;

use serde::Serialize;

/// What the ledger says of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being applied, or was until its runner died.
    Running,
    /// It is applied.
    Applied,
    /// It failed; what it did until then is there.
    Failed,
    /// It was told to stop; what it did until then is there.
    Interrupted,
    /// It is being undone, or was until its runner died or failed.
    RollingBack,
    /// It was undone.
    RolledBack,
}

impl State {
    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Running, Self::Applied, Self::Failed, Self::Interrupted, Self::RollingBack, Self::RolledBack]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who applied a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This engine; there is a journal.
    Native,
    /// An earlier tool; there is none.
    Imported,
    /// Somebody, by hand; there is none.
    Stamped,
}

impl Source {
    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Imported => "imported",
            Self::Stamped => "stamped",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
