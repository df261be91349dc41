use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::Document;
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedMutexGuard, broadcast};
use tokio::time::Instant;

use super::state::State;
use crate::engine::{Admin, Engine, EngineTransaction, Executor, Operation, Output};
use crate::{
    Change, ChangeFeed, CollectionOptions, EngineKind, Error, Find, Index, LeaseHolder, LeaseRequest, Plan,
    Result, Rights, ServerFacts, Space, Topology,
};

/// Number of changes that a feed may lag behind before it loses some.
const BEHIND: usize = 1024;

/// A store in memory. It reports itself as the embedded kind, since its transactions exclude other writes.
#[derive(Clone, Default)]
pub(super) struct MemoryEngine {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Held by the writer: one write, or a transaction.
    writer: Arc<tokio::sync::Mutex<()>>,
    leases: Mutex<BTreeMap<(String, String), Lease>>,
    events: Mutex<Events>,
    siblings: Mutex<BTreeMap<String, MemoryEngine>>,
}

#[derive(Default)]
struct Events {
    sender: Option<broadcast::Sender<Change>>,
    closed: bool,
}

/// A lease as it is stored. The fencing token outlives its holder.
struct Lease {
    owner: Option<String>,
    fence: i64,
    ends: Instant,
}

impl Lease {
    fn is_held_by(&self, request: &LeaseRequest, fence: i64) -> bool {
        self.owner.as_ref() == Some(&request.owner) && self.fence == fence
    }
}

impl MemoryEngine {
    /// Returns a store with the same documents and indexes.
    pub(super) fn copy(&self) -> Self {
        let state = Mutex::new(self.shared.state.lock().clone());
        Self { shared: Arc::new(Shared { state, ..Shared::default() }) }
    }

    async fn write<T>(&self, run: impl FnOnce(&mut State, &mut Vec<Change>) -> Result<T>) -> Result<T> {
        let _writer = self.shared.writer.lock().await;
        self.check_open()?;
        let mut changes = Vec::new();
        let outcome = run(&mut self.shared.state.lock(), &mut changes);
        self.shared.publish(changes);
        outcome
    }

    fn check_open(&self) -> Result<()> {
        if self.shared.events.lock().closed { Err(closed()) } else { Ok(()) }
    }

    fn read<T>(&self, run: impl FnOnce(&State) -> T) -> Result<T> {
        self.check_open().map(|()| run(&self.shared.state.lock()))
    }

    fn indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.read(|state| {
            let stored = state.collections.get(collection);
            let indexes = stored.into_iter().flat_map(|stored| &stored.indexes);
            indexes.map(|stored| stored.index.clone()).collect()
        })
    }
}

