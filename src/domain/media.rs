use super::resource::string_enum;
use super::{Draft, Item, Meta, Patch};

string_enum! {
    /// A filter that an uploaded picture gets.
    ImageFilter {
        /// No change.
        None = "none",
        /// Slightly more contrast, saturation, sharpness and brightness.
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
    /// The kind of content of a media file.
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
    /// Its names, form and content.
    pub draft: MediaDraft,
}

/// An uploaded file: its names, form and content. A file that is uploaded repeatedly has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDraft {
    /// The id in the names of its files, such as `20260102_030405_0a1b2c3d`.
    pub asset_id: String,
    /// The SHA-256 of the uploaded bytes, in hexadecimal digits.
    pub content_hash: String,
    /// The filter that was applied.
    pub filter: ImageFilter,
    /// The kind of its content.
    pub asset_type: AssetType,
    /// The media type that was uploaded.
    pub content_type: String,
    /// The names that clients gave the file, the earliest first.
    pub names: Vec<String>,
    /// The width of its largest form.
    pub width: i64,
    /// The height of its largest form.
    pub height: i64,
    /// The duration of a video or an animated picture, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the uploaded file.
    pub bytes: i64,
    /// The stored files. The first one is the largest, or the video as it was uploaded.
    pub variants: Vec<MediaVariant>,
    /// A text for readers who cannot see it.
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
    /// The SHA-256 of the file, in hexadecimal digits, if it is known.
    pub sha256: Option<String>,
}

/// Additions to stored media: more files, and facts that were missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaAddition {
    /// Stored files, of which some may be known.
    pub variants: Vec<MediaVariant>,
    /// The width; zero if it is not known.
    pub width: i64,
    /// The height; zero if it is not known.
    pub height: i64,
    /// The duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// The blurred preview.
    pub thumbhash: Option<String>,
}

/// A partial change of a [`MediaDraft`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaPatch {
    /// A text for readers who cannot see it.
    pub alt_text: Patch<String>,
}

impl MediaDraft {
    /// Reports whether the first stored file has the uploaded bytes, as those of videos and of imported pictures do.
    pub fn keeps_uploaded_bytes(&self) -> bool {
        let first = self.variants.first().and_then(|variant| variant.sha256.as_ref());
        self.asset_type == AssetType::Video || first == Some(&self.content_hash)
    }

    /// Adds what is missing; what is known stays as it is. Returns false if nothing was missing.
    pub fn complete(&mut self, addition: &MediaAddition) -> bool {
        let MediaAddition { variants, width, height, duration_ms, thumbhash } = addition;
        let before = self.clone();
        for variant in variants {
            match self.variants.iter_mut().find(|known| known.path == variant.path) {
                Some(known) => known.sha256 = known.sha256.take().or_else(|| variant.sha256.clone()),
                None => self.variants.push(variant.clone()),
            }
        }
        if self.width == 0 || self.height == 0 {
            (self.width, self.height) = (*width, *height);
        }
        self.duration_ms = self.duration_ms.or(*duration_ms);
        self.thumbhash = self.thumbhash.take().or_else(|| thumbhash.clone());
        *self != before
    }

    /// Records that known files have other bytes. Returns false if they had these.
    pub fn replace_files(&mut self, files: &[MediaVariant]) -> bool {
        let before = self.variants.clone();
        for file in files {
            for known in self.variants.iter_mut().filter(|known| known.path == file.path) {
                known.clone_from(file);
            }
        }
        self.variants != before
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(path: &str, sha256: Option<&str>) -> MediaVariant {
        MediaVariant {
            variant: "originals".to_owned(),
            path: path.to_owned(),
            width: 10,
            height: 5,
            size_bytes: 7,
            sha256: sha256.map(str::to_owned),
        }
    }

    #[test]
    fn additions_fill_gaps_and_change_nothing_that_is_known() {
        let mut draft = MediaDraft {
            asset_id: "20260102_030405_0a1b2c3d".to_owned(),
            content_hash: "aa".to_owned(),
            filter: ImageFilter::None,
            asset_type: AssetType::Video,
            content_type: "video/webm".to_owned(),
            names: Vec::new(),
            width: 0,
            height: 0,
            duration_ms: None,
            bytes: 7,
            variants: vec![variant("uploads/a", None), variant("uploads/b", Some("bb"))],
            alt_text: None,
            thumbhash: Some("known".to_owned()),
        };
        let addition = MediaAddition {
            variants: vec![
                variant("uploads/a", Some("aa")),
                variant("uploads/b", Some("other")),
                variant("uploads/c", Some("cc")),
            ],
            width: 64,
            height: 36,
            duration_ms: Some(400),
            thumbhash: Some("other".to_owned()),
        };
        assert!(draft.complete(&addition));
        let expected = [("uploads/a", "aa"), ("uploads/b", "bb"), ("uploads/c", "cc")];
        assert_eq!(draft.variants, expected.map(|(path, hash)| variant(path, Some(hash))));
        assert_eq!((draft.width, draft.height, draft.duration_ms), (64, 36, Some(400)));
        assert_eq!(draft.thumbhash.as_deref(), Some("known"));
        assert!(!draft.complete(&addition), "nothing is missing any more");
    }
}
