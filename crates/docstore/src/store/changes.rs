use bson::Bson;
use futures_util::stream::{BoxStream, StreamExt};

use crate::Result;

/// One event of a change feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A document was inserted, updated or deleted, and the change is durable.
    Document {
        /// The collection.
        collection: String,
        /// The document's id.
        id: Bson,
        /// True if a transaction is known to have written it.
        in_transaction: bool,
    },
    /// Something may have changed that this feed cannot name, so the listener must read again. Sent where the server has no
    /// change stream, when another process wrote to the SQLite file, after events were lost, and when a collection was
    /// dropped.
    Unknown,
}

/// A feed of changes; ends when the database is closed.
pub struct ChangeFeed(pub(crate) BoxStream<'static, Result<Change>>);

impl ChangeFeed {
    /// Wraps a stream of changes.
    pub fn new(stream: BoxStream<'static, Result<Change>>) -> Self {
        Self(stream)
    }

    /// Returns the next change; `None` at the end of the feed. After an error the feed can be polled again: it resumes with
    /// [`Change::Unknown`] as soon as the store allows.
    pub async fn next(&mut self) -> Result<Option<Change>> {
        self.0.next().await.transpose()
    }
}
