//! Decoding within limits, with orientation and color.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageResult, Limits, RgbImage, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::{
    Declared, ImageError, MAX_ANIMATION_BYTES, MAX_DECODED_BYTES, MAX_FRAMES, MAX_PIXELS, MAX_PROFILE_BYTES,
    MAX_SIDE,
};
use super::{filter, frames, resize, sizes};
use crate::domain::ImageFilter;
use crate::media::sniff::FileFormat;

/// Reads the header of a file, and checks what it declares before anything is decoded.
pub(super) fn inspect(file: &[u8], format: FileFormat) -> Result<Declared, ImageError> {
    // The picture itself is not decoded.
    let decoder = decoder(file, format, &limits(0))?;
    let (width, height) = decoder.dimensions();
    let (pixels, frame_bytes) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    if pixels > MAX_PIXELS || frame_bytes > MAX_DECODED_BYTES || width.max(height) > MAX_SIDE {
        return Err(ImageError::TooManyPixels { width, height });
    }
    if pixels == 0 {
        return Err(ImageError::Broken("it has no pixels".to_owned()));
    }
    let is_whole = match format {
        FileFormat::Jpeg => frames::is_whole_jpeg(file),
        FileFormat::Webp => frames::is_whole_webp(file),
        _ => true,
    };
    if !is_whole {
        return Err(ImageError::Broken("its end is missing".to_owned()));
    }
    let count = match format {
        FileFormat::Gif => frames::of_gif(file, MAX_FRAMES),
        FileFormat::Webp => frames::of_webp(file, MAX_FRAMES),
        _ => 1,
    };
    // Frames are decoded with four channels.
    if count > MAX_FRAMES || (count > 1 && pixels * 4 * count as u64 > MAX_ANIMATION_BYTES) {
        return Err(ImageError::TooManyFrames);
    }
    Ok(Declared { frame_bytes, is_animated: count > 1 })
}

/// Returns the width and height of a picture as displayed, from its header alone: the first part of a large file is enough.
///
/// # Errors
/// The reason why the header cannot be read.
pub fn dimensions(file: &[u8], format: FileFormat) -> Result<(u32, u32), ImageError> {
    let mut decoder = decoder(file, format, &limits(0))?;
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(if is_sideways(orientation) { (height, width) } else { (width, height) })
}

/// Returns the limits for the decoder of a picture of this size: beside the picture it has buffers, and the profile.
pub(super) fn limits(frame_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * frame_bytes + MAX_PROFILE_BYTES);
    limits
}

fn decoder<'a>(
    file: &'a [u8],
    format: FileFormat,
    limits: &Limits,
) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    fn boxed<'a, D: ImageDecoder + 'a>(
        decoder: ImageResult<D>,
        limits: &Limits,
    ) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
        let mut decoder = decoder.map_err(ImageError::broken)?;
        decoder.set_limits(limits.clone()).map_err(ImageError::broken)?;
        Ok(Box::new(decoder))
    }
    let reader = Cursor::new(file);
    match format {
        FileFormat::Jpeg => boxed(JpegDecoder::new(reader), limits),
        FileFormat::Png => boxed(PngDecoder::with_limits(reader, limits.clone()), limits),
        FileFormat::Gif => boxed(GifDecoder::new(reader), limits),
        FileFormat::Webp => boxed(WebPDecoder::new(reader), limits),
        FileFormat::Video(_) => Err(ImageError::Broken("it is a video".to_owned())),
    }
}

/// Decodes a picture in the largest size that is stored: upright, in sRGB, with 8 bits for each channel.
pub(super) fn still(
    file: &[u8],
    format: FileFormat,
    frame_bytes: u64,
    filter: ImageFilter,
) -> Result<DynamicImage, ImageError> {
    let mut decoder = decoder(file, format, &limits(frame_bytes))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let picture = eight_bits(DynamicImage::from_decoder(decoder).map_err(ImageError::broken)?);
    // The rest is done in the smaller size.
    let (width, height) = (picture.width(), picture.height());
    let sideways = is_sideways(orientation);
    let (upright_width, upright_height) = if sideways { (height, width) } else { (width, height) };
    let (_, (new_width, new_height)) = sizes(upright_width, upright_height)[0];
    let size = if sideways { (new_height, new_width) } else { (new_width, new_height) };
    let picture = resize::resize(picture, size)?;
    let mut picture = to_srgb(picture, profile.as_deref());
    picture.apply_orientation(orientation);
    filter::apply(&mut picture, filter);
    Ok(picture)
}

fn is_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Reduces the channels to 8 bits: gray, RGB or RGBA.
fn eight_bits(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => picture,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(picture.into_luma8()),
        picture if picture.color().has_alpha() => DynamicImage::ImageRgba8(picture.into_rgba8()),
        picture => DynamicImage::ImageRgb8(picture.into_rgb8()),
    }
}

/// Converts a picture to RGB or RGBA in the color space of the web. A profile that cannot be read, or is for another kind of
/// picture, is ignored, as in browsers.
fn to_srgb(picture: DynamicImage, profile: Option<&[u8]>) -> DynamicImage {
    let profile = profile.and_then(|profile| ColorProfile::new_from_slice(profile).ok());
    let space = profile.as_ref().map(|profile| profile.color_space);
    let convert = |from: &[u8], layout: Layout, to_layout: Layout, length: usize| {
        let profile = profile.as_ref()?;
        let srgb = ColorProfile::new_srgb();
        let transform =
            profile.create_transform_8bit(layout, &srgb, to_layout, TransformOptions::default()).ok()?;
        let mut to = vec![0; length];
        transform.transform(from, &mut to).ok()?;
        Some(to)
    };
    let (width, height) = (picture.width(), picture.height());
    match (picture, space) {
        (DynamicImage::ImageLuma8(gray), Some(DataColorSpace::Gray)) => {
            let bytes = convert(gray.as_raw(), Layout::Gray, Layout::Rgb, 3 * gray.as_raw().len());
            let converted = bytes.and_then(|bytes| RgbImage::from_raw(width, height, bytes));
            converted.map_or_else(|| gray_to_rgb(gray), DynamicImage::ImageRgb8)
        }
        (DynamicImage::ImageLuma8(gray), _) => gray_to_rgb(gray),
        (DynamicImage::ImageRgb8(rgb), Some(DataColorSpace::Rgb)) => {
            let bytes = convert(rgb.as_raw(), Layout::Rgb, Layout::Rgb, rgb.as_raw().len());
            let converted = bytes.and_then(|bytes| RgbImage::from_raw(width, height, bytes));
            DynamicImage::ImageRgb8(converted.unwrap_or(rgb))
        }
        (DynamicImage::ImageRgba8(rgba), Some(DataColorSpace::Rgb)) => {
            let bytes = convert(rgba.as_raw(), Layout::Rgba, Layout::Rgba, rgba.as_raw().len());
            let converted = bytes.and_then(|bytes| RgbaImage::from_raw(width, height, bytes));
            DynamicImage::ImageRgba8(converted.unwrap_or(rgba))
        }
        (picture, _) => picture,
    }
}

fn gray_to_rgb(gray: GrayImage) -> DynamicImage {
    DynamicImage::ImageRgb8(DynamicImage::ImageLuma8(gray).into_rgb8())
}
