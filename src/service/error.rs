use crate::domain::{MediaUse, Revision, TargetType};
use crate::media::StorageError;
use crate::media::image::ImageError;
use crate::media::video::ProbeError;
use crate::repository;

/// An error of a use case, with the text that clients read. Items are named as by [`Item::NAME`](crate::domain::Item::NAME).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id is malformed.
    #[error("Invalid {} id: 24 hexadecimal digits are expected", .0.to_lowercase())]
    InvalidId(&'static str),
    /// A well-formed parameter has an unacceptable value.
    #[error("Invalid {parameter}: {expected}")]
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
    #[error("Page \"{0}\" already exists: delete it before restoring this one")]
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
    #[error("Only authors and administrators may create content")]
    MayNotCreate,
    /// The caller is not an administrator.
    #[error("Only administrators may do this")]
    NotAdmin,
    /// The item belongs to another user.
    #[error("Only its owner and administrators may change this item")]
    MayNotChange,
    /// The item's revision does not meet the precondition of the change.
    #[error("The item has changed: its current version is \"{0}\"")]
    Stale(Revision),
    /// The item exists, with this revision, although the precondition of the change excludes it.
    #[error("The item exists already: its current version is \"{0}\"")]
    Exists(Revision),
    /// The item does not exist, although the precondition of the change requires it.
    #[error("{0} does not exist")]
    Absent(&'static str),
    /// Another item has the requested unique value.
    #[error("{field} is taken")]
    Taken {
        /// The field.
        field: &'static str,
    },
    /// The section is not empty: it contains this.
    #[error("The section contains {0}: move them with reassign_to=<section id>, or delete with force=true")]
    InUse(String),
    /// The section's type of content cannot change: it contains this.
    #[error("The section contains {0}: move them before changing content_type")]
    ContentTypeInUse(String),
    /// The section contains items of other users, which the caller may not move.
    #[error("The section contains items of other users, which only administrators may move")]
    ContentOfOthers,
    /// Content refers to the picture or video.
    #[error("Content refers to this file, in {}: change it first, or delete the file with force=true", items(.0.count))]
    MediaInUse(MediaUse),
    /// An uploaded picture is refused.
    #[error(transparent)]
    Picture(#[from] ImageError),
    /// An uploaded video is refused.
    #[error(transparent)]
    Video(ProbeError),
    /// The storage of pictures and videos failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The id of a target, comment or parent is malformed.
    #[error("Invalid {0} ID format")]
    InvalidReference(&'static str),
    /// There is no such type of content that takes reactions.
    #[error("Unknown target type: {0}")]
    UnknownTargetType(String),
    /// Content of this type takes no comments.
    #[error("comments disabled for {}", .0.as_str())]
    CommentsDisabled(TargetType),
    /// There are no new comments.
    #[error("Comments are closed")]
    CommentsClosed,
    /// The content to react to does not exist, or is not public.
    #[error("{} not found or not published", .0.as_str())]
    TargetNotFound(TargetType),
    /// The comment belongs to another user.
    #[error("You can only {action} your own comments")]
    NotOwnComment {
        /// The refused action, as a verb phrase.
        action: &'static str,
    },
    /// The comment is too old to be changed.
    #[error("A comment can be changed for 15 minutes")]
    EditClosed,
    /// The caller has just written the same comment.
    #[error("You have just written this comment")]
    CommentRepeated,
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] repository::Error),
}

impl Error {
    /// Returns the error of a request that has written something before, whose outcome is unknown if the store did not
    /// answer.
    #[must_use]
    pub(super) fn after_write(self) -> Self {
        match self {
            Self::Repository(error) => Self::Repository(error.after_write()),
            other => other,
        }
    }
}

fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}
