//! The type of an upload, by its first bytes: the header of a part is the client's claim and is not read.

use super::video::VideoKind;

/// The number of first bytes that [`sniff`] needs.
pub const SNIFFED: usize = 4096;

/// A format of files that uploads may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// A video.
    Video(VideoKind),
}

impl FileFormat {
    /// Reports whether the file is a video.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Video(_))
    }

    /// Returns the media type, as the original's clients name it.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Video(kind) => kind.content_type(),
        }
    }
}

/// Returns the type of the file that begins with these bytes, if it is one that uploads may have. SVG and HTML are not:
/// they can run scripts.
pub fn sniff(head: &[u8]) -> Option<FileFormat> {
    match infer::get(head).map(|known| known.mime_type()) {
        Some("image/jpeg") => Some(FileFormat::Jpeg),
        Some("image/png") => Some(FileFormat::Png),
        Some("image/gif") => Some(FileFormat::Gif),
        Some("image/webp") => Some(FileFormat::Webp),
        // HEIF and AVIF begin like MPEG-4.
        Some(other) if !other.starts_with("video/") => None,
        _ => VideoKind::sniff(head).map(FileFormat::Video),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_first_bytes() {
        let cases: [(&[u8], _); 8] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", FileFormat::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", FileFormat::Png),
            (b"GIF89a\x01\0\x01\0", FileFormat::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", FileFormat::Webp),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", FileFormat::Video(VideoKind::Mp4)),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", FileFormat::Video(VideoKind::WebM)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", FileFormat::Video(VideoKind::QuickTime)),
            (b"RIFF\0\0\0\0AVI LIST", FileFormat::Video(VideoKind::Avi)),
        ];
        for (head, expected) in cases {
            assert_eq!(sniff(head), Some(expected), "{head:?}");
        }
    }

    #[test]
    fn documents_and_programs_are_no_media() {
        let cases: [&[u8]; 9] = [
            b"",
            b"\0",
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"%PDF-1.7\n",
            b"\x7fELF\x02\x01\x01",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
        ];
        for head in cases {
            assert_eq!(sniff(head), None, "{head:?}");
        }
    }
}
