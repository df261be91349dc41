//! Pictures: decoded within limits, turned upright, converted to sRGB, and encoded as WebP in several widths. Other data
//! in the file, such as the place where it was taken, is dropped.

/// Animated pictures.
mod animation;
/// Decoding within limits.
mod decode;
/// Filters for whole pictures.
mod filter;
/// Counts frames without decoding them.
mod frames;
/// A bound on concurrent work, and its threads.
mod pool;
/// Smaller forms of a picture.
mod resize;
/// Encoding as WebP.
mod webp_file;

pub use decode::dimensions;
pub use pool::ImagePool;

use super::names::VARIANTS;
use super::sniff::FileFormat;
use crate::domain::ImageFilter;

/// The maximum number of pixels of a picture.
pub const MAX_PIXELS: u64 = 50_000_000;
/// The maximum number of frames of an animated picture.
pub const MAX_FRAMES: usize = 500;
/// The maximum width and height of a picture, which is that of JPEG. The weights of resizing grow with them.
pub const MAX_SIDE: u32 = 65_535;
/// The maximum size of a color profile in bytes, and of what else a decoder has beside the picture.
const MAX_PROFILE_BYTES: u64 = 8 * 1024 * 1024;
/// The maximum size of a decoded picture in bytes.
pub const MAX_DECODED_BYTES: u64 = 256 * 1024 * 1024;
/// The maximum size of all decoded frames of an animated picture in bytes. Each frame is encoded on its own, so this bounds the time.
pub const MAX_ANIMATION_BYTES: u64 = 128 * 1024 * 1024;
/// The maximum width and height of a WebP file.
const MAX_WEBP_SIDE: u32 = 16_383;

/// A picture that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be decoded: it is damaged, cut off, or not of the type that its first bytes say.
    #[error("the picture cannot be decoded: {0}")]
    Broken(String),
    /// The temporary file cannot be read.
    #[error("failed to read a temporary file: {0}")]
    Unread(String),
    /// The picture has more pixels than [`MAX_PIXELS`], is wider or higher than [`MAX_SIDE`], or takes more memory than
    /// [`MAX_DECODED_BYTES`].
    #[error("the picture is too large: {width} × {height} pixels")]
    TooManyPixels {
        /// The declared width.
        width: u32,
        /// The declared height.
        height: u32,
    },
    /// The picture has more frames than [`MAX_FRAMES`], or its frames take more memory than [`MAX_ANIMATION_BYTES`].
    #[error("the picture has too many frames")]
    TooManyFrames,
}

impl ImageError {
    fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A picture that is ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its variants, widest first. There is at least one.
    pub variants: Vec<PictureVariant>,
    /// A preview of about 25 bytes, as <https://evanw.github.io/thumbhash/> defines it.
    pub thumbhash: Vec<u8>,
    /// The duration of an animated picture in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A picture in one width, as WebP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureVariant {
    /// The index in [`VARIANTS`].
    pub index: usize,
    /// The width.
    pub width: u32,
    /// The height.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The properties that the header of a file declares, checked against the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Declared {
    /// The size of one decoded frame in bytes.
    frame_bytes: u64,
    is_animated: bool,
}

/// Converts a file.
fn convert(
    file: &[u8],
    format: FileFormat,
    declared: Declared,
    filter: ImageFilter,
) -> Result<Picture, ImageError> {
    if declared.is_animated {
        animation::convert(file, format, filter)
    } else {
        let base = decode::still(file, format, declared.frame_bytes, filter)?;
        let variants = webp_file::encode_all(&base)?;
        Ok(Picture { variants, thumbhash: resize::thumbhash(&base)?, duration_ms: None })
    }
}

/// Returns the blurred preview of a file within the limits of uploads, as <https://evanw.github.io/thumbhash/> defines it. Decodes
/// the file on this thread.
///
/// # Errors
/// The reason why it cannot be decoded.
pub fn preview(file: &[u8], format: FileFormat) -> Result<Vec<u8>, ImageError> {
    let declared = decode::inspect(file, format)?;
    resize::thumbhash(&decode::still(file, format, declared.frame_bytes, ImageFilter::None)?)
}

/// Returns the sizes of the variants of a picture, by their index in [`VARIANTS`].
fn sizes(width: u32, height: u32) -> Vec<(usize, (u32, u32))> {
    let widths = VARIANTS.map(|variant| u32::try_from(variant.width).unwrap_or(u32::MAX));
    let largest = widths[0].min(width).min(scale(MAX_WEBP_SIDE, width, height)).max(1);
    let others = widths.into_iter().enumerate().skip(1).filter(|(_, other)| *other < largest);
    let all = std::iter::once((0, largest)).chain(others);
    all.map(|(index, wide)| (index, (wide, scale(wide, height, width).clamp(1, MAX_WEBP_SIDE)))).collect()
}

/// Returns `length` · `numerator` / `denominator`, rounded down.
fn scale(length: u32, numerator: u32, denominator: u32) -> u32 {
    let scaled = u64::from(length) * u64::from(numerator) / u64::from(denominator.max(1));
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
