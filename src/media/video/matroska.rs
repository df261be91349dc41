//! WebM, a subset of Matroska: nested elements of id, size and content.

use std::io::{Read, Seek};

use super::ProbeError;
use super::bounded::{Bounded, Part};
use super::track::{Track, milliseconds};

/// Ids of elements, with the marker of their length.
mod id {
    pub(super) const EBML: u32 = 0x1A45_DFA3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const CLUSTER: u32 = 0x1F43_B675;
    pub(super) const INFO: u32 = 0x1549_A966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const TRACKS: u32 = 0x1654_AE6B;
    pub(super) const TRACK_ENTRY: u32 = 0xAE;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const VIDEO: u32 = 0xE0;
    pub(super) const PIXEL_WIDTH: u32 = 0xB0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(super) const DISPLAY_WIDTH: u32 = 0x54B0;
    pub(super) const DISPLAY_HEIGHT: u32 = 0x54BA;
    pub(super) const DISPLAY_UNIT: u32 = 0x54B2;
    pub(super) const PROJECTION: u32 = 0x7670;
    pub(super) const POSE_ROLL: u32 = 0x7675;
}

/// Reads the information and the tracks of the first segment.
pub(super) fn read<R: Read + Seek>(file: &mut Bounded<'_, R>) -> Result<Track, ProbeError> {
    let whole = Part { start: 0, end: file.length() };
    let header = next_element(file, whole, 0)?.filter(|header| header.id == id::EBML);
    let header = header.ok_or(ProbeError::Unsupported)?;
    if !is_webm(file, header.content)? {
        return Err(ProbeError::Unsupported);
    }
    let segment = child(file, whole, header.content.end, id::SEGMENT)?;
    let segment = segment.ok_or(ProbeError::Malformed("it has no segment"))?;
    let (mut sides, mut duration_ms, mut has_information) = (None, None, false);
    let mut at = segment.start;
    while let Some(Element { id, content }) = next_element(file, segment, at)? {
        match id {
            id::INFO => (duration_ms, has_information) = (duration(file, content)?, true),
            id::TRACKS if sides.is_none() => sides = Some(video_sides(file, content)?),
            // Players do not look for tracks behind the data either; a cluster may have no end.
            id::CLUSTER => break,
            _ => {}
        }
        if has_information && sides.is_some() {
            break;
        }
        at = content.end;
    }
    let (width, height) = sides.flatten().ok_or(ProbeError::NoVideo)?;
    Ok(Track { width, height, duration_ms })
}

struct Element {
    id: u32,
    content: Part,
}

