//! Encoding as WebP, and the container of animated files.

use std::time::Duration;

use image::DynamicImage;
use rayon::prelude::*;
use webp::{Encoder, WebPConfig};

use super::{ImageError, PictureVariant, resize, sizes};

/// The quality of lossy encoding, of 100.
const QUALITY: f32 = 85.0;

/// Encodes a picture in all of its widths, on the threads of the pool that it runs in.
pub(super) fn encode_all(picture: &DynamicImage) -> Result<Vec<PictureVariant>, ImageError> {
    let sizes = sizes(picture.width(), picture.height());
    let variant = |&(index, (width, height)): &(usize, (u32, u32))| {
        let smaller;
        let picture = if index == 0 {
            picture
        } else {
            smaller = resize::resized(picture, (width, height))?;
            &smaller
        };
        Ok(PictureVariant { index, width, height, bytes: encode(picture)? })
    };
    sizes.par_iter().map(variant).collect()
}

/// Encodes a picture of RGB or RGBA.
pub(super) fn encode(picture: &DynamicImage) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (picture.width(), picture.height());
    let encoder = match picture {
        DynamicImage::ImageRgba8(rgba) => Encoder::from_rgba(rgba.as_raw(), width, height),
        DynamicImage::ImageRgb8(rgb) => Encoder::from_rgb(rgb.as_raw(), width, height),
        _ => return Err(ImageError::Broken("its pixels are of an unknown type".to_owned())),
    };
    let mut config = WebPConfig::new().map_err(|()| ImageError::Broken("no encoder".to_owned()))?;
    config.quality = QUALITY;
    let file = encoder.encode_advanced(&config);
    file.map(|bytes| bytes.to_vec()).map_err(|error| ImageError::Broken(format!("{error:?}")))
}

/// A part of the canvas of an animated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Writes an animated file, frame by frame. (The crate's own writer takes all frames at once, decoded.)
pub(super) struct AnimationWriter {
    file: Vec<u8>,
    /// The position of the last frame's duration.
    last_duration: usize,
}

/// Flags of the file: it has transparent parts, and frames.
const ALPHA_AND_ANIMATION: u8 = 0x12;
/// A flag of a frame: it replaces what is there.
const REPLACES: u8 = 0x02;

impl AnimationWriter {
    /// Begins a file that is shown `loops` times; 0 is without end.
    pub(super) fn new(width: u32, height: u32, loops: u16) -> Self {
        let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
        file.extend([ALPHA_AND_ANIMATION, 0, 0, 0]);
        file.extend(&(width - 1).to_le_bytes()[..3]);
        file.extend(&(height - 1).to_le_bytes()[..3]);
        file.extend(b"ANIM\x06\0\0\0\0\0\0\0");
        file.extend(loops.to_le_bytes());
        Self { file, last_duration: 0 }
    }

    /// Adds a frame, of which `encoded` is a file of its own. Its offset has even coordinates.
    pub(super) fn add(&mut self, area: Area, duration: Duration, encoded: &[u8]) {
        let start = self.file.len();
        self.file.extend(b"ANMF\0\0\0\0");
        for number in [area.x / 2, area.y / 2, area.width - 1, area.height - 1] {
            self.file.extend(&number.to_le_bytes()[..3]);
        }
        self.last_duration = self.file.len();
        self.file.extend(&milliseconds(duration).to_le_bytes()[..3]);
        self.file.push(REPLACES);
        let mut rest = encoded.get(12..).unwrap_or_default();
        while let Some((head, body)) = rest.split_at_checked(8) {
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let padded = (size + size % 2).min(body.len());
            if [b"ALPH", b"VP8 ", b"VP8L"].iter().any(|name| head.starts_with(*name)) {
                self.file.extend(head);
                self.file.extend(&body[..padded]);
            }
            rest = &body[padded..];
        }
        self.set_size(start);
    }

    /// Extends the duration of the last frame.
    pub(super) fn prolong(&mut self, duration: Duration) {
        let Some([a, b, c]) = self.file.get(self.last_duration..self.last_duration + 3) else { return };
        let shown = Duration::from_millis(u32::from_le_bytes([*a, *b, *c, 0]).into());
        let bytes = milliseconds(shown + duration).to_le_bytes();
        self.file[self.last_duration..self.last_duration + 3].copy_from_slice(&bytes[..3]);
    }

    /// Returns the file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.set_size(0);
        self.file
    }

    /// Writes the size of the chunk that begins at `start` and ends here.
    fn set_size(&mut self, start: usize) {
        let size = u32::try_from(self.file.len() - start - 8).expect("the size of decoded frames is limited");
        self.file[start + 4..start + 8].copy_from_slice(&size.to_le_bytes());
    }
}

/// Returns a duration in milliseconds, as large as a file can say.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).min(0x00ff_ffff)
}
