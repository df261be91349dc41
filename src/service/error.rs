use crate::domain::Revision;
use crate::repository;

/// An error of a use case. Items are named as by [`Item::NAME`](crate::domain::Item::NAME).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id is malformed.
    #[error("invalid {0} id")]
    InvalidId(&'static str),
    /// A well-formed parameter has an unacceptable value.
    #[error("invalid {parameter}: {expected}")]
    InvalidParameter {
        /// The parameter.
        parameter: &'static str,
        /// A description of acceptable values.
        expected: String,
    },
    /// The item does not exist, or the caller may not see it.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The item is not in the trash.
    #[error("{0} not found in the trash")]
    NotInTrash(&'static str),
    /// A page cannot be restored because another page has its type, which is this one.
    #[error("page {0} already exists")]
    PageExists(String),
    /// A well-formed field has an unacceptable value.
    #[error("invalid {field}: {expected}")]
    InvalidField {
        /// The field.
        field: &'static str,
        /// A description of acceptable values.
        expected: String,
    },
    /// The caller may not create content.
    #[error("the caller may not create content")]
    MayNotCreate,
    /// The caller is not an administrator.
    #[error("the caller is not an administrator")]
    NotAdmin,
    /// The item belongs to another user.
    #[error("the caller may not change the item")]
    MayNotChange,
    /// The item's revision does not meet the precondition of the change.
    #[error("the item has changed, to revision {0}")]
    Stale(Revision),
    /// Another item has the requested unique value.
    #[error("{field} already exists")]
    Taken {
        /// The field.
        field: &'static str,
    },
    /// The section is not empty: it contains this.
    #[error("the section contains {0}")]
    InUse(String),
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] repository::Error),
}
