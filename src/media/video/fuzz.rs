//! The fuzz target of the readers of containers.

use std::io::{Cursor, Read, Result, Seek, SeekFrom};

use super::{ProbeError, VideoKind, probe};

/// Reads a file as a video. Little of it is read, and what is reported is possible.
pub fn video_headers(data: &[u8]) {
    let mut file = Counting { file: Cursor::new(data), read: 0 };
    let result = probe(&mut file);
    assert!(file.read <= 1_000_000, "{} bytes are read", file.read);
    match result {
        Ok(info) => {
            assert_eq!(Some(info.kind), VideoKind::sniff(data));
            assert!((1..=32_768).contains(&info.width) && (1..=32_768).contains(&info.height), "{info:?}");
            assert_ne!(info.duration_ms, Some(0));
        }
        Err(ProbeError::Io(error)) => panic!("a position outside of the file is read: {error}"),
        Err(_) => {}
    }
}

struct Counting<'a> {
    file: Cursor<&'a [u8]>,
    read: usize,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.read += buffer.len();
        self.file.read(buffer)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.file.seek(to)
    }
}
