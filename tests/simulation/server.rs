use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docstore::engine::{Admin, Engine, EngineTransaction, Executor, Operation, Output};
use docstore::{
    Change, ChangeFeed, CollectionOptions, EngineKind, Error, Filter, Find, Index, LeaseHolder, LeaseRequest,
    Plan, Result, Rights, ServerFacts, Space, Topology,
};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use twox_hash::XxHash3_64;

use crate::history::History;
use crate::rng::Rng;

/// The number of a process; a restarted one gets a new number.
pub(crate) type ProcessId = usize;

/// The state of the store that all processes of a run use, and everything that is under way to and from it.
pub(crate) struct Server {
    pub(crate) step: usize,
    kind: EngineKind,
    transactions: bool,
    /// In how many of a thousand cases a call fails.
    pub(crate) faults: usize,
    engine: Arc<dyn Engine>,
    /// The changes of the last operation.
    changes: ChangeFeed,
    calls: Vec<Call>,
    feeds: Vec<Feed>,
    leases: Arc<Mutex<Leases>>,
    /// The number of the open transaction, during which no one else writes; 0 for none.
    transaction: Arc<AtomicU64>,
    next_transaction: u64,
    pub(crate) history: History,
    /// The last step at which each process learned that a collection was written.
    known: BTreeMap<(ProcessId, String), usize>,
    pub(crate) trace: Trace,
}

/// The events, in order.
#[derive(Default)]
pub(crate) struct Trace {
    hasher: XxHash3_64,
    /// Kept if it is shown.
    pub(crate) text: Option<String>,
}

