//! An upload while it arrives: written to a temporary file that has no name, within the limit of its kind.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use sha2::{Digest as _, Sha256};

use super::sniff::{FileFormat, SNIFFED, sniff};

/// The maximum size of an uploaded picture.
pub const MAX_IMAGE_BYTES: u64 = 5 * 1024 * 1024;
/// The number of bytes that are buffered before they are written.
const BUFFER: usize = 256 * 1024;
/// The maximum length of a remembered name, in characters.
const MAX_NAME: usize = 255;

/// A file that is refused, or could not be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The first bytes are not those of a supported format.
    #[error("the format of the file is not supported")]
    Unsupported,
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file is larger than the limit of its kind.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// True if it is a video.
        is_video: bool,
        /// The limit.
        limit: u64,
    },
    /// The temporary file could not be written.
    #[error("failed to write a temporary file: {0}")]
    Temporary(#[from] io::Error),
}

/// A file that is being received.
pub struct IncomingFile {
    name: String,
    max_video_bytes: u64,
    /// The bytes that are not written yet; until the format is known all of them.
    buffer: Vec<u8>,
    target: Option<(FileFormat, File)>,
    size: u64,
    hash: Sha256,
}

/// A received file of a supported format.
#[derive(Debug)]
pub struct ReceivedFile {
    /// The name that the client gave it, without folders.
    pub name: String,
    /// The format, by its first bytes.
    pub format: FileFormat,
    /// The bytes, at their start.
    pub file: File,
    /// The number of bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl IncomingFile {
    /// Begins to receive a file with the name that the client gave it.
    pub fn new(name: &str, max_video_bytes: u64) -> Self {
        Self {
            name: plain_name(name),
            max_video_bytes,
            buffer: Vec::new(),
            target: None,
            size: 0,
            hash: Sha256::new(),
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The reason for which the file is refused, as soon as it is known.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        self.buffer.extend_from_slice(bytes);
        if self.target.is_none() && self.buffer.len() >= SNIFFED {
            self.begin().await?;
        }
        if let Some((format, _)) = self.target {
            let limit = if format.is_video() { self.max_video_bytes } else { MAX_IMAGE_BYTES };
            if self.size > limit {
                return Err(ReceiveError::TooLarge { is_video: format.is_video(), limit });
            }
            if self.buffer.len() >= BUFFER {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The reason for which the file is refused.
    pub async fn finish(mut self) -> Result<ReceivedFile, ReceiveError> {
        if self.size == 0 {
            return Err(ReceiveError::Empty);
        }
        if self.target.is_none() {
            self.begin().await?;
        }
        self.flush().await?;
        let (format, mut file) = self.target.expect("the format is known");
        file.seek(SeekFrom::Start(0))?;
        Ok(ReceivedFile {
            name: self.name,
            format,
            file,
            size: self.size,
            sha256: self.hash.finalize().into(),
        })
    }

    async fn begin(&mut self) -> Result<(), ReceiveError> {
        let format =
            sniff(&self.buffer[..self.buffer.len().min(SNIFFED)]).ok_or(ReceiveError::Unsupported)?;
        let file = blocking(tempfile::tempfile).await?;
        self.target = Some((format, file));
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Some((format, mut file)) = self.target.take() else { return Ok(()) };
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = blocking(move || {
            file.write_all(&buffer)?;
            buffer.clear();
            Ok((file, buffer))
        });
        let (file, buffer) = written.await?;
        (self.target, self.buffer) = (Some((format, file)), buffer);
        Ok(())
    }
}

impl ReceivedFile {
    /// Returns all bytes.
    ///
    /// # Errors
    /// The failure of the temporary file.
    pub async fn read(&self) -> io::Result<Vec<u8>> {
        let (mut file, capacity) = (self.file.try_clone()?, usize::try_from(self.size).unwrap_or_default());
        blocking(move || {
            let mut bytes = Vec::with_capacity(capacity);
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Returns the last part of a name, without control characters and cut to [`MAX_NAME`]. It is text and never part of a path.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

    async fn received(head: &[u8], length: usize, piece: usize) -> Result<ReceivedFile, ReceiveError> {
        let mut bytes = head.to_vec();
        bytes.resize(length, 7);
        let mut incoming = IncomingFile::new("a.png", 1024 * 1024);
        for piece in bytes.chunks(piece) {
            incoming.write(piece).await?;
        }
        let received = incoming.finish().await?;
        assert_eq!(received.size, length as u64);
        assert_eq!(received.read().await.unwrap(), bytes);
        assert_eq!(received.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        Ok(received)
    }

    #[tokio::test]
    async fn files_are_kept_whole_within_the_limit_of_their_kind() {
        for (length, piece) in [(PNG.len(), 3), (4096, 4096), (5000, 1), (600_000, 70_000)] {
            assert_eq!(received(PNG, length, piece).await.unwrap().format, FileFormat::Png);
        }
        let limit = usize::try_from(MAX_IMAGE_BYTES).unwrap();
        let over = received(PNG, limit + 1, 500_000).await.unwrap_err();
        assert!(matches!(over, ReceiveError::TooLarge { is_video: false, limit: MAX_IMAGE_BYTES }), "{over}");
        received(MP4, 1024 * 1024, 100_000).await.unwrap();
        let over = received(MP4, 1024 * 1024 + 1, 100_000).await.unwrap_err();
        assert!(matches!(over, ReceiveError::TooLarge { is_video: true, .. }), "{over}");
    }

    #[tokio::test]
    async fn other_files_are_refused_after_their_first_bytes() {
        assert!(matches!(received(b"", 0, 1).await, Err(ReceiveError::Empty)));
        assert!(matches!(received(b"<html>", 20, 20).await, Err(ReceiveError::Unsupported)));
        let mut endless = IncomingFile::new("a.jpg", 1);
        let outcome = endless.write(&vec![b'<'; SNIFFED]).await;
        assert!(matches!(outcome, Err(ReceiveError::Unsupported)));
    }

    #[test]
    fn names_are_text_without_folders() {
        for (name, plain) in [
            ("a.jpg", "a.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\photos\\ä.jpg", "ä.jpg"),
            ("a\0b\n.jpg", "ab.jpg"),
            ("", ""),
        ] {
            assert_eq!(plain_name(name), plain);
        }
        assert_eq!(plain_name(&"é".repeat(1000)).chars().count(), 255);
    }
}
