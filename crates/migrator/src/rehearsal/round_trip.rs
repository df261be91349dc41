use std::collections::BTreeMap;

use bson::{DateTime, Document};
use serde::Serialize;

use super::copy::{copy, fill};
use super::sandbox::Sandbox;
use super::trial::{Trial, TrialOutcome};
use crate::ledger::is_own;
use crate::{Error, Migrator, Result};

const PURPOSE: &str = "trial";

/// How migrations are put to the test.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTripRequest {
    /// Only these, by their ids; all if `None`.
    pub only: Option<Vec<String>>,
    /// The data that each is tried on.
    pub data: Vec<TrialData>,
    /// At how many places a run is made to crash, on the way up and on the way down; if there are more places, they are
    /// taken at equal distances.
    pub max_crashes: usize,
}

/// Data to try migrations on.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialData {
    /// Nothing.
    Empty,
    /// These documents, by collection.
    Documents {
        /// What this data is called.
        name: String,
        /// The documents.
        collections: BTreeMap<String, Vec<Document>>,
    },
    /// What is in the database, at most so many documents of each collection, with indexes and validators.
    Sample(u64),
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct RoundTripReport {
    /// Each migration on each set of data.
    pub trials: Vec<Trial>,
}

impl RoundTripReport {
    /// Whether everything held.
    pub fn passed(&self) -> bool {
        self.trials.iter().all(Trial::passed)
    }
}

impl TrialData {
    fn name(&self) -> String {
        match self {
            Self::Empty => "empty".into(),
            Self::Documents { name, .. } => name.clone(),
            Self::Sample(_) => "sample".into(),
        }
    }
}

impl Migrator {
    /// Puts migrations to the test, each on each set of data, on scratch databases: it is applied; run again on its own
    /// result, which must not change anything; taken back, which must leave what was before; applied anew, which must
    /// come to the same; and once more each way with a crash at each place between two writes. This database is only
    /// read.
    ///
    /// # Errors
    /// [`Error::Store`] if a scratch database cannot be had; [`Error::UnknownId`]. That a migration does not pass is no
    /// error: see [`RoundTripReport::passed`].
    pub async fn round_trip(&self, request: &RoundTripRequest) -> Result<RoundTripReport> {
        let mut only = Vec::new();
        for id in request.only.iter().flatten() {
            only.push(self.resolve(id).await?);
        }
        let mut round_trip = RoundTripReport::default();
        for data in &request.data {
            for (at, id) in self.graph().ids().enumerate() {
                if request.only.is_none() || only.iter().any(|one| one == id) {
                    round_trip.trials.push(self.trial(data, at, request.max_crashes).await?);
                }
            }
        }
        Ok(round_trip)
    }

    async fn trial(&self, data: &TrialData, at: usize, max_crashes: usize) -> Result<Trial> {
        let dag = self.graph().dag();
        let mut trial = Trial::new(dag.id(at), data.name());
        if !dag.is_in(at, &self.settings().contexts) {
            trial.up = TrialOutcome::not_tried("it is not run in the contexts at hand");
            return Ok(trial);
        }
        let now = (self.settings().clock)();
        let sandbox = self.prepared(data, at, now).await?;
        let outcome = match sandbox {
            Prepared::Ready(sandbox) => {
                let outcome =
                    trial.run(self, &sandbox, at, max_crashes, &|| self.prepared(data, at, now)).await;
                let discarded = sandbox.discard().await;
                outcome.and(discarded)
            }
            Prepared::Failed(error) => {
                trial.up = TrialOutcome::Failed { error };
                Ok(())
            }
        };
        outcome?;
        Ok(trial)
    }

    /// A scratch database with the data, and with what a migration depends on applied.
    pub(super) async fn prepared(&self, data: &TrialData, at: usize, now: DateTime) -> Result<Prepared> {
        let mut sandbox = Sandbox::new(self, PURPOSE, now).await?;
        let outcome = async {
            match data {
                TrialData::Empty => {}
                TrialData::Documents { collections, .. } => {
                    for (name, documents) in collections {
                        fill(sandbox.db(), name, documents.clone()).await?;
                    }
                }
                TrialData::Sample(most) => {
                    for name in self.db().collection_names().await?.iter().filter(|name| !is_own(name)) {
                        copy(self.db(), sandbox.db(), name, Some(*most)).await?;
                    }
                }
            }
            sandbox.settle().await?;
            let dag = self.graph().dag();
            for &parent in dag.depends_on(at) {
                let id = dag.id(parent);
                if let Err(error) = sandbox.up(id).await {
                    return Ok(Some(format!("{id}, which it depends on: {error}")));
                }
            }
            Ok::<_, Error>(None)
        };
        match outcome.await {
            Ok(None) => Ok(Prepared::Ready(Box::new(sandbox))),
            Ok(Some(error)) => {
                sandbox.discard().await?;
                Ok(Prepared::Failed(error))
            }
            Err(error) => {
                // The first error is the one to tell.
                let _ = sandbox.discard().await;
                Err(error)
            }
        }
    }
}

/// A scratch database that is ready, or why it is not.
pub(super) enum Prepared {
    Ready(Box<Sandbox>),
    Failed(String),
}
