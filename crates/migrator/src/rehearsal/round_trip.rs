use serde::Serialize;

use super::sandbox::TrialData;
use super::trial::{Trial, TrialRun};
use crate::{Migrator, Result};

/// The parameters of [`Migrator::round_trip`].
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTripRequest {
    /// Only these migrations, by id; all if `None`.
    pub only: Option<Vec<String>>,
    /// The data to test each migration on.
    pub data: Vec<TrialData>,
    /// The number of boundaries at which a run is crashed, per direction; if there are more, they are sampled evenly.
    pub max_crashes: usize,
}

/// The result of [`Migrator::round_trip`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoundTripReport {
    /// Each migration on each set of data.
    pub trials: Vec<Trial>,
}

impl RoundTripReport {
    /// Returns whether every trial passed.
    pub fn passed(&self) -> bool {
        self.trials.iter().all(Trial::passed)
    }
}

pub(crate) async fn round_trip(m: &Migrator, request: &RoundTripRequest) -> Result<RoundTripReport> {
    let mut only = Vec::new();
    for id in request.only.iter().flatten() {
        only.push(m.resolve(id).await?);
    }
    let now = (m.settings.clock)();
    let mut report = RoundTripReport::default();
    for data in &request.data {
        for (at, id) in m.graph.ids().enumerate() {
            if request.only.is_none() || only.iter().any(|one| one == id) {
                let run = TrialRun { migrator: m, data, at, now, max_crashes: request.max_crashes };
                report.trials.push(run.run().await?);
            }
        }
    }
    Ok(report)
}
