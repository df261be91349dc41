use std::path::Path;
use std::time::{Duration, Instant};

use docstore::bson::{Document, doc};
use testkit::{Mongod, ReplicaSet};

use crate::program::Program;

/// The longest time that servers take to elect a primary or to join it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The topology of MongoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    Standalone,
    /// A replica set of one node.
    ReplicaSet,
    /// A replica set of three nodes.
    ThreeNodes,
}

impl Topology {
    /// Returns the name in the table of docs/reliability.md.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone MongoDB",
            Self::ReplicaSet => "replica set of one",
            Self::ThreeNodes => "replica set of three",
        }
    }

    /// Returns whether several documents can be written at once.
    pub(crate) fn has_transactions(self) -> bool {
        self != Self::Standalone
    }
}

/// The MongoDB servers of a scenario.
pub(crate) struct Servers {
    topology: Topology,
    pub(crate) set: ReplicaSet,
}

impl Servers {
    /// Starts servers and waits until they accept writes.
    pub(crate) async fn start(binary: &Path, topology: Topology) -> Self {
        let set = match topology {
            Topology::Standalone => {
                Mongod::standalone(binary).await.map(|node| ReplicaSet { nodes: vec![node] })
            }
            Topology::ReplicaSet => {
                Mongod::replica_set(binary).await.map(|node| ReplicaSet { nodes: vec![node] })
            }
            Topology::ThreeNodes => ReplicaSet::with_three_nodes(binary).await,
        };
        Self { topology, set: set.expect("the servers start") }
    }

    /// Returns the connection string.
    pub(crate) fn uri(&self) -> String {
        if self.topology == Topology::ThreeNodes { self.set.uri() } else { self.set.nodes[0].uri() }
    }

    /// Returns a program that uses these servers.
    pub(crate) fn program(&self) -> Program {
        program_on(&self.uri())
    }

    /// Waits for a node that accepts writes and returns its number.
    pub(crate) async fn primary(&self) -> usize {
        let all: Vec<usize> = (0..self.set.nodes.len()).collect();
        self.set.primary(&all).await.expect("there is a primary")
    }

    /// Waits until each node is the primary or follows it, so that a majority outlives the next fault.
    pub(crate) async fn until_all_follow(&self) {
        let began = Instant::now();
        for node in &self.set.nodes {
            while !hello(node).await.is_some_and(|hello| {
                ["isWritablePrimary", "secondary"]
                    .iter()
                    .any(|state| matches!(hello.get_bool(state), Ok(true)))
            }) {
                assert!(began.elapsed() < PATIENCE, "{} does not follow the primary", node.host());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn hello(node: &Mongod) -> Option<Document> {
    let client = node.direct().await.ok()?;
    client.database("admin").run_command(doc! { "hello": 1 }).await.ok()
}

/// Returns a program that uses the servers of a connection string.
pub(crate) fn program_on(uri: &str) -> Program {
    Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("MONGO_URI", uri)
        .with("MONGO_DB_NAME", "notes")
        .with("RATE_LIMITS", "off")
}
