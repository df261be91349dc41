use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};
use futures_util::stream::BoxStream;

use crate::{
    ChangeFeed, CollectionOptions, EngineKind, Filter, Find, Index, LeaseHolder, LeaseRequest, Plan, Problem,
    Result, Rights, ServerFacts, Space, Update, UpdateResult, Write,
};

/// Documents as they come from an engine, not yet decoded.
pub type RawStream = BoxStream<'static, Result<RawDocumentBuf>>;

/// Selects how many matches an update changes, and whether it may insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The first match.
    One,
    /// The first match; a new document if there is none.
    OneOrInsert,
    /// Every match.
    Many,
}

/// One operation on the documents of a collection.
///
/// Tracking asks each operation what it reads and writes (`Operation::effect`), so a new one does not compile before it
/// answers.
#[derive(Debug)]
pub enum Operation {
    /// Streams the documents of a read.
    Find(Find),
    /// Counts matches.
    Count(Filter),
    /// Inserts in order and stops at the first failure ([`crate::Error::Batch`]). Every document has an `_id`.
    Insert(Vec<Document>),
    /// Updates matches. An upsert's new document gets the `_id` of an equality in the filter, else an object id.
    Update {
        /// Selects the documents.
        filter: Filter,
        /// The changes.
        update: Update,
        /// Selects the matches that are updated.
        reach: Reach,
    },
    /// Updates the first match and returns the document after the update.
    FindAndUpdate {
        /// Selects the document.
        filter: Filter,
        /// The changes.
        update: Update,
        /// Inserts a document if none matches, as [`Reach::OneOrInsert`].
        upsert: bool,
    },
    /// Deletes the first match or every match.
    Delete {
        /// Selects the documents.
        filter: Filter,
        /// Deletes every match instead of the first.
        many: bool,
    },
    /// Executes writes in order and stops at the first failure ([`crate::Error::Batch`]). Inserts have an `_id`.
    Bulk(Vec<Write>),
    /// Inserts encoded documents, bypassing any validator. Each begins with its id. Not in a transaction.
    InsertRaw(Vec<RawDocumentBuf>),
    /// Renames the collection atomically, replacing one that has the name. Not in a transaction.
    RenameTo(String),
    /// Drops the collection and its indexes; nothing happens if it does not exist. Not in a transaction.
    Drop,
}

/// Declares [`Output`] and the conversion from each variant to its type.
macro_rules! outputs {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// The result of an [`Operation`]; it converts into the type that belongs to the operation.
        pub enum Output {
            $($(#[$doc])* $variant($type),)*
        }

        $(impl From<Output> for $type {
            fn from(output: Output) -> Self {
                match output {
                    Output::$variant(value) => value,
                    _ => unreachable!("an engine returns the output that belongs to the operation"),
                }
            }
        })*
    };
}

outputs! {
    /// Of [`Operation::Find`].
    Documents(RawStream),
    /// Of [`Operation::Count`] and [`Operation::Delete`].
    Count(u64),
    /// Of [`Operation::Update`] and [`Operation::Bulk`].
    Updated(UpdateResult),
    /// Of [`Operation::FindAndUpdate`].
    Document(Option<RawDocumentBuf>),
    /// Of the others.
    Done(()),
}

/// Executes operations: a database, or a transaction on one.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Executes an operation whose arguments have been checked.
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output>;
}

/// A store of documents. Handles check names and definitions before they call it.
#[async_trait]
pub trait Engine: Executor + Admin {
    /// Returns the kind of engine.
    fn kind(&self) -> EngineKind;
    /// Returns where the data is, for display: hosts and database, or the file. Never contains a password.
    fn location(&self) -> String;
    /// Checks that the store answers.
    async fn ping(&self) -> Result<()>;
    /// Returns a lasting problem of a store that answers.
    async fn problem(&self) -> Option<Problem> {
        None
    }
    /// Returns a store for reading, all of whose reads see the present state; `None` if the engine has none.
    async fn snapshot(&self) -> Result<Option<Arc<dyn Engine>>> {
        Ok(None)
    }
    /// Returns the facts about the server.
    async fn facts(&self) -> Result<ServerFacts>;
    /// Returns the names of all collections, sorted.
    async fn collection_names(&self) -> Result<Vec<String>>;
    /// Returns the collections that cannot hold documents as others do, each with its kind: `a view`, `a capped collection`.
    async fn special_collections(&self) -> Result<Vec<(String, &'static str)>> {
        Ok(Vec::new())
    }
    /// Creates an index. The caller has checked for conflicts; the engine reports those that arise nevertheless.
    async fn create_index(&self, collection: &str, index: &Index) -> Result<()>;
    /// Creates several indexes of a collection, together if the engine can. If it fails, some of them may exist.
    async fn create_indexes(&self, collection: &str, indexes: &[Index]) -> Result<()> {
        for index in indexes {
            self.create_index(collection, index).await?;
        }
        Ok(())
    }
    /// Returns the indexes of a collection in order of creation, without the one on `_id`.
    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>>;
    /// Drops an index by name; nothing happens if it does not exist.
    async fn drop_index(&self, collection: &str, name: &str) -> Result<()>;
    /// Returns the plan of a read.
    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan>;
    /// Begins a transaction.
    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>>;
    /// Acquires the lease if it is free, has expired, or is already held by this owner; returns its holder afterwards.
    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder>;
    /// Renews a held lease; `false` if it is no longer held.
    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool>;
    /// Releases a held lease; nothing happens if it is no longer held.
    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()>;
    /// Returns the holder of a lease; `None` if it is free.
    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>>;
    /// Returns a feed of changes from now on. Where the server has no change stream, [`crate::Change::Unknown`] is sent every `poll`.
    async fn watch(&self, poll: Duration) -> Result<ChangeFeed>;
    /// Returns the lag of the slowest healthy secondary; `None` without replication.
    async fn replication_lag(&self) -> Result<Option<Duration>> {
        Ok(None)
    }
    /// Stops background work and flushes pending writes; later operations fail.
    async fn close(&self);
    /// Allows downcasts to the engine's own type.
    fn as_any(&self) -> &dyn Any;
}

/// A transaction: all of its writes happen, or none does. It is aborted if it is dropped before it ends.
#[async_trait]
pub trait EngineTransaction: Executor {
    /// Makes the writes durable and visible.
    async fn commit(&self) -> Result<()>;
    /// Rolls back the writes.
    async fn abort(&self) -> Result<()>;
}

/// Rare operations on a store as a whole, used by the command line and by migrations.
///
/// None of them takes part in transactions.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Returns the name of the database or of the file.
    fn name(&self) -> String;
    /// Returns the indexes and options of a collection.
    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions>;
    /// Creates a collection with these options; its indexes are not created yet. Nothing happens if it exists.
    async fn create_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()>;
    /// Creates the indexes of these options.
    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()>;
    /// Drops the database. Later operations may find it empty, or fail.
    async fn drop_database(&self) -> Result<()>;
    /// Opens another, empty database beside this one, with this suffix to its name.
    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>>;
    /// Returns the suffixes of the databases that [`Admin::sibling`] made and that still exist.
    async fn siblings(&self) -> Result<Vec<String>>;
    /// Returns the privileges of the connected user.
    async fn rights(&self) -> Result<Rights>;
    /// Returns the disk space.
    async fn space(&self) -> Result<Space>;
}
