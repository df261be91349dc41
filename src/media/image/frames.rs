//! Counts the frames of animated files by their structure.

/// Returns the number of frames of a GIF file, counted up to `limit` and one more.
pub(super) fn of_gif(file: &[u8], limit: usize) -> usize {
    let mut count = 0;
    // A truncated file counts the frames before the cut; the decoder refuses it.
    _ = count_gif(file, limit, &mut count);
    count
}

/// Returns the number of frames of a WebP file, counted up to `limit` and one more.
pub(super) fn of_webp(file: &[u8], limit: usize) -> usize {
    let (mut count, mut rest) = (0, file.get(12..).unwrap_or_default());
    while let Some((head, body)) = rest.split_at_checked(8) {
        count += usize::from(head.starts_with(b"ANMF"));
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(next) = body.get(size.saturating_add(size % 2)..).filter(|_| count <= limit) else { break };
        rest = next;
    }
    count
}

/// Counts frames up to the end. Returns `None` if a part is missing.
fn count_gif(file: &[u8], limit: usize, count: &mut usize) -> Option<()> {
    let mut rest = file.get(13..)?.get(color_table(file[10])..)?;
    while *count <= limit {
        let (kind, body) = rest.split_first()?;
        rest = match kind {
            // An extension: a label, then its data.
            0x21 => skip_blocks(body.get(1..)?)?,
            // A frame: its place, a table of colors, the size of codes, then its data.
            0x2c => {
                *count += 1;
                let data = body.get(9..)?.get(color_table(body[8])..)?;
                skip_blocks(data.get(1..)?)?
            }
            _ => break,
        };
    }
    Some(())
}

/// Returns the size of the table of colors that flags announce.
fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Skips data in blocks of up to 255 bytes, which an empty one ends.
fn skip_blocks(mut data: &[u8]) -> Option<&[u8]> {
    loop {
        let (size, rest) = data.split_first()?;
        if *size == 0 {
            return Some(rest);
        }
        data = rest.get(usize::from(*size)..)?;
    }
}

/// Reports whether a JPEG file has its end. The decoder accepts a file that was cut off, and leaves the rest gray.
pub(super) fn is_whole_jpeg(file: &[u8]) -> bool {
    let mut rest = file.get(2..).unwrap_or_default();
    // Segments up to the first scan; the preview within one of them has an end of its own.
    while let [0xff, marker, body @ ..] = rest {
        match (marker, body) {
            (0xff, _) => rest = &rest[1..],
            (0xda, body) => return body.windows(2).any(|pair| pair == [0xff, 0xd9]),
            (_, [high, low, ..]) => {
                let size = usize::from(u16::from_be_bytes([*high, *low]));
                rest = body.get(size..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

/// Reports whether a WebP file is as long as it says.
pub(super) fn is_whole_webp(file: &[u8]) -> bool {
    let [b'R', b'I', b'F', b'F', a, b, c, d, ..] = file else { return false };
    let size = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
    // Some encoders leave out the last byte, which makes the length even.
    size <= file.len() - 7
}
