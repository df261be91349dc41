use super::resource::string_enum;
use super::{Draft, Item, Meta, Patch};

string_enum! {
    /// A filter that an uploaded picture gets.
    ImageFilter {
        /// No change.
        None = "none",
        /// A little more of everything.
        AutoEnhance = "auto_enhance",
        /// Warmer colors.
        Warm = "warm",
        /// Cooler colors.
        Cool = "cool",
        /// More contrast.
        HighContrast = "high_contrast",
        /// Black and white.
        Bw = "bw",
        /// Brighter colors.
        Vivid = "vivid",
        /// Faded colors.
        Vintage = "vintage",
    }
}

string_enum! {
    /// What a media file holds.
    AssetType {
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
    }
}

/// The maximum number of names that a file is remembered by.
pub const MAX_MEDIA_NAMES: usize = 20;
/// The maximum length of a text for those who do not see a file, in characters.
pub const MAX_ALT_TEXT_LENGTH: u64 = 1_000;

/// An uploaded picture or video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Id, dates and uploader.
    pub meta: Meta,
    /// What is known of it.
    pub draft: MediaDraft,
}

/// What is known of an uploaded file. One file has one of these, however often it is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDraft {
    /// The id in the names of its files, such as `20260102_030405_0a1b2c3d`.
    pub asset_id: String,
    /// The SHA-256 of the uploaded bytes, in hexadecimal digits.
    pub content_hash: String,
    /// The filter that was applied.
    pub filter: ImageFilter,
    /// What it holds.
    pub asset_type: AssetType,
    /// The media type that was uploaded.
    pub content_type: String,
    /// The names that the file had where it came from, the first one first.
    pub names: Vec<String>,
    /// The width of its largest form.
    pub width: i64,
    /// The height of its largest form.
    pub height: i64,
    /// The duration of a video or an animated picture, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the uploaded file.
    pub bytes: i64,
    /// The stored files, the largest first.
    pub variants: Vec<MediaVariant>,
    /// A text for those who do not see it.
    pub alt_text: Option<String>,
    /// A blurred preview of about 25 bytes, in Base64, as <https://evanw.github.io/thumbhash/> defines it.
    pub thumbhash: Option<String>,
}

/// A stored file of a picture or video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaVariant {
    /// The name of the variant, which is also that of its folder.
    pub variant: String,
    /// The whole name of the file, `uploads/…`.
    pub path: String,
    /// The width.
    pub width: i64,
    /// The height.
    pub height: i64,
    /// The size.
    pub size_bytes: i64,
}

/// A partial change of a [`MediaDraft`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaPatch {
    /// A text for those who do not see it.
    pub alt_text: Patch<String>,
    /// The names that the file had where it came from.
    pub names: Option<Vec<String>>,
}

impl Draft for MediaDraft {
    type Patch = MediaPatch;
}

impl Item for Media {
    type Draft = MediaDraft;
    const NAME: &'static str = "Media";

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Files are public as soon as they are uploaded: their names cannot be guessed.
    fn is_published(&self) -> bool {
        true
    }
}
