use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::repository::IndexFailure;

/// A phase of the start that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Binds the port.
    Bind,
    /// Opens the store.
    Store,
    /// Applies, verifies or awaits migrations.
    Migrations,
    /// Creates the declared indexes.
    Indexes,
}

impl Phase {
    /// Returns the name that `/readyz` and the log show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "binding the port",
            Self::Store => "opening the store",
            Self::Migrations => "migrations",
            Self::Indexes => "indexes",
        }
    }
}

/// A failed start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The phase that failed.
    pub phase: Phase,
    /// The reason and the remedy, without secrets.
    pub message: String,
    /// The exit code.
    pub exit: u8,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.phase.name(), self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(super) fn bind(address: SocketAddr, error: &io::Error) -> Self {
        let message = if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "port {} of {} is in use; set PORT to another one, or stop the process that uses it",
                address.port(),
                address.ip()
            )
        } else {
            format!("cannot listen on {address}: {error}; set HOST and PORT")
        };
        Self { phase: Phase::Bind, message, exit: 1 }
    }

    pub(super) fn migrations(error: &migrator::Error) -> Self {
        Self { phase: Phase::Migrations, message: error.to_string(), exit: error.exit_code() }
    }

    pub(super) fn indexes(error: &IndexFailure) -> Self {
        Self { phase: Phase::Indexes, message: error.to_string(), exit: 1 }
    }

    /// Returns the text for `/readyz`: the first line, which names no host and no path.
    pub(super) fn public_text(&self) -> String {
        match self.phase {
            Phase::Bind | Phase::Store => "see the log".to_owned(),
            Phase::Migrations | Phase::Indexes => self.message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}
