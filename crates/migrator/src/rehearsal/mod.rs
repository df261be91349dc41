//! Tests of migrations on scratch databases, with the real engine.
//!
//! [`Migrator::rehearse`](crate::Migrator::rehearse) applies what is pending to a copy of the database.
//! [`Migrator::round_trip`](crate::Migrator::round_trip) tests each migration: applied, run again, rolled back, applied
//! again, and with a crash at each boundary between two writes. The database itself is only read.

/// Copies of collections.
mod copy;
/// Runs that end at a boundary as if their process had died.
mod crash_injector;
/// The content of a database, comparable between runs.
mod fingerprint;
/// Applying what is pending to a copy, and the documents that make it fail.
mod rehearse;
/// A scratch database with the migrations on it.
mod sandbox;
/// Testing each migration on sets of data.
mod trial;

pub use copy::CopiedCollection;
pub use fingerprint::{Difference, Fingerprint, GeneratedIds, KnownIds};
pub(crate) use rehearse::rehearse;
pub use rehearse::{RehearsalFailure, RehearsalReport, RehearsalRequest, Violation};
pub use sandbox::TrialData;
pub(crate) use trial::round_trip;
pub use trial::{CrashReport, RoundTripReport, RoundTripRequest, Trial, TrialOutcome};
