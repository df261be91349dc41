//! The frames of a log, read without SQLite.
//!
//! SQLite uses a log up to the first frame whose checksum is wrong, because that is where a power cut ends it. A frame that
//! was altered later ends it in the same way, and the acknowledged writes behind it would silently be gone. A transaction is
//! written only after the one before it has reached the disk. So if an invalid frame is followed by a transaction, it was
//! once valid.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use crate::sqlite::faults::beside;

/// Length of a log's header.
pub(super) const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The first number of a log whose checksums are over big-endian numbers; with the last bit cleared, little-endian ones.
const MAGIC: u32 = 0x377f_0683;

/// Two sums. Those of a frame continue those of the frame before it.
type Checksum = [u32; 2];

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

fn pair(bytes: &[u8], at: usize) -> [u32; 2] {
    [number(bytes, at), number(bytes, at + 4)]
}

/// Continues a checksum with bytes, a multiple of eight.
fn checksum([mut first, mut second]: Checksum, bytes: &[u8], big_endian: bool) -> Checksum {
    for pair in bytes.chunks_exact(8) {
        let [low, high] = [0, 4].map(|at| {
            let number = number(pair, at);
            if big_endian { number } else { number.swap_bytes() }
        });
        first = first.wrapping_add(low).wrapping_add(second);
        second = second.wrapping_add(high).wrapping_add(first);
    }
    [first, second]
}

/// Reports whether the log beside a file has an invalid frame, or an invalid header, before its last transaction.
pub(super) fn are_damaged(path: &Path) -> io::Result<bool> {
    let Some(page) = page_size(path)? else { return Ok(false) };
    let mut log = BufReader::new(File::open(beside(path, "-wal"))?);
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(false);
    }
    let big_endian = number(&header, 0) & 1 == 1;
    let mut before: Checksum = pair(&header, 24);
    let is_valid = number(&header, 0) | 1 == MAGIC && checksum([0, 0], &header[..24], big_endian) == before;
    // Those of an invalid header may have been altered; the frames repeat them.
    let mut salts = is_valid.then(|| pair(&header, 16));
    let mut is_invalid = !is_valid;
    let mut transaction_ended = false;
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(&mut log, &mut frame)? {
        let is_of_log = *salts.get_or_insert_with(|| pair(&frame, 8)) == pair(&frame, 8);
        let stated = pair(&frame, 16);
        let verifies = is_of_log && {
            let of_header = checksum(before, &frame[..8], big_endian);
            checksum(of_header, &frame[FRAME_HEADER..], big_endian) == stated
        };
        before = stated;
        if is_invalid && verifies && transaction_ended {
            return Ok(true);
        }
        is_invalid |= !verifies;
        // The last frame of a transaction states the size of the file.
        transaction_ended |= is_invalid && number(&frame, 4) != 0;
    }
    Ok(false)
}

/// Reads the page size from the file; `None` if there is none.
fn page_size(path: &Path) -> io::Result<Option<usize>> {
    let mut header = [0; 18];
    if !fill(&mut File::open(path)?, &mut header)? {
        return Ok(None);
    }
    let stated = usize::from(u16::from_be_bytes([header[16], header[17]]));
    Ok(match stated {
        1 => Some(65_536),
        512.. if stated.is_power_of_two() => Some(stated),
        _ => None,
    })
}

/// Fills a buffer; returns false at the end of the file.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
