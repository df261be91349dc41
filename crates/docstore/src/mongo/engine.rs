//! The engine, its transactions, and the database handle that both share.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::stream::TryStreamExt;
use mongodb::ClientSession;
use mongodb::error::{
    Error as DriverError, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::engine::{Engine, EngineTransaction, Executor, Operation, Output};
use crate::mongo::error::{COMMITTING, classify, failed, has_code};
use crate::{
    ChangeFeed, EngineKind, Error, Find, Index, LeaseHolder, LeaseRequest, Plan, Result, ServerFacts,
    Topology, run_to_completion,
};

pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;
/// `CommandNotSupportedOnView`.
const IS_A_VIEW: i32 = 166;
/// The driver tries twice by itself each time.
const COMMIT_TRIES: u32 = 5;

/// A database on a MongoDB server.
pub(crate) struct MongoEngine {
    pub(crate) core: Core,
    pub(crate) location: String,
    /// It is a sibling, and the client is not its own to shut down.
    pub(crate) shares_client: bool,
    closed: watch::Sender<bool>,
    /// Set once the server has been seen to have them. The driver would find out at the first operation only.
    has_transactions: AtomicBool,
}

impl MongoEngine {
    pub(crate) fn new(core: Core, location: String) -> Self {
        let (closed, has_transactions) = (watch::Sender::new(false), AtomicBool::new(false));
        Self { core, location, shares_client: false, closed, has_transactions }
    }
}

#[async_trait]
impl Executor for MongoEngine {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        self.core.execute(collection, operation, None).await
    }
}

#[async_trait]
impl Engine for MongoEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Mongo
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn ping(&self) -> Result<()> {
        let database = self.core.database.clone();
        let ping = async move {
            database.run_command(doc! { "ping": 1 }).await.map_err(failed("pinging the server", ""))
        };
        self.core.limiter.read(ping).await.map(drop)
    }

    async fn facts(&self) -> Result<ServerFacts> {
        let ask = async {
            let admin = self.core.database.client().database("admin");
            let hello = admin.run_command(doc! { "hello": 1 }).await?;
            let build = admin.run_command(doc! { "buildInfo": 1 }).await?;
            Ok((hello, build))
        };
        let (hello, build) = ask.await.map_err(failed("reading the facts about the server", ""))?;
        let topology = if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            Topology::Sharded
        } else {
            hello.get_str("setName").map_or(Topology::Standalone, |set| Topology::ReplicaSet(set.into()))
        };
        let replicated = topology != Topology::Standalone;
        Ok(ServerFacts {
            engine: EngineKind::Mongo,
            version: build.get_str("version").unwrap_or_default().to_owned(),
            wire_version: hello.get_i32("maxWireVersion").unwrap_or_default(),
            topology,
            transactions: replicated,
            precise_changes: replicated,
        })
    }

    async fn collection_names(&self) -> Result<Vec<String>> {
        let listed = self.core.database.list_collection_names().await;
        let mut names = listed.map_err(failed("listing collections", ""))?;
        names.retain(|name| !name.starts_with("system."));
        names.sort();
        Ok(names)
    }

    async fn special_collections(&self) -> Result<Vec<(String, &'static str)>> {
        self.core.special_collections().await
    }

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        self.core.create_index(collection, index).await
    }

    async fn create_indexes(&self, collection: &str, indexes: &[Index]) -> Result<()> {
        self.core.create_indexes(collection, indexes).await
    }

    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.core.list_indexes(collection).await
    }

    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        self.core.drop_index(collection, name).await
    }

    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        self.core.explain(collection, find).await
    }

    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        if !self.has_transactions.load(Ordering::Relaxed) {
            if !self.facts().await?.transactions {
                return Err(Error::Unsupported(
                    "transactions need a replica set or a sharded cluster".into(),
                ));
            }
            self.has_transactions.store(true, Ordering::Relaxed);
        }
        Ok(MongoTransaction::begin(&self.core).await?)
    }

    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        self.core.acquire_lease(request).await
    }

    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        self.core.renew_lease(request, fence).await
    }

    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        self.core.release_lease(request, fence).await
    }

    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        self.core.lease_holder(collection, name).await
    }

    async fn watch(&self, poll: Duration) -> Result<ChangeFeed> {
        let precise = self.facts().await?.precise_changes;
        self.core.watch(precise, poll, self.closed.subscribe()).await
    }

    async fn replication_lag(&self) -> Result<Option<Duration>> {
        self.core.replication_lag().await
    }

    async fn close(&self) {
        self.closed.send_replace(true);
        if self.shares_client {
            return;
        }
        self.core.database.client().clone().shutdown().immediate(true).await;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A transaction on a MongoDB server.
struct MongoTransaction {
    core: Core,
    state: Mutex<State>,
}

/// A session does one thing at a time, so this is behind a lock; dropped in a transaction, it aborts it.
struct State {
    session: ClientSession,
    ended: Option<String>,
}

impl State {
    fn check(&self) -> Result<()> {
        self.ended.as_ref().map_or(Ok(()), |why| Err(Error::TransactionEnded(why.clone())))
    }
}

impl MongoTransaction {
    async fn begin(core: &Core) -> Result<Arc<Self>> {
        let begin = async {
            let mut session = core.database.client().start_session().await?;
            // All of its reads see one state of the database, on a sharded cluster too.
            session
                .start_transaction()
                .read_concern(ReadConcern::snapshot())
                .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
                .await?;
            Ok(session)
        };
        let session = begin.await.map_err(failed("beginning a transaction", ""))?;
        Ok(Arc::new(Self { core: core.clone(), state: Mutex::new(State { session, ended: None }) }))
    }
}

#[async_trait]
impl Executor for MongoTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let mut state = self.state.lock().await;
        state.check()?;
        let result = self.core.execute(collection, operation, Some(&mut state.session)).await;
        // What is not committed is not made.
        let result = result.map_err(|error| match error {
            Error::Unconfirmed(reason) => Error::Unavailable(reason),
            other => other,
        });
        if let Err(error) = &result {
            // The server has ended the transaction.
            state.ended = Some(format!("an operation in it failed: {error}"));
            // Releases its locks at once; if this fails, the server's time limit does it.
            let _ = state.session.abort_transaction().await;
        }
        result
    }
}

