use std::io;
use std::path::{Path, PathBuf};

/// The result of anything that has to do with backups.
pub type Result<T, E = BackupError> = std::result::Result<T, E>;

/// What can go wrong with a backup. The text says what happened, what was changed, and what to run next.
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
        /// Why.
        source: io::Error,
    },
    /// There is no room for the backup; what was written of it is gone.
    #[error(
        "no room for a backup in {}; nothing was kept of it, and nothing was changed in the store\n  \
         make room, or name another folder with `--dir`", path.display()
    )]
    DiskFull {
        /// The folder of backups.
        path: PathBuf,
    },
    /// The backup would be larger than it may be; what was written of it is gone.
    #[error(
        "the backup would take more than {cap} bytes (it reached that in {collection}); nothing was kept of it, and nothing \
         was changed in the store\n  raise the cap, or back up with the tools of the store"
    )]
    TooLarge {
        /// The most bytes that it may have.
        cap: u64,
        /// In which collection it got there.
        collection: String,
    },
    /// A backup is not what was written; nothing was changed.
    #[error(
        "the backup {id} is damaged: {what}; nothing was changed\n  \
         take another one: `field-notes migrate backups` lists them"
    )]
    Damaged {
        /// Which.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is no such backup.
    #[error("there is no backup {id:?} in {}\n  `field-notes migrate backups` lists them", dir.display())]
    NotFound {
        /// What was asked for.
        id: String,
        /// Where.
        dir: PathBuf,
    },
    /// Several backups begin like that.
    #[error("{id:?} may be any of {}\n  name more of it", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// What it may be.
        candidates: Vec<String>,
    },
    /// The backup was written by a newer program.
    #[error("the backup {id} has format {found}; this program reads up to {supported}: use a newer one")]
    NewerFormat {
        /// Which.
        id: String,
        /// Its format.
        found: u32,
        /// The newest that is read.
        supported: u32,
    },
    /// The backup does not hold a collection that was asked for; nothing was changed.
    #[error("the backup {id} does not hold {collection:?}; nothing was changed")]
    NoSuchCollection {
        /// Which.
        id: String,
        /// The collection.
        collection: String,
    },
    /// The target has documents in collections that would be restored; nothing was changed.
    #[error(
        "{} {} documents; nothing was changed\n  \
         restore with `--replace` to put the backup in their place, or with `--into-scratch` to look at it first",
        collections.join(", "),
        if collections.len() == 1 { "has" } else { "have" }
    )]
    NotEmpty {
        /// The collections.
        collections: Vec<String>,
    },
    /// The restored documents are not as many as the backup has; the collections are as they were.
    #[error("{collection} came to {found} documents instead of {expected}; nothing was changed")]
    Miscounted {
        /// The collection.
        collection: String,
        /// As the manifest says.
        expected: u64,
        /// As the store says.
        found: u64,
    },
}

impl BackupError {
    /// The exit code of a program that ends with this error.
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

    /// For `map_err`: what happened to this file.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::File { path: path.to_owned(), source },
        }
    }
}
