use std::io;
use std::path::{Path, PathBuf};

/// The result of an operation on backups.
pub type Result<T, E = BackupError> = std::result::Result<T, E>;

/// An error of a backup or a restore. The text says what happened, what was changed and what to run next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] docstore::Error),
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The disk is full; what was written of the backup is deleted.
    #[error(
        "no space left for a backup in {}; the partial backup was deleted, and nothing was changed in the store\n  \
         free some space, or give another folder with `--dir`", path.display()
    )]
    DiskFull {
        /// The folder of backups.
        path: PathBuf,
    },
    /// The backup would exceed its limit; what was written of it is deleted.
    #[error(
        "the backup would exceed {cap} bytes (reached in {collection}); the partial backup was deleted, and nothing was \
         changed in the store\n  raise the limit, or back up with the tools of the store"
    )]
    TooLarge {
        /// The limit in bytes.
        cap: u64,
        /// The collection in which it was reached.
        collection: String,
    },
    /// A backup does not match its checksums; nothing was changed.
    #[error(
        "the backup {id} is damaged: {what}; nothing was changed\n  \
         use another one: `field-notes migrate backups` lists them"
    )]
    Damaged {
        /// The backup.
        id: String,
        /// The damage.
        what: String,
    },
    /// There is no such backup.
    #[error("there is no backup {id:?} in {}\n  `field-notes migrate backups` lists them", dir.display())]
    NotFound {
        /// The id or prefix.
        id: String,
        /// The folder.
        dir: PathBuf,
    },
    /// Several backups have ids with this prefix.
    #[error("{id:?} is ambiguous: it matches {}\n  give a longer prefix", candidates.join(", "))]
    Ambiguous {
        /// The id or prefix.
        id: String,
        /// All matches.
        candidates: Vec<String>,
    },
    /// The backup was written by a newer program.
    #[error(
        "the backup {id} has format {found}; this program reads up to {supported}\n  use a newer program"
    )]
    NewerFormat {
        /// The backup.
        id: String,
        /// Its format.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },
    /// The backup does not contain a requested collection; nothing was changed.
    #[error("the backup {id} does not contain {collection:?}; nothing was changed")]
    NoSuchCollection {
        /// The backup.
        id: String,
        /// The collection.
        collection: String,
    },
    /// The target has documents in collections that would be restored; nothing was changed.
    #[error(
        "{} {} documents; nothing was changed\n  \
         restore with `--replace` to replace them, or with `--into-scratch` to inspect it first",
        collections.join(", "),
        if collections.len() == 1 { "has" } else { "have" }
    )]
    NotEmpty {
        /// The collections.
        collections: Vec<String>,
    },
    /// The number of restored documents differs from the backup; nothing was changed.
    #[error("{collection} has {found} restored documents instead of {expected}; nothing was changed")]
    Miscounted {
        /// The collection.
        collection: String,
        /// The number in the manifest.
        expected: u64,
        /// The number in the store.
        found: u64,
    },
}

impl BackupError {
    /// Returns the exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(_) | Self::File { .. } | Self::DiskFull { .. } | Self::Miscounted { .. } => 1,
            Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::NewerFormat { .. }
            | Self::NoSuchCollection { .. } => 2,
            Self::Damaged { .. } => 6,
            Self::TooLarge { .. } | Self::NotEmpty { .. } => 8,
        }
    }

    /// Returns a conversion for `map_err` that adds the path.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::File { path: path.to_owned(), source },
        }
    }
}