impl Trace {
    pub(crate) fn note(&mut self, step: usize, event: &str) {
        self.hasher.write(event.as_bytes());
        if let Some(text) = &mut self.text {
            writeln!(text, "{step:5} {event}").expect("a string can be written");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

/// One call of the port, on its way to the store or back.
struct Call {
    process: ProcessId,
    name: String,
    writes: bool,
    needs: Needs,
    stage: Stage,
    /// The collections that it changed.
    changed: Vec<String>,
}

/// The condition for a call to be executed. A call that waits for it is no different from a slow one.
enum Needs {
    Nothing,
    /// No other transaction is open.
    Writer(u64),
    /// The lease is free.
    Lease(LeaseRequest),
}

enum Stage {
    /// Executes the call, or not, and returns the answer.
    Arrived(Box<dyn FnOnce(bool) -> Answer + Send>),
    Executed(Answer),
}

/// Sends the result to the caller, or this error in its place.
type Answer = Box<dyn FnOnce(Option<Error>) + Send>;

/// A change feed of a process.
struct Feed {
    process: ProcessId,
    /// Changes that are not delivered yet.
    late: VecDeque<Change>,
    sender: mpsc::UnboundedSender<Result<Change>>,
}

#[derive(Default)]
struct Leases {
    held: BTreeMap<(String, String), String>,
    fence: i64,
}

impl Leases {
    fn is_free_for(&self, request: &LeaseRequest) -> bool {
        self.held.get(&key(request)).is_none_or(|owner| *owner == request.owner)
    }
}

fn key(request: &LeaseRequest) -> (String, String) {
    (request.collection.clone(), request.name.clone())
}

impl Server {
    pub(crate) fn new(engine: Arc<dyn Engine>, kind: EngineKind, transactions: bool) -> Self {
        let changes = engine.watch(Duration::MAX).now_or_never().expect("it does not wait").expect("a feed");
        let mut server = Self {
            step: 0,
            kind,
            transactions,
            faults: 0,
            engine,
            changes,
            calls: Vec::new(),
            feeds: Vec::new(),
            leases: Arc::default(),
            transaction: Arc::default(),
            next_transaction: 1,
            history: History::default(),
            known: BTreeMap::new(),
            trace: Trace::default(),
        };
        for resource in crate::requests::Resource::ALL {
            for document in server.find(resource.collection(), Filter::All) {
                let id = document.get_object_id("_id").ok();
                server.history.record(0, resource.collection(), id, Some(&document));
            }
        }
        server
    }

    /// Reads documents as they are stored.
    fn find(&self, collection: &str, filter: Filter) -> Vec<bson::RawDocumentBuf> {
        let find = self.engine.execute(collection, Operation::Find(Find::new(filter)));
        let found =
            find.now_or_never().expect("a store in memory does not wait").expect("documents are read");
        let Output::Documents(found) = found else { unreachable!("documents were asked for") };
        found.try_collect().now_or_never().expect("it does not wait").expect("documents are read")
    }

    /// Returns the step up to which a process must know of the writes to a collection.
    pub(crate) fn known(&self, process: ProcessId, collection: &str, born: usize) -> usize {
        self.known.get(&(process, collection.to_owned())).copied().unwrap_or_default().max(born)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn has_late_changes(&self) -> bool {
        self.feeds.iter().any(|feed| !feed.late.is_empty())
    }

    fn can_advance(&self, call: &Call) -> bool {
        match (&call.stage, &call.needs) {
            (Stage::Executed(_), _) | (_, Needs::Nothing) => true,
            (_, Needs::Writer(own)) => [0, *own].contains(&self.transaction.load(Ordering::SeqCst)),
            (_, Needs::Lease(request)) => self.leases.lock().is_free_for(request),
        }
    }

    /// Executes or answers one of the calls; false if none can be.
    pub(crate) fn advance(&mut self, rng: &mut Rng) -> bool {
        let ready: Vec<_> = (0..self.calls.len()).filter(|at| self.can_advance(&self.calls[*at])).collect();
        let Some(at) = rng.any(&ready).copied() else { return false };
        let fault = rng.chance(self.faults).then(|| rng.chance(300));
        self.advance_call(at, fault);
        true
    }

    /// Executes or answers the first call of a process, without a fault; false if it has none.
    pub(crate) fn advance_calls_of(&mut self, process: ProcessId) -> bool {
        let first = self.calls.iter().position(|call| call.process == process && self.can_advance(call));
        first.map(|at| self.advance_call(at, None)).is_some()
    }

    /// Executes or answers a call, or fails it: before it is executed, a fault tells whether that is known.
    fn advance_call(&mut self, at: usize, fault: Option<bool>) {
        let Call { process, name, writes, needs, stage, mut changed } = self.calls.remove(at);
        match (stage, fault) {
            (Stage::Arrived(run), Some(unknown)) => {
                self.note(process, &name, "fails");
                run(false)(Some(if writes && unknown { unconfirmed() } else { unavailable() }));
            }
            (Stage::Arrived(run), None) => {
                self.note(process, &name, "executed");
                let answer = run(true);
                self.record_changes(process, &mut changed);
                let stage = Stage::Executed(answer);
                self.calls.push(Call { process, name, writes, needs, stage, changed });
            }
            (Stage::Executed(answer), fault) => {
                self.note(process, &name, if fault.is_some() { "answer lost" } else { "answered" });
                let error = if writes { unconfirmed() } else { unavailable() };
                answer(fault.map(|_| error));
                for collection in changed {
                    self.known.insert((process, collection), self.step);
                }
            }
        }
    }

    pub(crate) fn is_transaction_open(&self) -> bool {
        self.transaction.load(Ordering::SeqCst) != 0
    }

    fn note(&mut self, process: ProcessId, name: &str, what: &str) {
        self.trace.note(self.step, &format!("{process} {name}: {what}"));
    }

    /// Records what an operation has changed, and sends it on its way to the feeds.
    fn record_changes(&mut self, process: ProcessId, changed: &mut Vec<String>) {
        while let Some(change) = self.changes.next().now_or_never() {
            let change = change.expect("a feed in memory does not break").expect("the store is open");
            let Change::Document { collection, id, .. } = &change else {
                unreachable!("the application drops no collection")
            };
            let now = self.find(collection, Filter::id(id.clone()));
            let now = now.first().map(std::convert::AsRef::as_ref);
            self.history.record(self.step, collection, id.as_object_id(), now);
            if !changed.contains(collection) {
                changed.push(collection.clone());
            }
            for feed in &mut self.feeds {
                let is_own = feed.process == process;
                let unknown = self.kind == EngineKind::Embedded && !is_own;
                feed.late.push_back(if unknown { Change::Unknown } else { change.clone() });
            }
        }
    }

    /// Delivers the next change of one of the feeds; false if there is none.
    pub(crate) fn deliver(&mut self, rng: &mut Rng) -> bool {
        let late: Vec<_> = (0..self.feeds.len()).filter(|at| !self.feeds[*at].late.is_empty()).collect();
        let Some(at) = rng.any(&late) else { return false };
        let feed = &mut self.feeds[*at];
        let process = feed.process;
        let change = feed.late.pop_front().expect("the feed has a change");
        let _ = feed.sender.send(Ok(change.clone()));
        match &change {
            Change::Document { collection, .. } => {
                // The embedded store names only writes of the process itself, which are known already.
                if self.kind == EngineKind::Mongo {
                    self.known.insert((process, collection.clone()), self.step);
                }
                self.note(process, "feed", collection);
            }
            Change::Unknown => {
                for collection in ["stories", "projects", "sections", "slug_history"] {
                    self.known.insert((process, collection.to_owned()), self.step);
                }
                self.note(process, "feed", "unknown");
            }
        }
        true
    }

    /// Loses the late changes of one of the feeds: it reports that, or it breaks.
    pub(crate) fn lose_changes(&mut self, rng: &mut Rng) {
        let Some(at) = (!self.feeds.is_empty()).then(|| rng.below(self.feeds.len())) else { return };
        let feed = &mut self.feeds[at];
        let process = feed.process;
        feed.late.clear();
        if rng.chance(500) {
            feed.late.push_back(Change::Unknown);
            self.note(process, "feed", "loses changes");
        } else {
            let _ = feed.sender.send(Err(unavailable()));
            self.feeds.remove(at);
            self.note(process, "feed", "breaks");
        }
    }

    /// Ends everything that a process has under way. Calls that have reached a server may still be executed.
    pub(crate) fn forget_process(&mut self, process: ProcessId, rng: &mut Rng) -> impl Sized + use<> {
        self.feeds.retain(|feed| feed.process != process);
        let (theirs, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.calls).into_iter().partition(|call| call.process == process);
        self.calls = others;
        let mut dropped = Vec::new();
        for call in theirs {
            let stays = self.kind == EngineKind::Mongo
                && matches!(call.needs, Needs::Writer(0))
                && matches!(call.stage, Stage::Arrived(_))
                && rng.chance(500);
            if stays { self.calls.push(call) } else { dropped.push(call) }
        }
        dropped
    }

    /// Lets the leases expire.
    pub(crate) fn expire_leases(&mut self) -> bool {
        let mut leases = self.leases.lock();
        let any = !leases.held.is_empty();
        leases.held.clear();
        any
    }
}

fn unavailable() -> Error {
    Error::Unavailable("the simulated store does not answer".into())
}

fn unconfirmed() -> Error {
    Error::Unconfirmed("the simulated store did not answer".into())
}

/// The port, as one process uses it.
pub(crate) struct Connection {
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) process: ProcessId,
}

impl Connection {
    /// Sends a call and waits until it is answered.
    async fn call<T: Send + 'static>(
        &self,
        name: String,
        writes: bool,
        needs: Needs,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |execute: bool| -> Answer {
            let result = execute.then(|| work.now_or_never().expect("a store in memory does not wait"));
            Box::new(move |error| {
                let result = match (error, result) {
                    (Some(error), _) => Err(error),
                    (None, Some(result)) => result,
                    (None, None) => unreachable!("a call that is not executed fails"),
                };
                // The caller may be gone.
                let _ = reply.send(result);
            })
        });
        let stage = Stage::Arrived(run);
        let call = Call { process: self.process, name, writes, needs, stage, changed: Vec::new() };
        self.server.lock().calls.push(call);
        answer.await.unwrap_or_else(|_| Err(unavailable()))
    }

    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.server.lock().engine)
    }
}

