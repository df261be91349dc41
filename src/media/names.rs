use std::fmt;

use chrono::{DateTime, Utc};

/// The prefix of the names of all files.
const ROOT: &str = "uploads/";
/// The longest name that every storage takes, in bytes.
const MAX_KEY: usize = 1024;
/// The longest part of a name that file systems take, in bytes.
const MAX_PART: usize = 255;

/// The name of a file: `uploads/` and at least one part. No part is empty, `.` or `..`, and none has a control character
/// or a backslash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Parses the whole name of a file. Returns `None` if no file can have it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::in_uploads(text.strip_prefix(ROOT)?)
    }

    /// Parses the name of a file without `uploads/`. Returns `None` if no file can have it.
    pub fn in_uploads(path: &str) -> Option<Self> {
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.len() <= MAX_PART
                && !part.contains(|c: char| c.is_control() || c == '\\')
        };
        let is_key = path.len() <= MAX_KEY - ROOT.len() && path.split('/').all(is_part);
        is_key.then(|| Self(format!("{ROOT}{path}")))
    }

    /// Returns the whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of the file in the API, by which content refers to it.
    pub fn url(&self) -> String {
        format!("/{}", self.0)
    }

    /// Returns the last part of the name.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().expect("a text has a last part")
    }

    /// Returns the id that the last part of the name begins with, if it has one.
    pub fn id(&self) -> Option<MediaId> {
        let file = self.file_name();
        let id = MediaId::parse(file.get(..MediaId::LENGTH)?)?;
        file[MediaId::LENGTH..].starts_with(['.', '_']).then_some(id)
    }

    /// Returns the name of the variant that the file of an id is: what follows the id in its name (`750`, `poster`), else the
    /// folder of its kind (`medium`, `mp4_720p`), else `originals`.
    pub fn variant(&self) -> &str {
        let file = self.file_name();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let suffix = stem.get(MediaId::LENGTH..).and_then(|rest| rest.strip_prefix('_'));
        if let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) {
            return suffix;
        }
        match self.0.split('/').collect::<Vec<_>>()[..] {
            [_, "images" | "video", folder, _] | [_, folder @ "thumbnails", _] => folder,
            _ => VARIANTS[0].folder,
        }
    }

    /// Reports whether the file is a picture that was made of a video.
    pub fn is_of_video(&self) -> bool {
        self.0.strip_prefix(ROOT).is_some_and(|path| path.starts_with("thumbnails/"))
    }

    /// Returns the type of the file by the extension of its name, if it is a known type of media.
    pub fn media_type(&self) -> Option<MediaType> {
        let (_, extension) = self.file_name().rsplit_once('.')?;
        MediaType::by_extension(extension)
    }

    /// Returns the names of files that may hold the same picture in a width, best first: those that are at least as wide,
    /// the smallest first, then narrower ones. The file itself is among them. The file of no picture has no other names.
    pub fn for_width(&self, width: u64) -> Vec<Self> {
        let Some(naming) = Naming::from_key(self) else { return vec![self.clone()] };
        let mut all = naming.files();
        all.sort_by_key(|(file_width, _)| {
            let is_narrower = *file_width < width;
            (is_narrower, if is_narrower { u64::MAX - file_width } else { *file_width })
        });
        let mut keys: Vec<_> = all.into_iter().map(|(_, key)| key).collect();
        if !keys.contains(self) {
            keys.push(self.clone());
        }
        keys
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an uploaded file: `YYYYMMDD_HHMMSS_` and eight hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId(String);

impl MediaId {
    /// The number of bytes.
    const LENGTH: usize = 24;

    /// Returns the id of a file that was uploaded at a time, from the SHA-256 of its bytes.
    pub fn new(uploaded: DateTime<Utc>, sha256: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = sha256;
        Self(format!("{}_{a:02x}{b:02x}{c:02x}{d:02x}", uploaded.format("%Y%m%d_%H%M%S")))
    }

    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == Self::LENGTH
            && text.bytes().enumerate().all(|(index, byte)| match index {
                8 | 15 => byte == b'_',
                0..15 => byte.is_ascii_digit(),
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the time in the id, if it is a valid one.
    pub fn uploaded(&self) -> Option<DateTime<Utc>> {
        let time = chrono::NaiveDateTime::parse_from_str(&self.0[..15], "%Y%m%d_%H%M%S").ok()?;
        Some(time.and_utc())
    }

    /// Returns the name of a picture's file in one of its widths.
    pub fn image(&self, variant: Variant) -> Key {
        Key(format!("{ROOT}images/{}/{self}.webp", variant.folder))
    }

    /// Returns the name of a video's file as it was uploaded. `extension` consists of letters and digits.
    pub fn video(&self, extension: &str) -> Key {
        Key(format!("{ROOT}video/originals/{self}.{extension}"))
    }

    /// Returns the name of a video's form with a height of 720 pixels.
    pub fn video_720p(&self) -> Key {
        Key(format!("{ROOT}video/mp4_720p/{self}.mp4"))
    }

    /// Returns the name of a video's poster.
    pub fn poster(&self) -> Key {
        Key(format!("{ROOT}thumbnails/{self}_poster.jpg"))
    }

    /// Returns the name of a video's thumbnail with an index.
    pub fn thumbnail(&self, index: usize) -> Key {
        Key(format!("{ROOT}thumbnails/{self}_thumb_{index}.jpg"))
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A width in which a picture is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The folder of its files.
    pub folder: &'static str,
    /// The width, in pixels. A picture that is not as wide keeps its width, in the folder of the widest variant alone.
    pub width: u64,
}

/// The variants of an upload, the widest first.
pub const VARIANTS: [Variant; 4] = [
    Variant { folder: "originals", width: 2048 },
    Variant { folder: "large", width: 1536 },
    Variant { folder: "medium", width: 768 },
    Variant { folder: "thumbnails", width: 400 },
];

/// The widths that the original appended to names, in any of its versions.
const SUFFIXES: [u64; 5] = [400, 500, 750, 768, 1536];

/// A way in which the files of one picture are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// A folder for each width: `uploads/images/medium/<id>.webp`. The newest.
    Folders {
        /// The last part of the names.
        file: String,
    },
    /// A suffix for each width: `<name>.webp` is the widest, `<name>_750.webp` a narrower one, in any folder.
    Suffixes {
        /// The names without suffix and extension.
        base: String,
        /// The extension, with its dot.
        extension: String,
    },
}

impl Naming {
    /// Returns the naming of a picture's file. Returns `None` for other files.
    pub fn from_key(key: &Key) -> Option<Self> {
        if key.media_type()?.kind != MediaKind::Image {
            return None;
        }
        let path = key.as_str().strip_prefix(ROOT)?;
        if let Some((folder, file)) = path.strip_prefix("images/").and_then(|rest| rest.split_once('/'))
            && VARIANTS.iter().any(|variant| variant.folder == folder)
            && !file.contains('/')
        {
            return Some(Self::Folders { file: file.to_owned() });
        }
        let (name, extension) = key.as_str().rsplit_once('.')?;
        let base = match name.rsplit_once('_') {
            Some((base, suffix)) if SUFFIXES.iter().any(|width| suffix == width.to_string()) => base,
            _ => name,
        };
        Some(Self::Suffixes { base: base.to_owned(), extension: format!(".{extension}") })
    }

    /// Returns the names that the picture's files may have, with their widths. The widest always exists; its name does not
    /// state its width, which is given as the maximum.
    fn files(&self) -> Vec<(u64, Key)> {
        match self {
            Self::Folders { file } => VARIANTS
                .iter()
                .enumerate()
                .map(|(index, variant)| {
                    let width = if index == 0 { u64::MAX } else { variant.width };
                    (width, Key(format!("{ROOT}images/{}/{file}", variant.folder)))
                })
                .collect(),
            Self::Suffixes { base, extension } => SUFFIXES
                .iter()
                .map(|width| (*width, Key(format!("{base}_{width}{extension}"))))
                .chain([(u64::MAX, Key(format!("{base}{extension}")))])
                .collect(),
        }
    }
}

/// Pictures or videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
}

/// A type of files that browsers show without running anything in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaType {
    /// The type, as in `Content-Type`.
    pub name: &'static str,
    /// The kind of its content.
    pub kind: MediaKind,
    /// The extensions of its files, in lower case, without the dot.
    extensions: &'static [&'static str],
}

