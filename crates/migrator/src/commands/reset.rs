use std::path::PathBuf;

use bson::doc;
use serde::Serialize;

use super::lock::Always;
use crate::Migrator;
use crate::backup::{self, Manifest, TakeRequest};
use crate::ledger::{LOCK, LOG, log_record};
use crate::migrator::AsyncWork;
use crate::run::HeldLease;
use crate::{DownReport, DownRequest, Error, Result, UpMode, UpReport, UpRequest};

/// How a reset is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// The name of the database, or of the file, that is meant.
    pub confirm: String,
    /// Whether this is a production environment, where it is refused.
    pub production: bool,
    /// Whether everything is dropped, people's content too, instead of all migrations being taken back.
    pub drop: bool,
    /// The folder for a backup of everything, taken first; none if `None`.
    pub backup: Option<PathBuf>,
}

/// What a reset did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResetReport {
    /// The database.
    pub database: String,
    /// The backup that was taken first.
    pub backup: Option<Manifest>,
    /// What was taken back.
    #[serde(rename = "taken_back")]
    pub rolled_back: Vec<DownReport>,
    /// The collections that were dropped.
    pub dropped: Vec<String>,
    /// What was applied then.
    pub report: UpReport,
}

impl Migrator {
    /// Goes back to the beginning and up again: takes every migration back, or drops everything, and applies all.
    ///
    /// # Errors
    /// [`Error::ResetRefused`] in production and if another database is meant: nothing was changed. [`Error::Backup`] likewise.
    /// [`Error::Irreversible`] if one cannot be taken back: ask for `drop`.
    pub async fn reset(&self, request: &ResetRequest) -> Result<ResetReport> {
        let database = self.db.name();
        if request.production {
            return Err(Error::ResetRefused { why: "this is a production environment".into() });
        }
        if request.confirm != database {
            let why = format!("the database is {database:?}, and {:?} is meant", request.confirm);
            return Err(Error::ResetRefused { why });
        }
        let backup = match &request.backup {
            Some(dir) => {
                let take = TakeRequest {
                    collections: None,
                    why: "before a reset".into(),
                    run_id: Some(self.runner.run_id.clone()),
                    migration: None,
                    app_version: self.settings.app_version.clone(),
                    now: (self.settings.clock)(),
                    cap_bytes: None,
                };
                Some(backup::take(&self.db, dir, &take).await?)
            }
            None => None,
        };
        let (mut rolled_back, mut dropped) = (Vec::new(), Vec::new());
        if request.drop {
            let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
            dropped = self.under(held, DropAll).await?;
        } else {
            rolled_back = self.down(DownRequest::all().confirmed()).await?;
        }
        let report = self.up(UpRequest::all(UpMode::Operator)).await?;
        Ok(ResetReport { database, backup, rolled_back, dropped, report })
    }
}

/// Drops everything but the lease, and the log, which says so.
struct DropAll;

impl AsyncWork<Vec<String>> for DropAll {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<Vec<String>> {
        let mut dropped = Vec::new();
        for name in migrator.db.collection_names().await? {
            if name != LOCK && name != LOG {
                held.ensure().await?;
                migrator.db.drop_collection(&name).await?;
                dropped.push(name);
            }
        }
        let mut record = log_record(&migrator.runner, &migrator.settings, "reset", held.fence());
        record.extend(doc! { "dropped": dropped.clone() });
        migrator.db.collection(LOG).insert_one(record).await?;
        tracing::warn!(collections = dropped.len(), "the database was reset");
        Ok(dropped)
    }
}
