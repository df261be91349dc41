//! Animated pictures: frame by frame from GIF or WebP to animated WebP, so that one frame is in memory at a time.

use std::io::Cursor;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::LoopCount;
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder, RgbaImage};

use super::webp_file::{AnimationWriter, Area, encode};
use super::{
    ImageError, MAX_DECODED_BYTES, MAX_FRAMES, Picture, PictureVariant, decode, filter, resize, sizes,
};
use crate::domain::ImageFilter;
use crate::media::sniff::FileFormat;

/// Converts an animated file.
pub(super) fn convert(file: &[u8], format: FileFormat, filter: ImageFilter) -> Result<Picture, ImageError> {
    let reader = Cursor::new(file);
    match format {
        FileFormat::Gif => frames(GifDecoder::new(reader).map_err(ImageError::broken)?, filter),
        _ => frames(WebPDecoder::new(reader).map_err(ImageError::broken)?, filter),
    }
}

fn frames<'a, D>(mut decoder: D, filter: ImageFilter) -> Result<Picture, ImageError>
where
    D: ImageDecoder + AnimationDecoder<'a>,
{
    decoder.set_limits(decode::limits(MAX_DECODED_BYTES)).map_err(ImageError::broken)?;
    let (width, height) = decoder.dimensions();
    let loops = match decoder.loop_count() {
        LoopCount::Infinite => 0,
        LoopCount::Finite(count) => u16::try_from(count.get()).unwrap_or(u16::MAX),
    };
    let sizes = sizes(width, height);
    let tracks = sizes.into_iter().map(|(index, size)| Track::new(index, size, loops)).collect();
    encode_frames(decoder.into_frames(), tracks, filter)
}

fn encode_frames(
    frames: Frames<'_>,
    mut tracks: Vec<Track>,
    filter: ImageFilter,
) -> Result<Picture, ImageError> {
    let (mut thumbhash, mut duration) = (Vec::new(), Duration::ZERO);
    for (number, frame) in frames.enumerate() {
        if number >= MAX_FRAMES {
            return Err(ImageError::TooManyFrames);
        }
        let frame = frame.map_err(ImageError::broken)?;
        let shown = Duration::from(frame.delay());
        duration += shown;
        let mut picture = DynamicImage::ImageRgba8(frame.into_buffer());
        filter::apply(&mut picture, filter);
        if number == 0 {
            thumbhash = resize::thumbhash(&picture)?;
        }
        for track in &mut tracks {
            track.add(&picture, shown)?;
        }
    }
    if thumbhash.is_empty() {
        return Err(ImageError::Broken("it has no frames".to_owned()));
    }
    let variants = tracks.into_iter().map(Track::finish).collect();
    let duration_ms = u64::try_from(duration.as_millis()).ok();
    Ok(Picture { variants, thumbhash, duration_ms })
}

/// A variant that is being encoded.
struct Track {
    index: usize,
    size: (u32, u32),
    writer: AnimationWriter,
    previous: Option<RgbaImage>,
}

impl Track {
    fn new(index: usize, size: (u32, u32), loops: u16) -> Self {
        Self { index, size, writer: AnimationWriter::new(size.0, size.1, loops), previous: None }
    }

    /// Adds the part of a frame that differs from the previous one.
    fn add(&mut self, frame: &DynamicImage, shown: Duration) -> Result<(), ImageError> {
        let frame = resize::resized(frame, self.size)?.into_rgba8();
        let area = match &self.previous {
            Some(previous) => changed_area(previous, &frame),
            None => Some(Area { x: 0, y: 0, width: frame.width(), height: frame.height() }),
        };
        match area {
            Some(area) => {
                let part = image::imageops::crop_imm(&frame, area.x, area.y, area.width, area.height);
                let encoded = encode(&DynamicImage::ImageRgba8(part.to_image()))?;
                self.writer.add(area, shown, &encoded);
            }
            None => self.writer.prolong(shown),
        }
        self.previous = Some(frame);
        Ok(())
    }

    fn finish(self) -> PictureVariant {
        let Self { index, size: (width, height), writer, .. } = self;
        PictureVariant { index, width, height, bytes: writer.finish() }
    }
}

/// Returns the smallest area with even coordinates that holds all differences.
fn changed_area(one: &RgbaImage, other: &RgbaImage) -> Option<Area> {
    let width = one.width() as usize * 4;
    let rows = || one.as_raw().chunks_exact(width).zip(other.as_raw().chunks_exact(width)).enumerate();
    let differs = |(index, (one, other)): (usize, (&[u8], &[u8]))| (one != other).then_some(index);
    let top = rows().find_map(differs)?;
    let bottom = rows().rev().find_map(differs)?;
    let (mut left, mut right) = (width, 0);
    for (_, (one, other)) in rows().skip(top).take(bottom + 1 - top) {
        let unequal = |index: &usize| one[*index] != other[*index];
        if let Some(first) = (0..left).find(unequal) {
            left = first;
        }
        if let Some(last) = (right..width).rev().find(unequal) {
            right = last;
        }
    }
    let number = |index: usize| u32::try_from(index).expect("sides are short");
    let (x, y) = (number(left / 4) & !1, number(top) & !1);
    Some(Area { x, y, width: number(right / 4) + 1 - x, height: number(bottom) + 1 - y })
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    #[test]
    fn changed_area_holds_all_differences() {
        let one = RgbaImage::new(9, 7);
        assert_eq!(changed_area(&one, &one), None);
        let mut other = one.clone();
        other.put_pixel(3, 5, Rgba([1, 0, 0, 0]));
        assert_eq!(changed_area(&one, &other), Some(Area { x: 2, y: 4, width: 2, height: 2 }));
        other.put_pixel(8, 1, Rgba([0, 0, 0, 1]));
        assert_eq!(changed_area(&one, &other), Some(Area { x: 2, y: 0, width: 7, height: 6 }));
    }
}
