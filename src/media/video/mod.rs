//! Videos: the headers of their containers, and the files that `ffmpeg` makes from them.

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
/// The facts about a video that a container states.
mod track;

/// The fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

pub use ffmpeg::{CancelOnDrop, Ffmpeg, FfmpegError, FfmpegSettings, SOURCE, WorkFolder};
pub use probe::{ProbeError, VideoInfo, VideoKind, probe};
pub use process::{ProcessError, Processed, THUMBNAILS, process};
