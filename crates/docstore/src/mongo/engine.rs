use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bson::doc;
use tokio::sync::watch;

use crate::engine::{Engine, EngineTransaction, Executor, Operation, Output};
use crate::mongo::core::Core;
use crate::mongo::error::failed;
use crate::mongo::transaction::MongoTransaction;
use crate::{
    ChangeFeed, EngineKind, Error, Find, Index, LeaseHolder, LeaseRequest, Plan, Result, ServerFacts,
    Topology,
};

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

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        self.core.create_index(collection, index).await
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
