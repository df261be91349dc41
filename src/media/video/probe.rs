use std::io::{Read, Seek};

use super::bounded::Bounded;
use super::track::Track;
use super::{avi, isobmff, matroska};

/// The longest side of a video, in pixels.
const MAX_SIDE: u32 = 32_768;

/// A container that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoKind {
    /// The base media file format of ISO.
    Mp4,
    /// Its predecessor.
    QuickTime,
    /// The subset of Matroska that browsers play.
    WebM,
    /// RIFF with audio and video.
    Avi,
}

impl VideoKind {
    /// Returns the extension of its files, with which objects are named.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::QuickTime => "mov",
            Self::WebM => "webm",
            Self::Avi => "avi",
        }
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::WebM => "video/webm",
            Self::Avi => "video/avi",
        }
    }

    /// Returns the kind that the first bytes of a file indicate; 16 bytes are enough. [`probe`] decides whether the file is
    /// valid.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Self::Avi),
            [0x1A, 0x45, 0xDF, 0xA3, ..] => Some(Self::WebM),
            [_, _, _, _, b'f', b't', b'y', b'p', b'q', b't', b' ', b' ', ..] => Some(Self::QuickTime),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::Mp4),
            // QuickTime before 2004 had no `ftyp`.
            [_, _, _, _, kind @ ..]
                if [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"]
                    .iter()
                    .any(|known| kind.starts_with(*known)) =>
            {
                Some(Self::QuickTime)
            }
            _ => None,
        }
    }
}

/// Facts about a video, from the headers of its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoInfo {
    /// The container.
    pub kind: VideoKind,
    /// The width as displayed, in pixels: after rotation, with the shape of the pixels.
    pub width: u32,
    /// The height as displayed, in pixels.
    pub height: u32,
    /// The duration in milliseconds, if the container states it. Recordings that were written as a stream do not.
    pub duration_ms: Option<u64>,
}

