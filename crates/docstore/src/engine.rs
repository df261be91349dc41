use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};
use futures_util::stream::BoxStream;

use crate::{
    ChangeFeed, CollectionOptions, EngineKind, Filter, Find, FindAndUpdate, Index, LeaseHolder, LeaseRequest,
    Plan, Result, Rights, ServerFacts, Space, Update, UpdateResult, Write, WriteResult,
};

/// Documents as they come from an engine, not yet decoded.
pub type RawStream = BoxStream<'static, Result<RawDocumentBuf>>;

/// Which documents an update may reach, and whether it may insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The first match.
    One,
    /// The first match; a new document if there is none.
    OneOrInsert,
    /// Every match.
    Many,
}

/// Reads and writes of documents: what a database offers, and a transaction too.
///
/// Engines check their arguments (`check` of filter, update, …) before anything is done.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Streams the documents of a read.
    async fn find(&self, collection: &str, find: Find) -> Result<RawStream>;
    /// Counts matches.
    async fn count(&self, collection: &str, filter: &Filter) -> Result<u64>;
    /// Inserts in order and stops at the first failure ([`crate::Error::Batch`]). Every document has an `_id`.
    async fn insert_many(&self, collection: &str, documents: Vec<Document>) -> Result<()>;
    /// Updates matches. An upsert's new document gets the `_id` of an equality in the filter, else an object id.
    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult>;
    /// Updates the first match and returns it.
    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>>;
    /// Deletes the first match or every match; returns how many.
    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64>;
    /// Carries out writes in order and stops at the first failure ([`crate::Error::Batch`]). Inserts have an `_id`.
    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult>;
}

/// A store of documents.
#[async_trait]
pub trait Engine: Executor {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;
    /// Where the data is, for people: hosts and database, or the file. Never a password.
    fn location(&self) -> String;
    /// Asks the server for a sign of life.
    async fn ping(&self) -> Result<()>;
    /// What is known of the server.
    async fn facts(&self) -> Result<ServerFacts>;
    /// The names of all collections, sorted.
    async fn collection_names(&self) -> Result<Vec<String>>;
    /// Drops a collection and its indexes; nothing happens if it is not there.
    async fn drop_collection(&self, collection: &str) -> Result<()>;
    /// Makes an index. The caller has looked for conflicts; the engine reports those it meets all the same.
    async fn create_index(&self, collection: &str, index: &Index) -> Result<()>;
    /// The indexes of a collection in the order of their making, without that on `_id`.
    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>>;
    /// Drops an index by name; nothing happens if it is not there.
    async fn drop_index(&self, collection: &str, name: &str) -> Result<()>;
    /// How a read would be carried out.
    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan>;
    /// Begins a transaction.
    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>>;
    /// Takes the lease if it is free, has run out, or is already this owner's; returns who holds it afterwards.
    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder>;
    /// Starts the term of a held lease anew; `false` if it is no longer held.
    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool>;
    /// Gives a held lease back; nothing happens if it is no longer held.
    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()>;
    /// Who holds a lease; `None` if nobody does.
    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>>;
    /// Changes from now on. Where the server has no change stream, [`crate::Change::Unknown`] is sent every `poll`.
    async fn watch(&self, poll: Duration) -> Result<ChangeFeed>;
    /// Care of the store as a whole.
    fn admin(&self) -> &dyn Admin;
    /// How far the slowest secondary that is well is behind; `None` where nothing is replicated.
    async fn replication_lag(&self) -> Result<Option<Duration>> {
        Ok(None)
    }
    /// Ends background work and flushes what is left; later operations fail.
    async fn close(&self);
    /// For the escape hatches of the engines.
    fn as_any(&self) -> &dyn Any;
}

/// A transaction: all of its writes happen, or none does. Dropped without an end, it is aborted.
#[async_trait]
pub trait EngineTransaction: Executor {
    /// Makes the writes durable and visible.
    async fn commit(&self) -> Result<()>;
    /// Undoes the writes.
    async fn abort(&self) -> Result<()>;
}

/// Care of a store as a whole: what is done to it seldom, by people and by migrations.
///
/// None of it takes part in transactions.
#[async_trait]
pub trait Admin: Send + Sync {
    /// The name of the database, or of the file.
    fn name(&self) -> String;
    /// What a collection is besides its documents.
    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions>;
    /// Creates a collection with these options; its indexes are not created yet. Nothing happens if it exists.
    async fn create_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()>;
    /// Creates the indexes of these options.
    async fn complete_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()>;
    /// Inserts encoded documents, bypassing any validator. Each begins with its id.
    async fn insert_raw(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<()>;
    /// Gives a collection another name, at once; one that has that name already goes.
    async fn rename_collection(&self, from: &str, to: &str) -> Result<()>;
    /// Drops the whole database. Later operations may find it empty, or fail.
    async fn drop_database(&self) -> Result<()>;
    /// Another, empty database beside this one, with this name added to its own.
    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>>;
    /// The added names of the databases that [`Admin::sibling`] made and that are still there.
    async fn siblings(&self) -> Result<Vec<String>>;
    /// What the user may do.
    async fn rights(&self) -> Result<Rights>;
    /// How much room there is.
    async fn space(&self) -> Result<Space>;
}
