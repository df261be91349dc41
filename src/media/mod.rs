//! Pictures and videos: the storage, the names and the content of their files.

/// Hashes of files.
mod digest;
/// Hash, type and size of stored files.
mod examine;
/// Pictures.
pub mod image;
/// Uploads while they arrive.
mod incoming;
/// The names of files: ids, variants, and every naming of the original.
mod names;
/// Formats by first bytes.
mod sniff;
/// The port to the files, over `object_store`.
mod storage;
/// The location of the files, as a URL.
mod url;
/// Videos.
pub mod video;

pub use digest::{FileHasher, hexadecimal, sha256};
pub use examine::{ExaminedFile, FileContent, UnreadableFile, examine, hash_of};
pub use incoming::{IncomingFile, MAX_IMAGE_BYTES, ReceiveError, ReceivedFile};
pub use names::{Key, MediaId, MediaKind, MediaType, Naming, VARIANTS, Variant};
pub use sniff::{FileFormat, SNIFFED, sniff};
pub use storage::{Object, ObjectInfo, Put, Storage, StorageError};
pub use url::{Bucket, Location, StorageSettings};
