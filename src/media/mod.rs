//! Pictures and videos: where their files are kept, what they are called, and what is in them.

/// The names of files: ids, variants, and every naming of the original.
mod names;
/// The port to the files, over `object_store`.
mod storage;
/// The place of the files, as a URL.
mod url;
/// Videos.
pub mod video;

pub use names::{Key, MediaId, MediaKind, MediaType, Naming, VARIANTS, Variant};
pub use storage::{Object, ObjectInfo, Put, Storage, StorageError};
pub use url::{Location, StorageSettings};
