//! The filters of the original, with its factors: contrast, saturation, sharpness and brightness move each pixel away from
//! a reference, and colors are shifted.

use image::{DynamicImage, Pixel as _};

use crate::domain::ImageFilter;

/// The steps of a filter, in this order. A factor of 1 changes nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Recipe {
    contrast: f32,
    sharpness: f32,
    saturation: f32,
    brightness: f32,
    shift: [f32; 3],
}

const NONE: Recipe =
    Recipe { contrast: 1.0, sharpness: 1.0, saturation: 1.0, brightness: 1.0, shift: [0.0; 3] };

fn recipe(filter: ImageFilter) -> Recipe {
    match filter {
        ImageFilter::None => NONE,
        ImageFilter::AutoEnhance => Recipe { contrast: 1.15, sharpness: 1.2, saturation: 1.1, ..NONE },
        ImageFilter::Warm => Recipe { saturation: 1.15, shift: [10.0, 5.0, -10.0], ..NONE },
        ImageFilter::Cool => Recipe { contrast: 1.1, shift: [-10.0, 0.0, 15.0], ..NONE },
        ImageFilter::HighContrast => Recipe { contrast: 1.4, sharpness: 1.15, ..NONE },
        ImageFilter::Bw => Recipe { contrast: 1.2, saturation: 0.0, ..NONE },
        ImageFilter::Vivid => Recipe { contrast: 1.15, saturation: 1.5, brightness: 1.05, ..NONE },
        ImageFilter::Vintage => Recipe { contrast: 0.95, saturation: 0.7, shift: [15.0, 5.0, -20.0], ..NONE },
    }
}

/// Applies a filter to a picture of RGB or RGBA. Transparency stays.
pub(super) fn apply(picture: &mut DynamicImage, filter: ImageFilter) {
    let recipe = recipe(filter);
    if recipe == NONE {
        return;
    }
    if recipe.sharpness > 1.0 {
        sharpen(picture, recipe.sharpness);
    }
    let mean = mean_luma(picture);
    let change = |channels: &mut [u8]| {
        let color = [channels[0], channels[1], channels[2]].map(f32::from);
        let color = color.map(|channel| away(mean, channel, recipe.contrast));
        let gray = luma(color);
        for (index, channel) in color.into_iter().enumerate() {
            let saturated = away(gray, channel, recipe.saturation);
            channels[index] = byte(saturated * recipe.brightness + recipe.shift[index]);
        }
    };
    match picture {
        DynamicImage::ImageRgb8(rgb) => rgb.pixels_mut().for_each(|pixel| change(pixel.channels_mut())),
        DynamicImage::ImageRgba8(rgba) => rgba.pixels_mut().for_each(|pixel| change(pixel.channels_mut())),
        _ => {}
    }
}

/// Moves a value away from a reference.
fn away(reference: f32, value: f32, factor: f32) -> f32 {
    reference + (value - reference) * factor
}

fn luma([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

fn byte(value: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and 255")]
    let byte = value.round().clamp(0.0, 255.0) as u8;
    byte
}

fn mean_luma(picture: &DynamicImage) -> f32 {
    let channels = usize::from(picture.color().channel_count());
    let sum: u64 = picture
        .as_bytes()
        .chunks_exact(channels)
        .map(|pixel| u64::from(byte(luma([pixel[0], pixel[1], pixel[2]].map(f32::from)))))
        .sum();
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
    let mean = (sum / pixels.max(1)) as f32;
    mean
}

/// Moves each pixel away from a blend of itself and its neighbors.
fn sharpen(picture: &mut DynamicImage, factor: f32) {
    let channels = usize::from(picture.color().channel_count());
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let source = picture.as_bytes().to_vec();
    let row = width * channels;
    let sharpened = |x: usize, y: usize, channel: usize| {
        let center = y * row + x * channels + channel;
        let around = [center - row, center, center + row];
        let sum: u32 = around
            .iter()
            .flat_map(|middle| [middle - channels, *middle, middle + channels])
            .map(|index| u32::from(source[index]))
            .sum();
        let smooth = f32::from(u16::try_from(sum + 4 * u32::from(source[center])).unwrap_or(u16::MAX)) / 13.0;
        (center, byte(away(smooth, f32::from(source[center]), factor)))
    };
    let target: &mut [u8] = match picture {
        DynamicImage::ImageRgb8(rgb) => rgb.as_mut(),
        DynamicImage::ImageRgba8(rgba) => rgba.as_mut(),
        _ => return,
    };
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for channel in 0..3 {
                let (index, value) = sharpened(x, y, channel);
                target[index] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn filtered(filter: ImageFilter, color: [u8; 3]) -> [u8; 3] {
        let mut picture = DynamicImage::ImageRgb8(RgbImage::from_pixel(4, 4, Rgb(color)));
        apply(&mut picture, filter);
        picture.into_rgb8().get_pixel(2, 2).0
    }

    #[test]
    fn every_filter_changes_colors_as_the_original_did() {
        let color = [200, 100, 50];
        assert_eq!(filtered(ImageFilter::None, color), color);
        let [red, green, blue] = filtered(ImageFilter::Bw, color);
        assert!(red == green && green == blue);
        let warm = filtered(ImageFilter::Warm, [100, 100, 100]);
        assert_eq!(warm, [110, 105, 90]);
        assert_eq!(filtered(ImageFilter::Cool, [100, 100, 100]), [90, 100, 115]);
        for filter in ImageFilter::ALL.iter().filter(|filter| **filter != ImageFilter::None) {
            assert_ne!(filtered(*filter, color), color, "{filter:?}");
        }
    }

    #[test]
    fn sharpening_raises_edges() {
        let mut picture = RgbImage::from_pixel(5, 5, Rgb([100; 3]));
        picture.put_pixel(2, 2, Rgb([200; 3]));
        let mut picture = DynamicImage::ImageRgb8(picture);
        sharpen(&mut picture, 1.2);
        let picture = picture.into_rgb8();
        assert!(picture.get_pixel(2, 2).0[0] > 200 && picture.get_pixel(1, 2).0[0] < 100);
        assert_eq!(picture.get_pixel(0, 0).0, [100; 3]);
    }
}
