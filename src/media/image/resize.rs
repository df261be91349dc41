//! Smaller forms of a picture.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::{ImageError, scale};

/// The maximum width and height of what a preview is made from.
const PREVIEW_SIDE: u32 = 100;

/// Returns a picture of gray, RGB or RGBA in a size.
pub(super) fn resize(picture: DynamicImage, size: (u32, u32)) -> Result<DynamicImage, ImageError> {
    if (picture.width(), picture.height()) == size {
        return Ok(picture);
    }
    resized(&picture, size)
}

/// As [`resize`], of a borrowed picture.
pub(super) fn resized(
    picture: &DynamicImage,
    (width, height): (u32, u32),
) -> Result<DynamicImage, ImageError> {
    let pixels = match picture {
        DynamicImage::ImageLuma8(_) => PixelType::U8,
        DynamicImage::ImageRgb8(_) => PixelType::U8x3,
        DynamicImage::ImageRgba8(_) => PixelType::U8x4,
        _ => return Err(ImageError::Broken("its pixels are of an unknown type".to_owned())),
    };
    let source = ImageRef::new(picture.width(), picture.height(), picture.as_bytes(), pixels)
        .map_err(ImageError::broken)?;
    let mut target = Image::new(width, height, pixels);
    Resizer::new().resize(&source, &mut target, None).map_err(ImageError::broken)?;
    let bytes = target.into_vec();
    let picture = match pixels {
        PixelType::U8 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        PixelType::U8x3 => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    Ok(picture.expect("a buffer has the size of its picture"))
}

/// Returns the blurred preview of a picture.
pub(super) fn thumbhash(picture: &DynamicImage) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (picture.width(), picture.height());
    let size = if width >= height {
        (PREVIEW_SIDE.min(width), scale(PREVIEW_SIDE.min(width), height, width).max(1))
    } else {
        (scale(PREVIEW_SIDE.min(height), width, height).max(1), PREVIEW_SIDE.min(height))
    };
    let small = resized(picture, size)?.into_rgba8();
    Ok(thumbhash::rgba_to_thumb_hash(size.0 as usize, size.1 as usize, small.as_raw()))
}