/// Returns a name of an operation, and whether it writes.
fn describe(collection: &str, operation: &Operation) -> (String, bool) {
    let (name, writes) = match operation {
        Operation::Find(_) => ("find", false),
        Operation::Count(_) => ("count", false),
        Operation::Insert(_) => ("insert", true),
        Operation::Update { .. } => ("update", true),
        Operation::FindAndUpdate { .. } => ("find and update", true),
        Operation::Delete { .. } => ("delete", true),
        Operation::Bulk(_) => ("bulk", true),
        Operation::InsertRaw(_) | Operation::RenameTo(_) | Operation::Drop => {
            unreachable!("the application does not use it")
        }
    };
    (format!("{collection} {name}"), writes)
}

#[async_trait]
impl Executor for Connection {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let (name, writes) = describe(collection, &operation);
        let (engine, collection) = (self.engine(), collection.to_owned());
        let needs = if writes { Needs::Writer(0) } else { Needs::Nothing };
        self.call(name, writes, needs, async move { engine.execute(&collection, operation).await }).await
    }
}

#[async_trait]
impl Engine for Connection {
    fn kind(&self) -> EngineKind {
        self.server.lock().kind
    }

    fn location(&self) -> String {
        "simulation".to_owned()
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn facts(&self) -> Result<ServerFacts> {
        let server = self.server.lock();
        Ok(ServerFacts {
            engine: server.kind,
            version: "0".to_owned(),
            wire_version: 17,
            topology: Topology::ReplicaSet("simulation".to_owned()),
            transactions: server.transactions,
            precise_changes: true,
        })
    }

    async fn collection_names(&self) -> Result<Vec<String>> {
        self.engine().collection_names().await
    }

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        self.engine().create_index(collection, index).await
    }

    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.engine().list_indexes(collection).await
    }

    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        self.engine().drop_index(collection, name).await
    }

    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        self.engine().explain(collection, find).await
    }

    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        let (number, open) = {
            let mut server = self.server.lock();
            if !server.transactions {
                return Err(Error::Unsupported("the simulated server has no transactions".into()));
            }
            server.next_transaction += 1;
            (server.next_transaction, Arc::clone(&server.transaction))
        };
        let connection = Self { server: Arc::clone(&self.server), process: self.process };
        let engine = self.engine();
        let begin = async move {
            let inner = engine.begin().await?;
            open.store(number, Ordering::SeqCst);
            let guard = TransactionGuard { number, open };
            Ok(Arc::new(SimulatedTransaction { connection, inner, guard: Arc::new(guard) })
                as Arc<dyn EngineTransaction>)
        };
        self.call("begin".to_owned(), false, Needs::Writer(0), begin).await
    }

    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        let (leases, wanted) = (Arc::clone(&self.server.lock().leases), request.clone());
        let acquire = async move {
            let mut leases = leases.lock();
            leases.fence += 1;
            leases.held.insert(key(&wanted), wanted.owner.clone());
            Ok(LeaseHolder { owner: wanted.owner, fence: leases.fence, remaining: wanted.ttl })
        };
        self.call("acquire lease".to_owned(), true, Needs::Lease(request.clone()), acquire).await
    }

    async fn renew_lease(&self, _: &LeaseRequest, _: i64) -> Result<bool> {
        unreachable!("the application renews no lease")
    }

    async fn release_lease(&self, request: &LeaseRequest, _: i64) -> Result<()> {
        let (leases, held) = (Arc::clone(&self.server.lock().leases), request.clone());
        let release = async move {
            let mut leases = leases.lock();
            if leases.held.get(&key(&held)) == Some(&held.owner) {
                leases.held.remove(&key(&held));
            }
            Ok(())
        };
        self.call("release lease".to_owned(), true, Needs::Nothing, release).await
    }

    async fn lease_holder(&self, _: &str, _: &str) -> Result<Option<LeaseHolder>> {
        unreachable!("the application asks for no holder")
    }

    async fn watch(&self, _: Duration) -> Result<ChangeFeed> {
        let (sender, changes) = mpsc::unbounded_channel();
        self.server.lock().feeds.push(Feed { process: self.process, late: VecDeque::new(), sender });
        let changes =
            stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) });
        Ok(ChangeFeed::new(changes.boxed()))
    }

    async fn close(&self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl Admin for Connection {
    fn name(&self) -> String {
        "simulation".to_owned()
    }

    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        self.engine().collection_options(collection).await
    }

    async fn create_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        self.engine().create_collection(collection, options).await
    }

    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        self.engine().complete_collection(collection, options).await
    }

    async fn drop_database(&self) -> Result<()> {
        unreachable!("the application drops no database")
    }

    async fn sibling(&self, _: &str) -> Result<Arc<dyn Engine>> {
        unreachable!("the application opens no other store")
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn rights(&self) -> Result<Rights> {
        Ok(Rights::Unlimited)
    }

    async fn space(&self) -> Result<Space> {
        self.engine().space().await
    }
}

