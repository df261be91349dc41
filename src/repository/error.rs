/// What can go wrong in a repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached, or did not answer in time.
    #[error("the store is unavailable")]
    Unavailable(#[source] docstore::Error),
    /// A stored document is not what it has to be.
    #[error("document {id} of {collection} cannot be read: field {field}")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The document's id.
        id: String,
        /// The field in the way.
        field: &'static str,
    },
    /// A unique field would be the same in two documents.
    #[error("{} is taken in {collection}", fields.join(", "))]
    Duplicate {
        /// The collection.
        collection: String,
        /// The fields that are unique together.
        fields: Vec<String>,
    },
    /// The cursor of a walk is none of this list, or of another version of this program.
    #[error("the cursor is none of this list")]
    Cursor,
    /// Anything else.
    #[error("the store failed")]
    Store(#[source] docstore::Error),
}

impl From<docstore::Error> for Error {
    fn from(error: docstore::Error) -> Self {
        match error.root() {
            docstore::Error::Unavailable(_) => Self::Unavailable(error),
            docstore::Error::DuplicateKey { collection, fields, .. } => {
                Self::Duplicate { collection: collection.clone(), fields: fields.clone() }
            }
            _ => Self::Store(error),
        }
    }
}
