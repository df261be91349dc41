//! AVI: chunks of type, size and content, in lists.

use std::io::{Read, Seek};

use super::ProbeError;
use super::bounded::{Bounded, Element, Part, find};
use super::track::{Track, milliseconds};

/// Reads the list of headers.
pub(super) fn read<R: Read + Seek>(file: &mut Bounded<'_, R>) -> Result<Track, ProbeError> {
    let whole = Part { start: 12, end: file.length() };
    let headers =
        find(file, whole, *b"hdrl", next_chunk)?.ok_or(ProbeError::Malformed("it has no headers"))?;
    let mut at = headers.start;
    while let Some(Element { kind, content, next }) = next_chunk(file, headers, at)? {
        if &kind == b"strl"
            && let Some(track) = video_stream(file, content)?
        {
            return Ok(track);
        }
        at = next;
    }
    Err(ProbeError::NoVideo)
}

/// Returns the chunk at a position of its parent. The kind of a list is the one of its content.
fn next_chunk<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    at: u64,
) -> Result<Option<Element>, ProbeError> {
    let rest = Part { start: at, end: parent.end };
    if rest.length() < 8 {
        return Ok(None);
    }
    let [a, b, c, d, size @ ..] = file.read_in::<8>(&rest, 0)?;
    let mut kind = [a, b, c, d];
    let size = u64::from(u32::from_le_bytes(size));
    let mut content = Part { start: at + 8, end: at + 8 + size };
    if content.end > parent.end {
        return Err(ProbeError::Malformed("a chunk has an impossible size"));
    }
    if &kind == b"LIST" && content.length() >= 4 {
        kind = file.read_in(&content, 0)?;
        content.start += 4;
    }
    // Chunks begin at even positions.
    Ok(Some(Element { kind, content, next: content.end + size % 2 }))
}

fn video_stream<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    stream: Part,
) -> Result<Option<Track>, ProbeError> {
    let header =
        find(file, stream, *b"strh", next_chunk)?.ok_or(ProbeError::Malformed("a stream has no header"))?;
    if &file.read_in::<4>(&header, 0)? != b"vids" {
        return Ok(None);
    }
    let scale = u32::from_le_bytes(file.read_in(&header, 20)?);
    let rate = u32::from_le_bytes(file.read_in(&header, 24)?);
    let frames = u32::from_le_bytes(file.read_in(&header, 32)?);
    let format =
        find(file, stream, *b"strf", next_chunk)?.ok_or(ProbeError::Malformed("a stream has no format"))?;
    let width = i32::from_le_bytes(file.read_in(&format, 4)?).unsigned_abs();
    // A negative height means that the rows are stored from the top.
    let height = i32::from_le_bytes(file.read_in(&format, 8)?).unsigned_abs();
    let duration_ms = milliseconds(f64::from(frames) * f64::from(scale), rate.into());
    Ok(Some(Track { width, height, duration_ms }))
}
