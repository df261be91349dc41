//! AVI: chunks of type, size and content, in lists.

use std::io::{Read, Seek};

use super::ProbeError;
use super::bounded::{Bounded, Part};
use super::track::{Track, milliseconds};

/// Reads the list of headers.
pub(super) fn read<R: Read + Seek>(file: &mut Bounded<'_, R>) -> Result<Track, ProbeError> {
    let whole = Part { start: 12, end: file.length() };
    let headers = list(file, whole, *b"hdrl")?.ok_or(ProbeError::Malformed("it has no headers"))?;
    let mut at = headers.start;
    while let Some((kind, content, next)) = next_chunk(file, headers, at)? {
        at = next;
        if &kind != b"LIST" || content.length() < 4 || &file.read_in::<4>(&content, 0)? != b"strl" {
            continue;
        }
        let stream = Part { start: content.start + 4, ..content };
        if let Some(track) = video_stream(file, stream)? {
            return Ok(track);
        }
    }
    Err(ProbeError::NoVideo)
}

/// Returns type and content of the chunk at a position of its parent, and the position of the next one.
fn next_chunk<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    at: u64,
) -> Result<Option<([u8; 4], Part, u64)>, ProbeError> {
    let rest = Part { start: at, end: parent.end };
    if rest.length() < 8 {
        return Ok(None);
    }
    let [a, b, c, d, size @ ..] = file.read_in::<8>(&rest, 0)?;
    let size = u64::from(u32::from_le_bytes(size));
    let content = Part { start: at + 8, end: at + 8 + size };
    if content.end > parent.end {
        return Err(ProbeError::Malformed("a chunk has an impossible size"));
    }
    // Chunks begin at even positions.
    Ok(Some(([a, b, c, d], content, content.end + size % 2)))
}

fn list<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    wanted: [u8; 4],
) -> Result<Option<Part>, ProbeError> {
    let mut at = parent.start;
    while let Some((kind, content, next)) = next_chunk(file, parent, at)? {
        if &kind == b"LIST" && content.length() >= 4 && file.read_in::<4>(&content, 0)? == wanted {
            return Ok(Some(Part { start: content.start + 4, ..content }));
        }
        at = next;
    }
    Ok(None)
}

fn chunk<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    wanted: [u8; 4],
) -> Result<Option<Part>, ProbeError> {
    let mut at = parent.start;
    while let Some((kind, content, next)) = next_chunk(file, parent, at)? {
        if kind == wanted {
            return Ok(Some(content));
        }
        at = next;
    }
    Ok(None)
}

fn video_stream<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    stream: Part,
) -> Result<Option<Track>, ProbeError> {
    let header = chunk(file, stream, *b"strh")?.ok_or(ProbeError::Malformed("a stream has no header"))?;
    if &file.read_in::<4>(&header, 0)? != b"vids" {
        return Ok(None);
    }
    let scale = u32::from_le_bytes(file.read_in(&header, 20)?);
    let rate = u32::from_le_bytes(file.read_in(&header, 24)?);
    let frames = u32::from_le_bytes(file.read_in(&header, 32)?);
    let format = chunk(file, stream, *b"strf")?.ok_or(ProbeError::Malformed("a stream has no format"))?;
    let width = i32::from_le_bytes(file.read_in(&format, 4)?).unsigned_abs();
    // A negative height means that the rows are stored from the top.
    let height = i32::from_le_bytes(file.read_in(&format, 8)?).unsigned_abs();
    let duration_ms = milliseconds(f64::from(frames) * f64::from(scale), rate.into());
    Ok(Some(Track { width, height, duration_ms }))
}