#[async_trait]
impl EngineTransaction for MongoTransaction {
    async fn commit(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.check()?;
        let mut tries = 1;
        let result = loop {
            match state.session.commit_transaction().await {
                Ok(()) => break Ok(()),
                // To commit again is safe: the server knows what became of it.
                Err(error)
                    if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < COMMIT_TRIES =>
                {
                    tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                    tries += 1;
                }
                Err(error) => {
                    let unknown = !error.contains_label(TRANSIENT_TRANSACTION_ERROR)
                        && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
                    break Err(if unknown {
                        Error::Unconfirmed(format!("{COMMITTING}: its outcome is not known"))
                    } else {
                        classify(COMMITTING, "", &error)
                    });
                }
            }
        };
        state.ended = Some(if result.is_ok() { "it was committed" } else { "its commit failed" }.into());
        result
    }

    async fn abort(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.ended.is_none() {
            state.ended = Some("it was aborted".into());
            // A server that is out of reach aborts it by itself.
            let _ = state.session.abort_transaction().await;
        }
        Ok(())
    }
}

/// The handle. Each operation takes the session of its transaction, if it is in one.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) database: mongodb::Database,
    pub(crate) write_concern: Option<WriteConcern>,
    pub(crate) limiter: PoolLimiter,
}

pub(crate) type Session<'a> = Option<&'a mut ClientSession>;

impl Core {
    /// Executes an operation, in the session of a transaction if there is one.
    pub(crate) async fn execute(
        &self,
        collection: &str,
        operation: Operation,
        session: Session<'_>,
    ) -> Result<Output> {
        let done = async {
            Ok(match operation {
                Operation::InsertRaw(_) | Operation::RenameTo(_) | Operation::Drop if session.is_some() => {
                    return Err(Error::Unsupported("this operation takes no part in transactions".into()));
                }
                Operation::Find(find) => Output::Documents(self.find(collection, &find, session).await?),
                Operation::Count(filter) => Output::Count(self.count(collection, &filter, session).await?),
                Operation::Insert(documents) => {
                    Output::Done(self.insert(collection, &documents, session).await?)
                }
                Operation::Update { filter, update, reach } => {
                    Output::Updated(self.update(collection, &filter, &update, reach, session).await?)
                }
                Operation::FindAndUpdate { filter, update, upsert } => {
                    let found = self.find_one_and_update(collection, &filter, &update, upsert, session);
                    Output::Document(found.await?)
                }
                Operation::Delete { filter, many } => {
                    Output::Count(self.delete(collection, &filter, many, session).await?)
                }
                Operation::Bulk(writes) => {
                    Output::Updated(self.bulk_write(collection, &writes, session).await?)
                }
                Operation::InsertRaw(documents) => {
                    Output::Done(self.insert_raw(collection, &documents).await?)
                }
                Operation::RenameTo(name) => Output::Done(self.rename_collection(collection, &name).await?),
                Operation::Drop => Output::Done(self.drop_collection(collection).await?),
            })
        };
        match done.await {
            Ok(output) => Ok(output),
            Err(error) => Err(self.with_index_fields(error).await),
        }
    }