/// Returns the element at a position of its parent. One of unknown size extends to the end of the parent.
fn next_element<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    at: u64,
) -> Result<Option<Element>, ProbeError> {
    let rest = Part { start: at, end: parent.end };
    if rest.length() == 0 {
        return Ok(None);
    }
    let mut header = [0; 12];
    let available = usize::try_from(rest.length()).unwrap_or(usize::MAX).min(header.len());
    let header = &mut header[..available];
    file.read_at(at, header)?;
    // The number of leading zero bits says how many bytes follow.
    let split = |bytes: &[u8], longest: usize| {
        let length = bytes.first()?.leading_zeros() as usize + 1;
        let number = bytes.get(..length).filter(|_| length <= longest)?;
        Some((length, number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
    };
    let damaged = ProbeError::Malformed("an element has an impossible header");
    let Some((id_length, id)) = split(header, 4) else { return Err(damaged) };
    let id = u32::try_from(id).expect("it has four bytes at most");
    let Some((size_length, size)) = split(&header[id_length..], 8) else { return Err(damaged) };
    let mask = (1_u64 << (7 * size_length)) - 1;
    let size = size & mask;
    let start = at + (id_length + size_length) as u64;
    let end = if size == mask { Some(parent.end) } else { start.checked_add(size) };
    // The data at the end may be cut off; headers are noticed when they are read.
    let end = match end {
        Some(end) if end <= parent.end => end,
        _ if matches!(id, id::SEGMENT | id::CLUSTER) => parent.end,
        _ => return Err(ProbeError::Malformed("an element has an impossible size")),
    };
    Ok(Some(Element { id, content: Part { start, end } }))
}

fn child<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    mut at: u64,
    wanted: u32,
) -> Result<Option<Part>, ProbeError> {
    while let Some(Element { id, content }) = next_element(file, parent, at)? {
        if id == wanted {
            return Ok(Some(content));
        }
        at = content.end;
    }
    Ok(None)
}

fn is_webm<R: Read + Seek>(file: &mut Bounded<'_, R>, header: Part) -> Result<bool, ProbeError> {
    let Some(name) = child(file, header, header.start, id::DOC_TYPE)? else { return Ok(false) };
    // Texts may be padded with zero bytes.
    Ok(name.length() >= 4
        && &file.read_in::<4>(&name, 0)? == b"webm"
        && (name.length() == 4 || file.read_in::<1>(&name, 4)? == [0]))
}

/// Returns an unsigned number, which is at most eight bytes long.
fn unsigned<R: Read + Seek>(file: &mut Bounded<'_, R>, content: Part) -> Result<u64, ProbeError> {
    let mut bytes = [0; 8];
    let length = usize::try_from(content.length()).unwrap_or(usize::MAX);
    let filled = bytes.get_mut(..length).ok_or(ProbeError::Malformed("a number is too long"))?;
    file.read_at(content.start, filled)?;
    Ok(filled.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn float<R: Read + Seek>(file: &mut Bounded<'_, R>, content: Part) -> Result<f64, ProbeError> {
    match content.length() {
        0 => Ok(0.0),
        4 => Ok(f32::from_be_bytes(file.read_in(&content, 0)?).into()),
        8 => Ok(f64::from_be_bytes(file.read_in(&content, 0)?)),
        _ => Err(ProbeError::Malformed("a number has an impossible length")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are wanted")]
fn duration<R: Read + Seek>(file: &mut Bounded<'_, R>, information: Part) -> Result<Option<u64>, ProbeError> {
    let Some(duration) = child(file, information, information.start, id::DURATION)? else { return Ok(None) };
    let duration = float(file, duration)?;
    let nanoseconds = match child(file, information, information.start, id::TIMESTAMP_SCALE)? {
        Some(scale) => unsigned(file, scale)?,
        None => 1_000_000,
    };
    Ok(milliseconds(duration * nanoseconds as f64, 1e9))
}

/// Returns the sides of the first video track.
fn video_sides<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    tracks: Part,
) -> Result<Option<(u32, u32)>, ProbeError> {
    const VIDEO: u64 = 1;
    let mut at = tracks.start;
    while let Some(Element { id, content }) = next_element(file, tracks, at)? {
        at = content.end;
        if id != id::TRACK_ENTRY {
            continue;
        }
        let Some(kind) = child(file, content, content.start, id::TRACK_TYPE)? else { continue };
        if unsigned(file, kind)? != VIDEO {
            continue;
        }
        let video = child(file, content, content.start, id::VIDEO)?;
        return display_sides(file, video.ok_or(ProbeError::Malformed("a track has no dimensions"))?)
            .map(Some);
    }
    Ok(None)
}

fn display_sides<R: Read + Seek>(file: &mut Bounded<'_, R>, video: Part) -> Result<(u32, u32), ProbeError> {
    const PIXELS: u64 = 0;
    let (mut pixels, mut display, mut unit, mut quarter_turned) = ((0, 0), (None, None), PIXELS, false);
    let mut at = video.start;
    while let Some(Element { id, content }) = next_element(file, video, at)? {
        match id {
            id::PIXEL_WIDTH => pixels.0 = unsigned(file, content)?,
            id::PIXEL_HEIGHT => pixels.1 = unsigned(file, content)?,
            id::DISPLAY_WIDTH => display.0 = Some(unsigned(file, content)?),
            id::DISPLAY_HEIGHT => display.1 = Some(unsigned(file, content)?),
            id::DISPLAY_UNIT => unit = unsigned(file, content)?,
            id::PROJECTION => {
                if let Some(roll) = child(file, content, content.start, id::POSE_ROLL)? {
                    quarter_turned = (float(file, roll)?.abs() - 90.0).abs() < 1.0;
                }
            }
            _ => {}
        }
        at = content.end;
    }
    // Other units (a length, a ratio) say nothing about pixels.
    let (width, height) = match display {
        (Some(width), Some(height)) if unit == PIXELS => (width, height),
        _ => pixels,
    };
    let side = |side: u64| u32::try_from(side).map_err(|_| ProbeError::Malformed("impossible dimensions"));
    let (width, height) = (side(width)?, side(height)?);
    Ok(if quarter_turned { (height, width) } else { (width, height) })
}
