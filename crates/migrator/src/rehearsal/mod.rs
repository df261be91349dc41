//! Trying migrations where nothing can be broken: on a scratch database, with the real engine.
//!
//! [`Migrator::rehearse`](crate::Migrator::rehearse) copies the database and applies what is pending there.
//! [`Migrator::round_trip`](crate::Migrator::round_trip) puts each migration to the test: applied twice, taken back,
//! applied again, and once more with a crash at each place between two writes; after each of these the content has to
//! be what it was. The database itself is only read.

/// Copies of collections.
mod copy;
/// Runs that end at a place between two writes, as if their process had died.
mod crash_injector;
/// What is in a database, comparable between runs.
mod fingerprint;
/// Applying what is pending to a copy.
mod rehearse;
/// Putting each migration to the test.
mod round_trip;
/// A scratch database with the migrations on it.
mod sandbox;
/// One migration on one set of data.
mod trial;
/// Which documents stand in a migration's way.
mod violations;

pub use copy::CopiedCollection;
pub use fingerprint::{Difference, Fingerprint, GeneratedIds, KnownIds};
pub use rehearse::{RehearsalFailure, RehearsalReport, RehearsalRequest};
pub use round_trip::{RoundTripReport, RoundTripRequest, TrialData};
pub use trial::{CrashReport, Trial, TrialOutcome};
pub use violations::Violation;
