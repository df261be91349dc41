use std::io::{Read, Seek, SeekFrom};

use super::ProbeError;

/// The maximum number of reads. A recording of an hour in fragments of a second has 7,200 parts, and its headers come first.
const MAX_READS: u32 = 20_000;

/// A file of which only a bounded number of small pieces is read.
pub(super) struct Bounded<'a, R> {
    file: &'a mut R,
    length: u64,
    reads_left: u32,
}

impl<'a, R: Read + Seek> Bounded<'a, R> {
    pub(super) fn new(file: &'a mut R) -> Result<Self, ProbeError> {
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, length, reads_left: MAX_READS })
    }

    /// Returns the length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills the buffer with the bytes at a position.
    pub(super) fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ProbeError> {
        self.reads_left = self.reads_left.checked_sub(1).ok_or(ProbeError::TooComplex)?;
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err(ProbeError::Malformed("it ends too early"));
        }
        self.file.seek(SeekFrom::Start(at))?;
        Ok(self.file.read_exact(buffer)?)
    }

    /// Returns `N` bytes of a part, at an offset in it.
    pub(super) fn read_in<const N: usize>(
        &mut self,
        part: &Part,
        offset: u64,
    ) -> Result<[u8; N], ProbeError> {
        let mut bytes = [0; N];
        let at = part.start.checked_add(offset).ok_or(ProbeError::Malformed("an offset is too large"))?;
        if at.checked_add(N as u64).is_none_or(|end| end > part.end) {
            return Err(ProbeError::Malformed("a part is too short"));
        }
        self.read_at(at, &mut bytes)?;
        Ok(bytes)
    }
}

/// An element of a container whose kind has four letters: a box or a chunk.
pub(super) struct Element {
    pub(super) kind: [u8; 4],
    pub(super) content: Part,
    /// The position of the next element.
    pub(super) next: u64,
}

/// Returns the content of the first element of a kind. `read_element` reads the element at a position of its parent.
pub(super) fn find<R: Read + Seek>(
    file: &mut Bounded<'_, R>,
    parent: Part,
    kind: [u8; 4],
    read_element: impl Fn(&mut Bounded<'_, R>, Part, u64) -> Result<Option<Element>, ProbeError>,
) -> Result<Option<Part>, ProbeError> {
    let mut at = parent.start;
    while let Some(element) = read_element(file, parent, at)? {
        if element.kind == kind {
            return Ok(Some(element.content));
        }
        at = element.next;
    }
    Ok(None)
}

/// The content of a part of a file, from `start` to before `end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Part {
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}
