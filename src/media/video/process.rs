use std::fs::File;

use super::ffmpeg::{Ffmpeg, FfmpegError, WorkFolder};
use super::{ProbeError, VideoInfo, probe};

/// The number of thumbnails.
pub const THUMBNAILS: usize = 5;
/// The positions of thumbnails, as parts of the duration.
const POSITIONS: [f64; THUMBNAILS] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// The files that were made of a video, by their names in the working folder.
#[derive(Debug)]
pub struct Processed {
    /// Facts about the video; the duration is known if the source or its smaller form states it.
    pub info: VideoInfo,
    /// The poster.
    pub poster: String,
    /// The thumbnails, with their positions in seconds.
    pub thumbnails: Vec<(String, f64)>,
    /// The smaller form, with its width and height.
    pub smaller_form: (String, u32, u32),
}

/// A failure to process a video.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The file is not a video.
    #[error(transparent)]
    NotAVideo(#[from] ProbeError),
    /// The program failed.
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegError),
}

/// Makes a poster, thumbnails and a smaller form of the source in a folder. Blocks its thread until they are made, or until the
/// folder is canceled.
///
/// # Errors
/// The reason why that is not possible.
pub fn process(ffmpeg: &Ffmpeg, work: &WorkFolder) -> Result<Processed, ProcessError> {
    let open = |name| File::open(work.file(name)).map_err(ProbeError::from);
    let mut info = probe(&mut open(super::SOURCE)?)?;
    let (width, height) = ffmpeg.smaller_form(work, info, "smaller.mp4")?;
    if info.duration_ms.is_none() {
        // A recording that was written as a stream does not state its duration, but now it is known.
        info.duration_ms = probe(&mut open("smaller.mp4")?)?.duration_ms;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds are wanted")]
    let duration = info.duration_ms.unwrap_or(0) as f64 / 1000.0;
    ffmpeg.picture(work, info, duration * POSITIONS[0], true, "poster.jpg")?;
    let mut thumbnails = Vec::new();
    for (index, position) in POSITIONS.into_iter().enumerate() {
        let (name, seconds) = (format!("thumbnail{index}.jpg"), duration * position);
        ffmpeg.picture(work, info, seconds, false, &name)?;
        thumbnails.push((name, seconds));
    }
    let smaller_form = ("smaller.mp4".to_owned(), width, height);
    Ok(Processed { info, poster: "poster.jpg".to_owned(), thumbnails, smaller_form })
}