impl MediaType {
    /// All types. SVG is not among them: it can hold scripts.
    const ALL: [Self; 9] = {
        const fn image(name: &'static str, extensions: &'static [&'static str]) -> MediaType {
            MediaType { name, kind: MediaKind::Image, extensions }
        }
        const fn video(name: &'static str, extensions: &'static [&'static str]) -> MediaType {
            MediaType { name, kind: MediaKind::Video, extensions }
        }
        [
            image("image/webp", &["webp"]),
            image("image/jpeg", &["jpg", "jpeg"]),
            image("image/png", &["png"]),
            image("image/gif", &["gif"]),
            image("image/avif", &["avif"]),
            video("video/mp4", &["mp4", "m4v"]),
            video("video/webm", &["webm"]),
            video("video/quicktime", &["mov"]),
            video("video/x-msvideo", &["avi"]),
        ]
    };

    /// Returns the type of files with an extension, in any case.
    pub fn by_extension(extension: &str) -> Option<Self> {
        let is_of = |known: &&str| known.eq_ignore_ascii_case(extension);
        Self::ALL.into_iter().find(|media_type| media_type.extensions.iter().any(is_of))
    }

    /// Returns the type with a name, such as `image/webp`, in any case and with any parameters.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.split(';').next().unwrap_or_default().trim();
        // The name that the original accepts.
        let name = if name.eq_ignore_ascii_case("video/avi") { "video/x-msvideo" } else { name };
        Self::ALL.into_iter().find(|media_type| media_type.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "20260102_030405_0a1b2c3d";

    fn key(path: &str) -> Key {
        Key::in_uploads(path).unwrap_or_else(|| panic!("{path}"))
    }

    #[test]
    fn names_stay_below_uploads() {
        for good in [
            "a",
            "a/b.webp",
            "photos/65a0/x.png",
            "ünïcode/日本.jpg",
            "a..b/...c",
            "%2e%2e/a",
            &"x".repeat(255),
        ] {
            assert_eq!(key(good).as_str(), format!("uploads/{good}"));
            assert_eq!(Key::parse(&format!("uploads/{good}")), Some(key(good)));
        }
        let long = format!("{}a", "x/".repeat(600));
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a\0b",
            "a\nb",
            "a\\b",
            "..\\a",
            "\u{85}",
            &"x".repeat(256),
            &long,
        ] {
            assert_eq!(Key::in_uploads(bad), None, "{bad:?}");
        }
        assert_eq!(Key::parse("other/a"), None);
    }

    #[test]
    fn ids_are_made_from_time_and_hash() {
        let time = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let mut hash = [0xff; 32];
        hash[..4].copy_from_slice(&[0x0a, 0x1b, 0x2c, 0x3d]);
        let id = MediaId::new(time, &hash);
        assert_eq!(id.as_str(), ID);
        assert_eq!(MediaId::parse(ID), Some(id.clone()));
        assert_eq!(id.uploaded().unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert_eq!(id.image(VARIANTS[2]).url(), format!("/uploads/images/medium/{ID}.webp"));
        assert_eq!(id.thumbnail(3).as_str(), format!("uploads/thumbnails/{ID}_thumb_3.jpg"));
        for bad in [
            "",
            "20260102_030405_0A1B2C3D",
            "20260102-030405-0a1b2c3d",
            "2026010x_030405_0a1b2c3d",
            &format!("{ID}a"),
        ] {
            assert_eq!(MediaId::parse(bad), None, "{bad}");
        }
        for file in [id.image(VARIANTS[0]), id.video("mp4"), id.video_720p(), id.poster(), id.thumbnail(0)] {
            assert_eq!(file.id(), Some(id.clone()), "{file}");
            assert_eq!(Key::parse(file.as_str()), Some(file.clone()), "{file}");
        }
        for file in ["a.webp", &format!("{ID}abc.webp"), ID, &format!("é{ID}.webp")] {
            assert_eq!(key(file).id(), None, "{file}");
        }
    }

    #[test]
    fn each_naming_has_its_widths() {
        let first = |path: &str, width| key(path).for_width(width)[0].as_str()["uploads/".len()..].to_owned();
        for (width, folder) in [
            (0, "thumbnails"),
            (400, "thumbnails"),
            (401, "medium"),
            (1200, "large"),
            (1537, "originals"),
            (9999, "originals"),
        ] {
            for asked in ["originals", "medium"] {
                assert_eq!(
                    first(&format!("images/{asked}/{ID}.webp"), width),
                    format!("images/{folder}/{ID}.webp")
                );
            }
        }
        for (width, suffix) in
            [(400, "_400"), (500, "_500"), (501, "_750"), (768, "_768"), (800, "_1536"), (2048, "")]
        {
            for base in
                [ID.to_owned(), format!("photos/65a0b1c2d3e4f50617283940/{ID}"), "old_picture".to_owned()]
            {
                assert_eq!(first(&format!("{base}.webp"), width), format!("{base}{suffix}.webp"));
                assert_eq!(first(&format!("{base}_750.png"), width), format!("{base}{suffix}.png"));
            }
        }
        // A narrower file is better than none, the widest first.
        let all = key("images/originals/a.webp").for_width(1000);
        let folders: Vec<_> = all.iter().map(|key| key.as_str().split('/').nth(2).unwrap()).collect();
        assert_eq!(folders, ["large", "originals", "medium", "thumbnails"]);
        for other in ["video/originals/a.mp4", "a.svg", "a"] {
            assert_eq!(key(other).for_width(500), [key(other)]);
        }
        assert_eq!(first("images/other/a.webp", 500), "images/other/a_500.webp");
    }

    #[test]
    fn files_of_an_id_are_named_variants() {
        for (path, variant) in [
            (format!("{ID}.webp"), "originals"),
            (format!("{ID}_750.webp"), "750"),
            (format!("photos/65a0b1c2d3e4f50617283940/{ID}.webp"), "originals"),
            (format!("photos/65a0b1c2d3e4f50617283940/{ID}_1536.webp"), "1536"),
            (format!("images/originals/{ID}.webp"), "originals"),
            (format!("images/medium/{ID}.webp"), "medium"),
            (format!("video/{ID}.mp4"), "originals"),
            (format!("video/originals/{ID}.mov"), "originals"),
            (format!("video/mp4_720p/{ID}.mp4"), "mp4_720p"),
            (format!("thumbnails/{ID}_thumb_3.jpg"), "thumb_3"),
            (format!("thumbnails/{ID}_poster.jpg"), "poster"),
            (format!("thumbnails/{ID}.jpg"), "thumbnails"),
        ] {
            assert_eq!(key(&path).variant(), variant, "{path}");
            assert_eq!(key(&path).is_of_video(), path.starts_with("thumbnails/"), "{path}");
        }
    }

    #[test]
    fn types_of_media_are_known_by_extension() {
        for (file, expected) in [
            ("a.webp", Some("image/webp")),
            ("a.JPG", Some("image/jpeg")),
            ("a.b.mp4", Some("video/mp4")),
            ("a.svg", None),
            ("a.html", None),
            ("a", None),
            ("webp", None),
            ("a.webp.html", None),
        ] {
            assert_eq!(key(file).media_type().map(|media_type| media_type.name), expected, "{file}");
        }
        assert_eq!(MediaType::by_name("Image/PNG; a=b").unwrap().name, "image/png");
        assert_eq!(MediaType::by_name("video/avi").unwrap().kind, MediaKind::Video);
        assert_eq!(MediaType::by_name("image/svg+xml"), None);
    }
}
