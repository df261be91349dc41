use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::repository::IndexFailure;

/// A phase of the start that may fail once telemetry is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Binding the port.
    Bind,
    /// Opening the store.
    Store,
    /// Migrations.
    Migrations,
    /// Indexes.
    Indexes,
}

impl Phase {
    /// For people, and for `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "binding the port",
            Self::Store => "opening the store",
            Self::Migrations => "migrations",
            Self::Indexes => "indexes",
        }
    }
}

/// A start that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In which phase.
    pub phase: Phase,
    /// Why, and what to do. Holds no secret.
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
    /// The port cannot be had.
    pub(super) fn bind(address: SocketAddr, error: &io::Error) -> Self {
        let message = if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "port {} of {} is in use; set PORT to another one, or end what uses it",
                address.port(),
                address.ip()
            )
        } else {
            format!("{address} cannot be listened on: {error}; set HOST and PORT")
        };
        Self { phase: Phase::Bind, message, exit: 1 }
    }

    /// Migrations failed, or do not let a start go on.
    pub(super) fn migrations(error: &migrator::Error) -> Self {
        Self { phase: Phase::Migrations, message: error.to_string(), exit: error.exit_code() }
    }

    /// An index cannot be made so.
    pub(super) fn indexes(error: &IndexFailure) -> Self {
        Self { phase: Phase::Indexes, message: error.to_string(), exit: 1 }
    }

    /// What may be told to anybody: its first line, which names no host and no path.
    pub(super) fn public_text(&self) -> String {
        match self.phase {
            Phase::Bind | Phase::Store => "the log says why".to_owned(),
            Phase::Migrations | Phase::Indexes => self.message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}