/// A transaction on its way to the store and back. Others write again when it has ended or is dropped.
struct SimulatedTransaction {
    connection: Connection,
    inner: Arc<dyn EngineTransaction>,
    guard: Arc<TransactionGuard>,
}

struct TransactionGuard {
    number: u64,
    open: Arc<AtomicU64>,
}

impl TransactionGuard {
    fn end(&self) {
        let _ = self.open.compare_exchange(self.number, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl Drop for TransactionGuard {
    fn drop(&mut self) {
        self.end();
    }
}

impl SimulatedTransaction {
    async fn call<T: Send + 'static>(
        &self,
        name: String,
        writes: bool,
        ends: bool,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let guard = Arc::clone(&self.guard);
        let number = guard.number;
        let work = async move {
            let result = work.await;
            // An operation that fails ends the transaction.
            if ends || result.is_err() {
                guard.end();
            }
            result
        };
        self.connection.call(name, writes, Needs::Writer(number), work).await
    }
}

#[async_trait]
impl Executor for SimulatedTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let (name, _) = describe(collection, &operation);
        let (inner, collection) = (Arc::clone(&self.inner), collection.to_owned());
        // Whatever becomes of the operation, only the commit writes.
        let execute = async move { inner.execute(&collection, operation).await };
        self.call(format!("{name} in a transaction"), false, false, execute).await
    }
}

#[async_trait]
impl EngineTransaction for SimulatedTransaction {
    async fn commit(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        self.call("commit".to_owned(), true, true, async move { inner.commit().await }).await
    }

    async fn abort(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        self.call("abort".to_owned(), false, true, async move { inner.abort().await }).await
    }
}
