//! The base media file format of ISO (mp4), and QuickTime, which it comes from: nested boxes of size, type and content.

use std::io::{Read, Seek};

use super::ProbeError;
use super::bounded::{Bounded, Element, Part, find};
use super::track::{Track, milliseconds};

/// Reads the movie box, wherever it is in the file.
pub(super) fn read<R: Read + Seek>(file: &mut Bounded<'_, R>) -> Result<Track, ProbeError> {
    let whole = Part { start: 0, end: file.length() };
    let movie = child(file, whole, *b"moov")?.ok_or(ProbeError::Malformed("it has no movie box"))?;
    let mut video: Option<VideoTrack> = None;
    let mut duration_ms = None;
    let mut at = movie.start;
    while let Some(Element { kind, content, next }) = next_box(file, movie, at)? {
        match &kind {
            b"mvhd" => duration_ms = duration_ms.or(movie_duration(file, content)?),
            b"mvex" if duration_ms.is_none() => duration_ms = fragments_duration(file, movie, content)?,
            // The first enabled track is the one that players choose.
            b"trak" if video.as_ref().is_none_or(|video| !video.is_enabled) => {
                let other = video_track(file, content)?;
                video = other.filter(|other| video.is_none() || other.is_enabled).or(video);
            }
            _ => {}
        }
        at = next;
    }
    let (width, height) = video.ok_or(ProbeError::NoVideo)?.sides;
    Ok(Track { width, height, duration_ms })
}

/// Returns the box at a position of its parent.
fn next_box<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    at: u64,
) -> Result<Option<Element>, ProbeError> {
    let rest = Part { start: at, end: parent.end };
    // QuickTime ends some lists with four zero bytes.
    if rest.length() < 8 {
        return Ok(None);
    }
    let [a, b, c, d, kind @ ..] = file.read_in::<8>(&rest, 0)?;
    let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, rest.length()),
        1 => (16, u64::from_be_bytes(file.read_in(&rest, 8)?)),
        size => (8, u64::from(size)),
    };
    if size < header || size > rest.length() {
        return Err(ProbeError::Malformed("a box has an impossible size"));
    }
    let content = Part { start: at + header, end: at + size };
    Ok(Some(Element { kind, content, next: at + size }))
}

fn child<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    kind: [u8; 4],
) -> Result<Option<Part>, ProbeError> {
    find(file, parent, kind, next_box)
}

/// Returns the version of a full box.
fn version<R: Read + Seek>(file: &mut Bounded<'_, R>, content: Part) -> Result<u8, ProbeError> {
    Ok(file.read_in::<1>(&content, 0)?[0])
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are wanted")]
fn movie_duration<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    header: Part,
) -> Result<Option<u64>, ProbeError> {
    let (timescale, duration) = if version(file, header)? == 1 {
        (u32::from_be_bytes(file.read_in(&header, 20)?), u64::from_be_bytes(file.read_in(&header, 24)?))
    } else {
        let duration = u32::from_be_bytes(file.read_in(&header, 16)?);
        // All ones mean unknown.
        let duration = if duration == u32::MAX { u64::MAX } else { u64::from(duration) };
        (u32::from_be_bytes(file.read_in(&header, 12)?), duration)
    };
    Ok(if duration == u64::MAX { None } else { milliseconds(duration as f64, f64::from(timescale)) })
}

/// Returns the duration that a fragmented file states for all of its fragments.
#[expect(clippy::cast_precision_loss, reason = "milliseconds are wanted")]
fn fragments_duration<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    movie: Part,
    extends: Part,
) -> Result<Option<u64>, ProbeError> {
    let Some(header) = child(file, extends, *b"mehd")? else { return Ok(None) };
    let Some(movie_header) = child(file, movie, *b"mvhd")? else { return Ok(None) };
    let timescale_at = if version(file, movie_header)? == 1 { 20 } else { 12 };
    let timescale = u32::from_be_bytes(file.read_in(&movie_header, timescale_at)?);
    let duration = if version(file, header)? == 1 {
        u64::from_be_bytes(file.read_in(&header, 4)?)
    } else {
        u64::from(u32::from_be_bytes(file.read_in(&header, 4)?))
    };
    Ok(milliseconds(duration as f64, f64::from(timescale)))
}

