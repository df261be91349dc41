//! Videos: what their containers say about them.

/// AVI.
mod avi;
/// Reads small pieces of a file.
mod bounded;
/// mp4 and QuickTime.
mod isobmff;
/// WebM.
mod matroska;
/// Dimensions and durations.
mod probe;

/// The fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

pub use probe::{ProbeError, VideoInfo, VideoKind, probe};
