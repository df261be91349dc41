use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bson::RawDocumentBuf;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::raw_batch::RawBatch;

/// Number of batches that may wait for the disk, or for the store.
const WAITING: usize = 4;
/// The maximum length of a document: 16 MiB and the overhead that a server allows its own documents.
const LONGEST: usize = 16 * 1024 * 1024 + 16 * 1024;

/// The result of writing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenFile {
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Writes documents to a file, on a thread of its own.
pub(super) struct BsonWriter {
    batches: mpsc::Sender<Vec<RawDocumentBuf>>,
    done: JoinHandle<io::Result<WrittenFile>>,
}

impl BsonWriter {
    /// Creates the file.
    pub(super) fn create(path: PathBuf) -> Self {
        let (batches, mut queue) = mpsc::channel::<Vec<RawDocumentBuf>>(WAITING);
        let done = tokio::task::spawn_blocking(move || {
            let mut file = BufWriter::new(File::create(&path)?);
            let mut sum = Sha256::new();
            let (mut documents, mut bytes) = (0, 0);
            while let Some(batch) = queue.blocking_recv() {
                for document in batch {
                    sum.update(document.as_bytes());
                    file.write_all(document.as_bytes())?;
                    documents += 1;
                    bytes += document.as_bytes().len() as u64;
                }
            }
            file.into_inner()?.sync_all()?;
            Ok(WrittenFile { documents, bytes, sha256: hex::encode(sum.finalize()) })
        });
        Self { batches, done }
    }

    /// Queues a batch, waiting for room in the queue. Returns `false` if the file cannot be written;
    /// [`BsonWriter::finish`] returns the error.
    pub(super) async fn put(&self, batch: Vec<RawDocumentBuf>) -> bool {
        self.batches.send(batch).await.is_ok()
    }

    /// Flushes the file to disk.
    pub(super) async fn finish(self) -> io::Result<WrittenFile> {
        drop(self.batches);
        self.done.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Reads a file of documents on a thread of its own, in batches.
pub(super) fn batches(path: PathBuf) -> mpsc::Receiver<io::Result<Vec<RawDocumentBuf>>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut documents = match BsonReader::open(&path) {
            Ok(documents) => documents,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        loop {
            let batch = documents.batch();
            let last = batch.is_err();
            if batch.as_ref().is_ok_and(Vec::is_empty) || sender.blocking_send(batch).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// Reads the documents of a file and computes the checksum of what was read.
pub(super) struct BsonReader {
    file: BufReader<File>,
    sum: Sha256,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl BsonReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(File::open(path)?), sum: Sha256::new(), count: 0, bytes: 0 })
    }

    /// Reads the next documents; none at the end.
    pub(super) fn batch(&mut self) -> io::Result<Vec<RawDocumentBuf>> {
        let mut batch = RawBatch::default();
        while !batch.is_full() {
            let Some(document) = self.next()? else { break };
            batch.push(document);
        }
        Ok(batch.take())
    }

    /// Reads the next document; `None` at the end. A file that ends within a document is an error.
    pub(super) fn next(&mut self) -> io::Result<Option<RawDocumentBuf>> {
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(5..=LONGEST).contains(&size) {
            return Err(broken("a document has an invalid length"));
        }
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length);
        self.file.read_exact(&mut bytes[4..])?;
        self.sum.update(&bytes);
        self.count += 1;
        self.bytes += size as u64;
        RawDocumentBuf::from_bytes(bytes).map(Some).map_err(|_| broken("a document is malformed"))
    }

    /// Returns the checksum of everything read.
    pub(super) fn sum(self) -> String {
        hex::encode(self.sum.finalize())
    }
}

/// Returns the checksum of bytes.
pub(super) fn sum_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
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
        let sink = BsonWriter::create(path.clone());
        for batch in written.chunks(100) {
            assert!(sink.put(batch.to_vec()).await);
        }
        let done = sink.finish().await.unwrap();
        assert_eq!(done.documents, 1234);
        let mut read = Vec::new();
        let mut incoming = batches(path.clone());
        while let Some(batch) = incoming.recv().await {
            let batch = batch.unwrap();
            assert!(batch.len() <= raw_batch::DOCUMENTS);
            read.extend(batch);
        }
        assert_eq!(read, written);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((done.bytes, done.sha256.as_str()), (bytes.len() as u64, sum_of(&bytes).as_str()));
        let mut documents = BsonReader::open(&path).unwrap();
        while documents.next().unwrap().is_some() {}
        assert_eq!((documents.count, documents.sum()), (1234, done.sha256));
    }

    #[test]
    fn truncated_or_malformed_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.bson");
        let whole = rawdoc! { "_id": 1 }.into_bytes();
        for bad in [&whole[..whole.len() - 1], &whole[..3], &[0xff, 0xff, 0xff, 0x7f], &[4, 0, 0, 0]] {
            std::fs::write(&path, bad).unwrap();
            assert!(BsonReader::open(&path).unwrap().next().is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn full_disk_is_reported_by_finish() {
        // Every write to this device fails with "no space left".
        let sink = BsonWriter::create("/dev/full".into());
        let batch = || (0..400).map(|i| rawdoc! { "_id": i, "text": "x".repeat(1000) }).collect();
        while sink.put(batch()).await {}
        assert_eq!(sink.finish().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