struct VideoTrack {
    is_enabled: bool,
    sides: (u32, u32),
}

/// Returns a track if it is a video.
fn video_track<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    track: Part,
) -> Result<Option<VideoTrack>, ProbeError> {
    let Some(media) = child(file, track, *b"mdia")? else { return Ok(None) };
    let Some(handler) = child(file, media, *b"hdlr")? else { return Ok(None) };
    if &file.read_in::<4>(&handler, 8)? != b"vide" {
        return Ok(None);
    }
    let header = child(file, track, *b"tkhd")?.ok_or(ProbeError::Malformed("a track has no header"))?;
    let is_enabled = file.read_in::<1>(&header, 3)?[0] & 1 == 1;
    let geometry_at = if version(file, header)? == 1 { 52 } else { 40 };
    let geometry: [u8; 44] = file.read_in(&header, geometry_at)?;
    let word = |index: usize| {
        let bytes = geometry[4 * index..].first_chunk().expect("the geometry has eleven words");
        u32::from_be_bytes(*bytes)
    };
    // A matrix of nine words, whose first, second, fourth and fifth rotate; then the sides in 1/65,536 of a pixel.
    let quarter_turned = word(0) == 0 && word(4) == 0 && word(1) != 0 && word(3) != 0;
    let (width, height) = match coded_sides(file, media)? {
        // QuickTime does not apply the shape of the pixels to the sides of a track.
        Some(Coded { sides: (width, height), pixel: Some(pixel) }) => (pixel.stretch(width), height),
        Some(Coded { sides, pixel: None }) if word(9) == 0 || word(10) == 0 => sides,
        _ => (rounded(word(9)), rounded(word(10))),
    };
    let sides = if quarter_turned { (height, width) } else { (width, height) };
    Ok(Some(VideoTrack { is_enabled, sides }))
}

fn rounded(fixed: u32) -> u32 {
    (fixed >> 16) + (fixed >> 15 & 1)
}

/// The encoded pictures.
struct Coded {
    sides: (u32, u32),
    pixel: Option<PixelShape>,
}

/// The proportions of a pixel.
struct PixelShape {
    horizontal: u32,
    vertical: u32,
}

impl PixelShape {
    fn stretch(&self, width: u32) -> u32 {
        let (horizontal, vertical) = (u64::from(self.horizontal), u64::from(self.vertical));
        let stretched = (u64::from(width) * horizontal + vertical / 2) / vertical;
        u32::try_from(stretched).unwrap_or(u32::MAX)
    }
}

/// Returns what the first description of samples says about the pictures.
fn coded_sides<R: Read + Seek>(file: &mut Bounded<'_, R>, media: Part) -> Result<Option<Coded>, ProbeError> {
    /// The fields that all descriptions of videos begin with.
    const FIELDS: u64 = 78;
    let mut part = media;
    for kind in [*b"minf", *b"stbl", *b"stsd"] {
        let Some(content) = child(file, part, kind)? else { return Ok(None) };
        part = content;
    }
    // Version and count come first.
    let Some(Element { content: entry, .. }) = next_box(file, part, part.start + 8)? else { return Ok(None) };
    let [a, b, c, d] = file.read_in(&entry, 24)?;
    let sides = (u16::from_be_bytes([a, b]).into(), u16::from_be_bytes([c, d]).into());
    let extensions = Part { start: entry.start + FIELDS, ..entry };
    let pixel = match child(file, extensions, *b"pasp")? {
        Some(shape) => {
            let horizontal = u32::from_be_bytes(file.read_in(&shape, 0)?);
            let vertical = u32::from_be_bytes(file.read_in(&shape, 4)?);
            (horizontal > 0 && vertical > 0).then_some(PixelShape { horizontal, vertical })
        }
        None => None,
    };
    Ok(Some(Coded { sides, pixel }))
}