impl Shared {
    fn publish(&self, changes: Vec<Change>) {
        if let Some(sender) = &self.events.lock().sender {
            for change in changes {
                // There may be no feed.
                let _ = sender.send(change);
            }
        }
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

#[async_trait]
impl Executor for MemoryEngine {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        if matches!(operation, Operation::Find(_) | Operation::Count(_)) {
            self.check_open()?;
            return self.shared.state.lock().execute(collection, operation, &mut Vec::new());
        }
        self.write(|state, changes| state.execute(collection, operation, changes)).await
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Embedded
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    async fn ping(&self) -> Result<()> {
        self.check_open()
    }

    async fn snapshot(&self) -> Result<Option<Arc<dyn Engine>>> {
        Ok(Some(Arc::new(self.copy())))
    }

    async fn facts(&self) -> Result<ServerFacts> {
        Ok(ServerFacts {
            engine: EngineKind::Embedded,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wire_version: 0,
            topology: Topology::File,
            transactions: true,
            precise_changes: true,
        })
    }

    async fn collection_names(&self) -> Result<Vec<String>> {
        self.read(|state| state.collections.keys().cloned().collect())
    }

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        index.check()?;
        self.write(|state, _| state.create_index(collection, index)).await
    }

    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.indexes(collection)
    }

    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        self.write(|state, _| {
            if let Some(stored) = state.collections.get_mut(collection) {
                Arc::make_mut(stored).indexes.retain(|stored| stored.index.name() != name);
            }
            Ok(())
        })
        .await
    }

    async fn explain(&self, _: &str, find: &Find) -> Result<Plan> {
        Ok(Plan { index: None, sorts_in_memory: !find.sort.fields().is_empty() })
    }

    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        let writer = Arc::clone(&self.shared.writer).lock_owned().await;
        let state = self.read(State::clone)?;
        let running = Running { _writer: writer, state, changes: Vec::new() };
        let outcome = Mutex::new(Progress::Running(running));
        Ok(Arc::new(MemoryTransaction { shared: Arc::clone(&self.shared), progress: outcome }))
    }

    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        self.check_open()?;
        let mut leases = self.shared.leases.lock();
        let key = (request.collection.clone(), request.name.clone());
        let now = Instant::now();
        let before = leases.get(&key);
        if let Some(Lease { owner: Some(owner), fence, ends }) = before
            && *owner != request.owner
            && *ends > now
        {
            return Ok(LeaseHolder { owner: owner.clone(), fence: *fence, remaining: *ends - now });
        }
        let fence = before.map_or(0, |lease| lease.fence) + 1;
        let owner = request.owner.clone();
        leases.insert(key, Lease { owner: Some(owner.clone()), fence, ends: now + request.ttl });
        Ok(LeaseHolder { owner, fence, remaining: request.ttl })
    }

    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        self.check_open()?;
        let mut leases = self.shared.leases.lock();
        let lease = leases.get_mut(&(request.collection.clone(), request.name.clone()));
        let lease = lease.filter(|lease| lease.is_held_by(request, fence));
        Ok(lease.map(|lease| lease.ends = Instant::now() + request.ttl).is_some())
    }

    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        self.check_open()?;
        let mut leases = self.shared.leases.lock();
        let lease = leases.get_mut(&(request.collection.clone(), request.name.clone()));
        if let Some(lease) = lease.filter(|lease| lease.is_held_by(request, fence)) {
            lease.owner = None;
        }
        Ok(())
    }

    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        self.check_open()?;
        let leases = self.shared.leases.lock();
        let lease = leases.get(&(collection.to_owned(), name.to_owned()));
        Ok(lease.and_then(|lease| {
            let remaining = lease.ends.saturating_duration_since(Instant::now());
            Some(LeaseHolder { owner: lease.owner.clone()?, fence: lease.fence, remaining })
        }))
    }

    async fn watch(&self, _: Duration) -> Result<ChangeFeed> {
        let mut events = self.shared.events.lock();
        if events.closed {
            return Err(closed());
        }
        let sender = events.sender.get_or_insert_with(|| broadcast::channel(BEHIND).0);
        let changes = stream::unfold(sender.subscribe(), |mut events| async move {
            let change = match events.recv().await {
                Ok(change) => change,
                Err(RecvError::Lagged(_)) => Change::Unknown,
                Err(RecvError::Closed) => return None,
            };
            Some((Ok(change), events))
        });
        Ok(ChangeFeed::new(changes.boxed()))
    }

    async fn close(&self) {
        let mut events = self.shared.events.lock();
        events.closed = true;
        // Feeds end.
        events.sender = None;
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl Admin for MemoryEngine {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        let indexes = self.indexes(collection)?;
        Ok(CollectionOptions::from_engine(indexes, EngineKind::Embedded, Document::new()))
    }

    async fn create_collection(&self, collection: &str, _: &CollectionOptions) -> Result<()> {
        self.write(|state, _| {
            state.collections.entry(collection.to_owned()).or_default();
            Ok(())
        })
        .await
    }

    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        for index in &options.indexes {
            self.create_index(collection, index).await?;
        }
        Ok(())
    }

    async fn drop_database(&self) -> Result<()> {
        self.write(|state, changes| {
            *state = State::default();
            changes.push(Change::Unknown);
            Ok(())
        })
        .await
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        Ok(Arc::new(self.shared.siblings.lock().entry(name.to_owned()).or_default().clone()))
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        Ok(self.shared.siblings.lock().keys().cloned().collect())
    }

    async fn rights(&self) -> Result<Rights> {
        Ok(Rights::Unlimited)
    }

    async fn space(&self) -> Result<Space> {
        Ok(Space { used: 0, free: None })
    }
}

/// A transaction on a copy of the state. No one else writes while it is open.
struct MemoryTransaction {
    shared: Arc<Shared>,
    progress: Mutex<Progress>,
}

enum Progress {
    Running(Running),
    /// The reason of the end.
    Ended(String),
}

struct Running {
    _writer: OwnedMutexGuard<()>,
    state: State,
    changes: Vec<Change>,
}

impl MemoryTransaction {
    /// Ends the transaction.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`] if it has ended.
    fn end(&self, why: String) -> Result<Running> {
        let mut progress = self.progress.lock();
        match &*progress {
            Progress::Ended(why) => Err(Error::TransactionEnded(why.clone())),
            Progress::Running(_) => match std::mem::replace(&mut *progress, Progress::Ended(why)) {
                Progress::Running(running) => Ok(running),
                Progress::Ended(_) => unreachable!("it was running"),
            },
        }
    }
}

#[async_trait]
impl Executor for MemoryTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let outcome = match &mut *self.progress.lock() {
            Progress::Ended(why) => return Err(Error::TransactionEnded(why.clone())),
            Progress::Running(Running { state, changes, .. }) => {
                state.execute(collection, operation, changes)
            }
        };
        if let Err(error) = &outcome {
            self.end(format!("an operation in it failed: {error}"))?;
        }
        outcome
    }
}

#[async_trait]
impl EngineTransaction for MemoryTransaction {
    async fn commit(&self) -> Result<()> {
        let Running { _writer, state, changes } = self.end("it was committed".into())?;
        *self.shared.state.lock() = state;
        self.shared.publish(changes);
        Ok(())
    }

    async fn abort(&self) -> Result<()> {
        // A transaction that has ended without a commit is rolled back already.
        let _ = self.end("it was aborted".into());
        Ok(())
    }
}
