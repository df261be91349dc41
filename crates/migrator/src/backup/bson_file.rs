use std::io;
use std::path::Path;

use bson::RawDocumentBuf;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};

use crate::raw_batch::{BYTES, RawBatch};

/// The maximum length of a document: 16 MiB and the overhead that a server allows its own documents.
const LONGEST: usize = 16 * 1024 * 1024 + 16 * 1024;

/// Writes a file and computes its checksum.
pub(super) struct BsonWriter {
    file: BufWriter<File>,
    sum: Sha256,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

impl BsonWriter {
    pub(super) async fn create(path: &Path) -> io::Result<Self> {
        // Only its owner may read it: it contains addresses and keys.
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
        let file = BufWriter::with_capacity(BYTES, file);
        Ok(Self { file, sum: Sha256::new(), documents: 0, bytes: 0 })
    }

    pub(super) async fn write(&mut self, document: &[u8]) -> io::Result<()> {
        self.sum.update(document);
        self.documents += 1;
        self.bytes += document.len() as u64;
        self.file.write_all(document).await
    }

    /// Flushes the file to disk. Returns its checksum.
    pub(super) async fn finish(mut self) -> io::Result<String> {
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        Ok(hex::encode(self.sum.finalize()))
    }
}

/// Reads the documents of a file and computes the checksum of what was read.
pub(super) struct BsonReader {
    file: BufReader<File>,
    sum: Sha256,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

impl BsonReader {
    pub(super) async fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(BYTES, File::open(path).await?);
        Ok(Self { file, sum: Sha256::new(), documents: 0, bytes: 0 })
    }

    /// Reads the next documents; none at the end.
    pub(super) async fn batch(&mut self) -> io::Result<Vec<RawDocumentBuf>> {
        let mut batch = RawBatch::default();
        while !batch.is_full() {
            let Some(document) = self.next().await? else { break };
            batch.push(document);
        }
        Ok(batch.take())
    }

    /// Reads the next document; `None` at the end. A file that ends within a document is an error.
    pub(super) async fn next(&mut self) -> io::Result<Option<RawDocumentBuf>> {
        if self.file.fill_buf().await?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.file.read_exact(&mut length).await?;
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(5..=LONGEST).contains(&size) {
            return Err(broken("a document has an invalid length"));
        }
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length);
        self.file.read_exact(&mut bytes[4..]).await?;
        self.sum.update(&bytes);
        self.documents += 1;
        self.bytes += size as u64;
        RawDocumentBuf::from_bytes(bytes).map(Some).map_err(|_| broken("a document is malformed"))
    }

    /// Returns the checksum of everything read.
    pub(super) fn sum(self) -> String {
        hex::encode(self.sum.finalize())
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;
    use crate::raw_batch;

    #[tokio::test]
    async fn written_documents_are_read_back_with_the_same_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.bson");
        let written: Vec<_> = (0..1234).map(|i| rawdoc! { "_id": i, "text": "x".repeat(2000) }).collect();
        let mut sink = BsonWriter::create(&path).await.unwrap();
        for document in &written {
            sink.write(document.as_bytes()).await.unwrap();
        }
        let (count, size) = (sink.documents, sink.bytes);
        let sum = sink.finish().await.unwrap();
        assert_eq!(count, 1234);
        let mut read = Vec::new();
        let mut documents = BsonReader::open(&path).await.unwrap();
        loop {
            let batch = documents.batch().await.unwrap();
            assert!(batch.len() <= raw_batch::DOCUMENTS);
            if batch.is_empty() {
                break;
            }
            read.extend(batch);
        }
        assert_eq!(read, written);
        assert_eq!((documents.documents, documents.bytes, documents.sum()), (count, size, sum.clone()));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((size, sum), (bytes.len() as u64, hex::encode(Sha256::digest(&bytes))));
    }

    #[tokio::test]
    async fn truncated_or_malformed_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.bson");
        let whole = rawdoc! { "_id": 1 }.into_bytes();
        for bad in [&whole[..whole.len() - 1], &whole[..3], &[0xff, 0xff, 0xff, 0x7f], &[4, 0, 0, 0]] {
            std::fs::write(&path, bad).unwrap();
            assert!(BsonReader::open(&path).await.unwrap().next().await.is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn full_disk_is_reported() {
        // Every write to this device fails with "no space left". A short file fails when it is flushed, a long one before.
        for count in [1, 4000] {
            let mut sink = BsonWriter::create(Path::new("/dev/full")).await.unwrap();
            let document = rawdoc! { "text": "x".repeat(1000) };
            let mut outcome = Ok(());
            for _ in 0..count {
                outcome = outcome.and(sink.write(document.as_bytes()).await);
            }
            let error = match outcome {
                Ok(()) => sink.finish().await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