/// A reason for which a file is not accepted as a video.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The file is of another kind.
    #[error("not an mp4, QuickTime, WebM or AVI file")]
    Unsupported,
    /// The file has sound or texts alone.
    #[error("the file has no video track")]
    NoVideo,
    /// The headers contradict themselves, or are incomplete.
    #[error("the headers of the file are damaged: {0}")]
    Malformed(&'static str),
    /// Reading the headers would take too long.
    #[error("the headers of the file have too many parts")]
    TooComplex,
    /// The file cannot be read.
    #[error("failed to read the file: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads the dimensions and the duration of a video from the headers of its container.
///
/// Reads a few kilobytes, wherever the headers are in the file, and keeps none of them. Fails if the file is not a video in a
/// known container.
pub fn probe<R: Read + Seek>(file: &mut R) -> Result<VideoInfo, ProbeError> {
    let mut file = Bounded::new(file)?;
    let mut head = [0; 16];
    if file.length() < head.len() as u64 {
        return Err(ProbeError::Unsupported);
    }
    file.read_at(0, &mut head)?;
    let kind = VideoKind::sniff(&head).ok_or(ProbeError::Unsupported)?;
    let Track { width, height, duration_ms } = match kind {
        VideoKind::Mp4 | VideoKind::QuickTime => isobmff::read(&mut file)?,
        VideoKind::WebM => matroska::read(&mut file)?,
        VideoKind::Avi => avi::read(&mut file)?,
    };
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(ProbeError::Malformed("impossible dimensions"));
    }
    Ok(VideoInfo { kind, width, height, duration_ms })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/video_headers/", $name))
        };
    }

    fn probe(bytes: &[u8]) -> Result<VideoInfo, ProbeError> {
        super::probe(&mut Cursor::new(bytes))
    }

    #[test]
    fn containers_state_dimensions_and_duration() {
        let cases: [(&[u8], _, _, _, _); 8] = [
            (file!("mp4"), VideoKind::Mp4, 64, 36, Some(400)),
            (file!("mp4_rotated"), VideoKind::Mp4, 36, 64, Some(400)),
            (file!("mp4_fragmented"), VideoKind::Mp4, 64, 36, None),
            (file!("quicktime"), VideoKind::QuickTime, 64, 36, Some(400)),
            (file!("quicktime_wide_pixels"), VideoKind::QuickTime, 128, 36, Some(400)),
            (file!("webm"), VideoKind::WebM, 64, 36, Some(400)),
            (file!("webm_live"), VideoKind::WebM, 64, 36, None),
            (file!("avi"), VideoKind::Avi, 64, 36, Some(400)),
        ];
        for (index, (bytes, kind, width, height, duration_ms)) in cases.into_iter().enumerate() {
            let expected = VideoInfo { kind, width, height, duration_ms };
            assert_eq!(probe(bytes).expect("it is a video"), expected, "case {index}");
        }
    }

    #[test]
    fn headers_at_the_end_are_found_without_reading_the_rest() {
        /// An mp4 whose data is larger than a test could read, made of nothing.
        struct Sparse<'a> {
            start: &'a [u8],
            gap: u64,
            end: &'a [u8],
            at: u64,
        }
        impl Read for Sparse<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let length = self.start.len() as u64;
                let byte = |at: u64| {
                    let index = |at: u64| usize::try_from(at).expect("an index");
                    if at < length {
                        self.start[index(at)]
                    } else if at < length + self.gap {
                        panic!("the data is read")
                    } else {
                        self.end[index(at - length - self.gap)]
                    }
                };
                for (offset, target) in buffer.iter_mut().enumerate() {
                    *target = byte(self.at + offset as u64);
                }
                self.at += buffer.len() as u64;
                Ok(buffer.len())
            }
        }
        impl Seek for Sparse<'_> {
            fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
                let length = self.start.len() as u64 + self.gap + self.end.len() as u64;
                self.at = match to {
                    std::io::SeekFrom::Start(at) => at,
                    std::io::SeekFrom::End(at) => length.checked_add_signed(at).expect("a position"),
                    std::io::SeekFrom::Current(at) => self.at.checked_add_signed(at).expect("a position"),
                };
                Ok(self.at)
            }
        }
        let file = file!("mp4");
        let moov = file.windows(4).position(|window| window == b"moov").expect("a header") - 4;
        let gap: u64 = 1 << 40;
        let start = [&file[..0x20], &[0, 0, 0, 1], b"mdat", &(gap + 16).to_be_bytes()].concat();
        let mut sparse = Sparse { start: &start, gap, end: &file[moov..], at: 0 };
        let info = super::probe(&mut sparse).expect("it is a video");
        assert_eq!((info.width, info.height), (64, 36));
    }

    #[test]
    fn other_files_are_refused() {
        let sound = file!("mp4").to_vec();
        let at = sound.windows(4).position(|window| window == b"vide").expect("a handler");
        let sound = [&sound[..at], b"soun", &sound[at + 4..]].concat();
        assert!(matches!(probe(&sound), Err(ProbeError::NoVideo)));
        for other in [
            &b""[..],
            b"RIFF",
            b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        ] {
            assert!(matches!(probe(other), Err(ProbeError::Unsupported)), "{other:?}");
        }
        // Matroska in general is not WebM.
        let webm = file!("webm");
        let at = webm.windows(4).position(|window| window == b"webm").expect("a type");
        let matroska = [&webm[..at], b"webn", &webm[at + 4..]].concat();
        assert!(matches!(probe(&matroska), Err(ProbeError::Unsupported)));
    }

    #[test]
    fn truncated_headers_are_refused() {
        for bytes in [&file!("mp4")[..], file!("quicktime")] {
            for end in 0..bytes.len() {
                assert!(probe(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn very_many_parts_are_refused() {
        let head = &file!("mp4")[..0x20];
        let bytes = [head, &[0, 0, 0, 8, b'f', b'r', b'e', b'e'].repeat(200_000)].concat();
        assert!(matches!(probe(&bytes), Err(ProbeError::TooComplex)));
    }
}