    /// Looks up the fields of a violated index: the driver drops the server's answer to `insert_many`, and with it the fields.
    async fn with_index_fields(&self, mut error: Error) -> Error {
        let root = match &mut error {
            Error::Batch { source, .. } => &mut **source,
            other => other,
        };
        if let Error::DuplicateKey { collection, index, fields } = root
            && fields.is_empty()
        {
            let listed = self.raw_indexes(collection).await.unwrap_or_default();
            let violated =
                listed.iter().find(|listed| listed.get_str("name").is_ok_and(|name| name == index));
            if let Some(Ok(key)) = violated.map(|violated| violated.get_document("key")) {
                *fields = key.keys().cloned().collect();
            }
        }
        error
    }

    pub(crate) fn raw(&self, collection: &str) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(collection)
    }

    /// Waits for a permit to write. A transaction does not wait: it has a connection of its own.
    pub(crate) async fn permit(&self, in_transaction: bool) -> Result<Option<OwnedSemaphorePermit>> {
        if in_transaction { Ok(None) } else { self.limiter.take().await.map(Some) }
    }

    /// Returns the server's index documents, including that on `_id`.
    pub(crate) async fn raw_indexes(&self, collection: &str) -> Result<Vec<Document>> {
        let listed = async {
            let cursor = self.database.run_cursor_command(doc! { "listIndexes": collection }).await?;
            cursor.try_collect::<Vec<_>>().await
        };
        match listed.await {
            Err(error) if has_code(&error, &[NAMESPACE_NOT_FOUND, IS_A_VIEW]) => Ok(Vec::new()),
            listed => listed.map_err(|error| classify("listing indexes", collection, &error)),
        }
    }

    /// Runs a command of this database, with the write concern that the driver adds to its own.
    pub(crate) async fn write_command(
        &self,
        mut command: Document,
        session: Session<'_>,
    ) -> Result<Document, DriverError> {
        if let Some(session) = session {
            return self.database.run_command(command).session(session).await;
        }
        if let Some(concern) = &self.write_concern {
            command.insert("writeConcern", bson::serialize_to_bson(concern).map_err(ErrorKind::from)?);
        }
        self.database.run_command(command).await
    }
}

/// Reads a number of a response: an int32, or an int64 or a double from `mongos`.
pub(crate) fn number(response: &Document, key: &str) -> Option<u64> {
    match response.get(key)? {
        Bson::Int32(n) => u64::try_from(*n).ok(),
        Bson::Int64(n) => u64::try_from(*n).ok(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturating")]
        Bson::Double(n) => Some(*n as u64),
        _ => None,
    }
}

/// Limits concurrent operations to the size of the driver's connection pool.
///
/// The driver's own queue (3.9) does not release the place of a waiter that was dropped, and each event serves one place:
/// after some hundred requests whose clients disconnected, the next operation waits for minutes although all connections
/// are idle. Operations therefore wait here, where dropping the future releases the permit; a read that has started is not
/// canceled.
///
/// Content reads and writes wait here. Rare operations do not and may wait in the driver's queue: leases, indexes, the
/// change stream, transactions, and later batches of a long read.
#[derive(Clone)]
pub(crate) struct PoolLimiter(Arc<Semaphore>);

impl PoolLimiter {
    /// Creates a limiter for a pool of this size; 0 means unlimited.
    pub(crate) fn new(pool: u32) -> Self {
        let permits =
            if pool == 0 { Semaphore::MAX_PERMITS } else { usize::try_from(pool).unwrap_or(usize::MAX) };
        Self(Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a permit, which is released when it is dropped.
    async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let closed = |_| Error::Unavailable("the store is closed".into());
        Arc::clone(&self.0).acquire_owned().await.map_err(closed)
    }

    /// Runs a read with a permit. Once started it runs to completion, even if the caller is dropped.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let permit = self.take().await?;
        let work = async move {
            let read = work.await;
            drop(permit);
            read
        };
        run_to_completion(work).await?
    }
}
