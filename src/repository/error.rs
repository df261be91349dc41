/// An error of a repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached, or did not answer in time.
    #[error(transparent)]
    Unavailable(docstore::Error),
    /// The disk of the store is full; nothing was written.
    #[error(transparent)]
    DiskFull(docstore::Error),
    /// The store is open for reading only.
    #[error(transparent)]
    ReadOnly(docstore::Error),
    /// A stored document has a field with an unexpected value.
    #[error("cannot read document {id} of {collection}: invalid field {field}")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The document's id.
        id: String,
        /// The invalid field.
        field: &'static str,
    },
    /// A unique key already exists.
    #[error("{} already exists in {collection}", fields.join(", "))]
    Duplicate {
        /// The collection.
        collection: String,
        /// The fields of the unique key.
        fields: Vec<String>,
    },
    /// The store did not confirm a write, which may have been made.
    #[error("the store did not confirm a write")]
    Unconfirmed(#[source] docstore::Error),
    /// An idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request with the same idempotency key is in progress.
    #[error("a request with this idempotency key is in progress")]
    KeyInUse,
    /// A cursor belongs to another list, or to another version of this program.
    #[error("the cursor does not belong to this list")]
    Cursor,
    /// Any other failure.
    #[error("the store failed")]
    Store(#[source] docstore::Error),
}

impl Error {
    /// Reports that the store did not answer in time.
    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(docstore::Error::Unavailable(reason.into()))
    }

    /// Reports stored bytes that are not a document.
    pub(super) fn undecodable(
        collection: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Store(docstore::Error::Decode { collection: collection.to_owned(), source: Box::new(error) })
    }

    /// Returns the error of a request that has written something before.
    #[must_use]
    pub fn after_write(self) -> Self {
        match self {
            Self::Unavailable(error) => Self::Unconfirmed(error),
            other => other,
        }
    }

    /// Reports whether another document has the same value of this unique field.
    pub(super) fn is_duplicate(&self, field: &str) -> bool {
        matches!(self, Self::Duplicate { fields, .. } if fields.iter().map(String::as_str).eq([field]))
    }
}

impl From<docstore::Error> for Error {
    fn from(error: docstore::Error) -> Self {
        match error.root() {
            // A transaction that ended or met another one wrote nothing and may be repeated.
            docstore::Error::Unavailable(_)
            | docstore::Error::FileLost { .. }
            | docstore::Error::TransactionEnded(_)
            | docstore::Error::WriteConflict => Self::Unavailable(error),
            docstore::Error::Unconfirmed(_) => Self::Unconfirmed(error),
            docstore::Error::DiskFull(_) => Self::DiskFull(error),
            docstore::Error::ReadOnly(_) => Self::ReadOnly(error),
            docstore::Error::DuplicateKey { collection, fields, .. } => {
                Self::Duplicate { collection: collection.clone(), fields: fields.clone() }
            }
            _ => Self::Store(error),
        }
    }
}
