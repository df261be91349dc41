//! Videos: what their containers say about them, and what `ffmpeg` makes of them.

/// AVI.
mod avi;
/// Reads small pieces of a file.
mod bounded;
/// Runs `ffmpeg`.
mod ffmpeg;
/// mp4 and QuickTime.
mod isobmff;
/// WebM.
mod matroska;
/// Dimensions and durations.
mod probe;
/// Poster, thumbnails and smaller form.
mod process;
/// What a container says about its video.
mod track;

/// The fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

pub use ffmpeg::{CancelOnDrop, Ffmpeg, FfmpegError, FfmpegSettings, SOURCE, WorkFolder};
pub use probe::{ProbeError, VideoInfo, VideoKind, probe};
pub use process::{ProcessError, Processed, THUMBNAILS, process};
