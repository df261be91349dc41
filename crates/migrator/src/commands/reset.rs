use std::path::PathBuf;

use bson::doc;
use serde::Serialize;

use super::{lock, up};
use crate::backup::{self, Manifest, TakeRequest};
use crate::ledger::{LOCK, LOG, log_record};
use crate::run::HeldLease;
use crate::{DownReport, DownTarget, Error, Migrator, Result, UpMode, UpReport};

/// The parameters of [`Migrator::reset`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// The name of the database, or of the file, that the caller intends to reset.
    pub confirm: String,
    /// `true` in a production environment, where a reset is refused.
    pub production: bool,
    /// `true` to drop everything, including user content, instead of rolling all migrations back.
    pub drop: bool,
    /// The folder for a backup of everything, taken first; no backup if `None`.
    pub backup: Option<PathBuf>,
}

/// The result of a reset.
#[derive(Debug, Clone, Serialize)]
pub struct ResetReport {
    /// The database.
    pub database: String,
    /// The backup that was taken first.
    pub backup: Option<Manifest>,
    /// The migrations that were rolled back, in order.
    #[serde(rename = "taken_back")]
    pub rolled_back: Vec<DownReport>,
    /// The collections that were dropped.
    pub dropped: Vec<String>,
    /// The migrations that were then applied.
    pub report: UpReport,
}

pub(crate) async fn reset(m: &Migrator, request: &ResetRequest) -> Result<ResetReport> {
    let database = m.db.name();
    if request.production {
        return Err(Error::ResetRefused { why: "this is a production environment".into() });
    }
    if request.confirm != database {
        let why = format!("the database is {database:?}, but {:?} was confirmed", request.confirm);
        return Err(Error::ResetRefused { why });
    }
    let backup = match &request.backup {
        Some(dir) => {
            let take = TakeRequest {
                collections: None,
                why: "before a reset".into(),
                run_id: Some(m.runner.run_id.clone()),
                migration: None,
                app_version: m.settings.app_version.clone(),
                now: (m.settings.clock)(),
                cap_bytes: None,
            };
            Some(backup::take(&m.db, dir, &take).await?)
        }
        None => None,
    };
    let (mut rolled_back, mut dropped) = (Vec::new(), Vec::new());
    if request.drop {
        let held = lock::acquire(m).await?;
        dropped = lock::under_lease(&held, drop_all(m, &held)).await?;
    } else {
        rolled_back = super::down(m, &DownTarget::All.confirmed()).await?;
    }
    let report = up(m, &UpMode::Operator.into()).await?;
    Ok(ResetReport { database, backup, rolled_back, dropped, report })
}

/// Drops everything but the lease and the log, which records the reset.
async fn drop_all(m: &Migrator, held: &HeldLease) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    for name in m.db.collection_names().await?.into_iter().filter(|name| name != LOCK && name != LOG) {
        held.ensure().await?;
        m.db.drop_collection(&name).await?;
        dropped.push(name);
    }
    let mut record = log_record(&m.runner, &m.settings, "reset", held.fence());
    record.extend(doc! { "dropped": dropped.clone() });
    m.db.collection(LOG).insert_one(record).await?;
    tracing::warn!(collections = dropped.len(), "the database was reset");
    Ok(dropped)
}
