//! Facts that the bytes of a stored file show.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::runtime::Handle;

use super::digest::FileHasher;
use super::image::{ImageError, dimensions};
use super::incoming::MAX_IMAGE_BYTES;
use super::names::Key;
use super::sniff::{FileFormat, SNIFFED, sniff};
use super::storage::{Object, ObjectInfo, Storage, StorageError};
use super::video::{ProbeError, VideoInfo, probe};

/// The number of bytes that are read at once for the headers of a video.
const BLOCK: u64 = 64 * 1024;

/// A stored file, all bytes of which were read.
#[derive(Debug)]
pub struct ExaminedFile {
    /// Its name, size and date.
    pub info: ObjectInfo,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Its content.
    pub content: FileContent,
}

/// The content of a stored file.
#[derive(Debug)]
pub enum FileContent {
    /// A picture.
    Picture {
        /// The format.
        format: FileFormat,
        /// The width as displayed, in pixels.
        width: u32,
        /// The height as displayed, in pixels.
        height: u32,
        /// All bytes, unless the file is larger than uploaded pictures may be.
        bytes: Option<Vec<u8>>,
    },
    /// A video.
    Video(VideoInfo),
    /// Something else, or a file whose headers cannot be read.
    Unreadable(UnreadableFile),
}

/// The reason why nothing is known of a file.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableFile {
    /// The first bytes are of no supported format.
    #[error("its bytes are neither a picture nor a video")]
    UnknownFormat,
    /// The picture is damaged.
    #[error(transparent)]
    Picture(#[from] ImageError),
    /// The video is damaged.
    #[error(transparent)]
    Video(#[from] ProbeError),
}

impl ExaminedFile {
    /// Returns the format, if it is known.
    pub fn format(&self) -> Option<FileFormat> {
        match &self.content {
            FileContent::Picture { format, .. } => Some(*format),
            FileContent::Video(info) => Some(FileFormat::Video(info.kind)),
            FileContent::Unreadable(_) => None,
        }
    }

    /// Returns the width and height as displayed, in pixels; zero if they are not known.
    pub fn dimensions(&self) -> (u32, u32) {
        match &self.content {
            FileContent::Picture { width, height, .. } => (*width, *height),
            FileContent::Video(info) => (info.width, info.height),
            FileContent::Unreadable(_) => (0, 0),
        }
    }
}

/// Reads a stored file once for its hash, and its headers. Up to [`MAX_IMAGE_BYTES`] are in memory.
///
/// # Errors
///
/// [`StorageError::NotFound`], or the failure of the storage. A file that is damaged is no error.
pub async fn examine(storage: &Storage, key: &Key) -> Result<ExaminedFile, StorageError> {
    let Object { info, mut body, .. } = storage.get(key).await?;
    let kept = usize::try_from(MAX_IMAGE_BYTES).expect("pictures fit in memory");
    let (mut hasher, mut start) = (FileHasher::default(), Vec::new());
    while let Some(piece) = body.try_next().await? {
        hasher.update(&piece);
        start.extend_from_slice(&piece[..piece.len().min(kept - start.len())]);
    }
    let content = match sniff(&start[..start.len().min(SNIFFED)]) {
        None => FileContent::Unreadable(UnreadableFile::UnknownFormat),
        Some(FileFormat::Video(_)) => {
            drop(start);
            read_headers(storage, &info).await?
        }
        Some(format) => read_picture(format, start, info.size).await,
    };
    Ok(ExaminedFile { info, sha256: hasher.finish(), content })
}

/// Returns the SHA-256 of a stored file in hexadecimal digits.
///
/// # Errors
///
/// [`StorageError::NotFound`], or the failure of the storage.
pub async fn hash_of(storage: &Storage, key: &Key) -> Result<String, StorageError> {
    let mut body = storage.get(key).await?.body;
    let mut hasher = FileHasher::default();
    while let Some(piece) = body.try_next().await? {
        hasher.update(&piece);
    }
    Ok(hasher.finish())
}

async fn read_picture(format: FileFormat, start: Vec<u8>, size: u64) -> FileContent {
    let read = move || {
        let size_of_picture = dimensions(&start, format);
        size_of_picture.map(|(width, height)| {
            let bytes = (start.len() as u64 == size).then_some(start);
            FileContent::Picture { format, width, height, bytes }
        })
    };
    // A decoder that panics has met a broken file.
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.unwrap_or_else(|error| Err(ImageError::Broken(error.to_string())));
    read.unwrap_or_else(|error| FileContent::Unreadable(error.into()))
}

async fn read_headers(storage: &Storage, info: &ObjectInfo) -> Result<FileContent, StorageError> {
    let mut file = ObjectReader::new(storage.clone(), info.clone());
    let probed = tokio::task::spawn_blocking(move || probe(&mut file));
    match probed.await.expect("the parser does not panic") {
        Ok(info) => Ok(FileContent::Video(info)),
        Err(ProbeError::Io(error)) => Err(StorageError::Unavailable(error.to_string())),
        Err(error) => Ok(FileContent::Unreadable(error.into())),
    }
}

/// A stored file for code that reads and seeks. Reads blocks of it, and blocks its thread, which must not be one of the runtime.
struct ObjectReader {
    storage: Storage,
    info: ObjectInfo,
    runtime: Handle,
    position: u64,
    block: Bytes,
    block_start: u64,
}

impl ObjectReader {
    /// Must be called within the runtime.
    fn new(storage: Storage, info: ObjectInfo) -> Self {
        let runtime = Handle::current();
        Self { storage, info, runtime, position: 0, block: Bytes::new(), block_start: 0 }
    }

    /// Returns the rest of the block at the position; nothing at the end of the file.
    fn rest_of_block(&mut self) -> Result<&[u8], StorageError> {
        let block_end = self.block_start + self.block.len() as u64;
        if !(self.block_start..block_end).contains(&self.position) && self.position < self.info.size {
            let range = self.position..self.info.size.min(self.position + BLOCK);
            let read = async {
                let pieces = self.storage.get_range(&self.info, range).await?.body;
                pieces.try_collect::<Vec<Bytes>>().await
            };
            self.block = self.runtime.block_on(read)?.concat().into();
            self.block_start = self.position;
        }
        let offset = usize::try_from(self.position - self.block_start).unwrap_or(usize::MAX);
        Ok(self.block.get(offset..).unwrap_or_default())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest_of_block().map_err(io::Error::other)?;
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.info.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Location, StorageSettings, sha256};

    const MP4: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/mp4");

    async fn examined(bytes: Vec<u8>) -> ExaminedFile {
        let settings = StorageSettings { location: Location::Memory, options: Vec::new() };
        let storage = Storage::open(&settings).unwrap();
        let key = Key::in_uploads("a").unwrap();
        let hash = sha256(&bytes);
        storage.put(&key, bytes.into()).await.unwrap();
        let examined = examine(&storage, &key).await.unwrap();
        assert_eq!(examined.sha256, hash);
        assert_eq!(hash_of(&storage, &key).await.unwrap(), hash);
        examined
    }

    #[tokio::test]
    async fn headers_of_a_video_are_read_wherever_they_are() {
        // The header of an mp4 after data that is longer than several blocks.
        let header = MP4.windows(4).position(|window| window == b"moov").unwrap() - 4;
        let data = u32::try_from(3 * BLOCK).unwrap();
        let filler = vec![7; data as usize - 8];
        let long = [&MP4[..0x20], &data.to_be_bytes(), b"mdat", &filler, &MP4[header..]].concat();
        for bytes in [MP4.to_vec(), long] {
            let file = examined(bytes).await;
            assert_eq!((file.dimensions(), file.format().unwrap().mime()), ((64, 36), "video/mp4"));
        }
        let cut = examined(MP4[..60].to_vec()).await;
        assert!(matches!(cut.content, FileContent::Unreadable(UnreadableFile::Video(_))), "{cut:?}");
    }

    #[tokio::test]
    async fn large_pictures_are_known_by_their_first_bytes() {
        let mut png = io::Cursor::new(Vec::new());
        ::image::RgbImage::new(30, 20).write_to(&mut png, ::image::ImageFormat::Png).unwrap();
        let small = png.into_inner();
        let large = [&small[..], &vec![0; usize::try_from(MAX_IMAGE_BYTES).unwrap()]].concat();
        for (file, is_whole) in [(small.clone(), true), (large, false)] {
            let file = examined(file).await;
            assert_eq!(file.dimensions(), (30, 20));
            let FileContent::Picture { bytes, .. } = file.content else { panic!("no picture") };
            assert_eq!(bytes.is_some(), is_whole);
        }
        for other in [&b"<html>"[..], b"", &small[..20]] {
            assert!(
                matches!(examined(other.to_vec()).await.content, FileContent::Unreadable(_)),
                "{other:?}"
            );
        }
    }
}
