use std::path::PathBuf;

use bson::Bson;

use crate::Index;

/// The result of an operation of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store; the same on both engines.
///
/// No message contains a password, a connection string or the content of a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A write would put the same key twice into a unique index.
    #[error("duplicate key in unique index {index} of {collection}")]
    DuplicateKey {
        /// The collection written to.
        collection: String,
        /// The name of the violated index as the database knows it; `_id_` for the document's id.
        index: String,
        /// The fields of that index, in order.
        fields: Vec<String>,
    },
    /// One write of an ordered batch failed; those before it are done, those after it were not attempted.
    #[error("write {at} of the batch failed: {source}")]
    Batch {
        /// Position of the failed write, from 0, which is also the number of writes done.
        at: usize,
        /// The error of that write.
        source: Box<Error>,
    },
    /// The request is invalid on every engine: two updates of one field, a bad field name, …
    #[error("invalid request: {0}")]
    Invalid(String),
    /// The update does not fit the stored document: `inc` of a string, `add_to_set` to a number, …
    #[error("the update does not fit a document of {collection}: {what}")]
    Inapplicable {
        /// The collection written to.
        collection: String,
        /// The reason.
        what: String,
    },
    /// A document is over the limit of 16 MiB.
    #[error("a document for {collection} has {bytes} bytes; the limit is 16777216")]
    TooLarge {
        /// The collection written to.
        collection: String,
        /// The size of the document.
        bytes: usize,
    },
    /// A document does not satisfy the server's validator of its collection; it was not written.
    #[error("the document {}of {collection} does not satisfy the collection's validator", id.as_ref().map(|id| format!("{id} ")).unwrap_or_default())]
    InvalidDocument {
        /// The collection written to.
        collection: String,
        /// The id of the document, if the server names it.
        id: Option<Box<Bson>>,
    },
    /// Another transaction wrote one of the documents first, or the server's cache is full; the whole transaction may be
    /// retried.
    #[error("write conflict with another transaction, or the server's cache is full")]
    WriteConflict,
    /// The transaction has ended: by its time limit, or because an operation in it failed.
    #[error("the transaction has ended: {0}")]
    TransactionEnded(String),
    /// This server or engine does not support the operation.
    #[error("not supported here: {0}")]
    Unsupported(String),
    /// The store cannot be reached, or did not answer in time.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store did not confirm a write: the reply was lost, or a majority was not reached. It may have been made.
    #[error("the store did not confirm a write: {0}")]
    Unconfirmed(String),
    /// The server refused the credentials, or the user lacks a privilege.
    #[error("the store refused access: {0}")]
    Unauthorized(String),
    /// An index with the same name or the same keys exists with another definition.
    #[error("index {} of {collection} conflicts with an existing one\n  declared: {declared}\n  existing: {existing}", declared.name())]
    IndexConflict {
        /// The collection.
        collection: String,
        /// The definition asked for.
        declared: Box<Index>,
        /// The definition found.
        existing: Box<Index>,
    },
    /// The file exists and is not a store of this program. It was not changed.
    #[error("{} is not a field-notes store: {reason}; nothing was changed", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The file was written by a newer version. It was not changed.
    #[error("{} has store format {found}; this program reads up to {supported}: use a newer program; nothing was changed", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this program reads.
        supported: u32,
    },
    /// The log beside the file does not belong to it. Neither was changed.
    #[error("{}: {reason}; nothing was changed", path.display())]
    WrongLog {
        /// The file.
        path: PathBuf,
        /// The reason, and the remedies.
        reason: String,
    },
    /// A file of the embedded store was removed, replaced or truncated while the store was open. Nothing was written.
    #[error("{} was {what} while the store was open: nothing is written any more; put it back, or restart to open what is there now", path.display())]
    FileLost {
        /// The file.
        path: PathBuf,
        /// `removed`, `replaced` or `truncated`.
        what: &'static str,
    },
    /// The disk of the store is full. Nothing was written.
    #[error("the disk of the store is full: {0}")]
    DiskFull(String),
    /// The store is open for reading only.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// The bytes of a stored document are not those that were written, or are no BSON.
    #[error("{document} is damaged: {source}")]
    Damaged {
        /// The collection and the document's id, or its row number if the id cannot be read.
        document: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored document could not be read as the type asked for.
    #[error("a document of {collection} cannot be read: {source}")]
    Decode {
        /// The collection.
        collection: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else that an engine reports.
    #[error("{what}: {source}")]
    Engine {
        /// The activity that failed.
        what: &'static str,
        /// The engine's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Returns the innermost error of an [`Error::Batch`], or the error itself.
    pub fn root(&self) -> &Self {
        match self {
            Self::Batch { source, .. } => source.root(),
            other => other,
        }
    }

    /// Returns the name of the violated unique index, if this is a duplicate key.
    pub fn duplicate_index(&self) -> Option<&str> {
        match self.root() {
            Self::DuplicateKey { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Returns whether a retry of the transaction may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self.root(), Self::WriteConflict)
    }
}
