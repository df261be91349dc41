use bson::Bson;
use futures_util::stream::{BoxStream, StreamExt};

use crate::Result;

/// What happened to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was inserted.
    Inserted,
    /// It was updated.
    Updated,
    /// It was deleted.
    Deleted,
}

/// One event of a change feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A document changed, and the change is durable.
    Document {
        /// The collection.
        collection: String,
        /// The document's id.
        id: Bson,
        /// What happened.
        kind: ChangeKind,
    },
    /// Something may have changed that this feed cannot name: the listener has to look again. Sent where the
    /// server has no change stream, where another process wrote to the embedded file, after events were lost, and
    /// when a collection was dropped.
    Unknown,
}

/// A feed of changes; ends when the database is closed.
pub struct ChangeFeed(pub(crate) BoxStream<'static, Result<Change>>);

impl ChangeFeed {
    /// Wraps a stream of changes.
    pub fn new(stream: BoxStream<'static, Result<Change>>) -> Self {
        Self(stream)
    }

    /// The next change; `None` at the end of the feed. After an error the feed can be asked again: it goes on as soon as
    /// the store lets it, with [`Change::Unknown`].
    pub async fn next(&mut self) -> Result<Option<Change>> {
        self.0.next().await.transpose()
    }
}
