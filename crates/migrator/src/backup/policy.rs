use std::collections::BTreeSet;
use std::path::PathBuf;

use bson::DateTime;
use docstore::Database;
use serde::{Deserialize, Serialize};

use super::{Manifest, TakeRequest, prune, take};
use crate::{Migration, Phase, Result, Undo};

/// The settings of backups before migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    /// The folder of backups.
    pub dir: PathBuf,
    /// The migrations that are preceded by a backup.
    pub policy: BackupPolicy,
    /// The limit for one backup, in bytes of documents; a migration that needs a larger one does not run.
    pub cap_bytes: Option<u64>,
    /// The number of backups to keep, in addition to those that the ledger names.
    pub keep: usize,
}

/// The migrations that are preceded by a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupPolicy {
    /// No migration.
    Never,
    /// Migrations that cannot be reverted exactly without a backup; see [`backup_reason`].
    #[default]
    Risky,
    /// Every migration.
    Always,
}

/// Returns the reason for a backup before a migration; `None` if none is needed.
pub fn backup_reason(policy: BackupPolicy, migration: &dyn Migration) -> Option<&'static str> {
    let meta = migration.meta();
    match policy {
        BackupPolicy::Never => None,
        _ if meta.phase == Phase::Contract => Some("it removes what older programs may need"),
        _ if matches!(migration.undo(), Undo::Irreversible(_)) => Some("it cannot be rolled back"),
        _ if !meta.journal => Some("it writes no journal"),
        BackupPolicy::Risky => None,
        BackupPolicy::Always => Some("a backup is taken before every migration"),
    }
}

/// The run that a backup is taken for.
#[derive(Debug, Clone)]
pub struct BackupContext<'a> {
    /// The id of the run.
    pub run_id: &'a str,
    /// The version of the program.
    pub app_version: &'a str,
    /// The current time.
    pub now: DateTime,
    /// Backups that applied entries of the ledger name; they are kept.
    pub referenced: BTreeSet<String>,
}

/// Takes the backup that a migration needs, if any, and then deletes old backups. Do not call it for an attempt that
/// resumes an earlier one, which has a backup already: the data is partly changed by then.
///
/// The backup contains the collections that the migration declares to touch, or all but the engine's own if it declares
/// none.
pub async fn before_migration(
    db: &Database,
    settings: &BackupSettings,
    migration: &dyn Migration,
    run: BackupContext<'_>,
) -> Result<Option<Manifest>> {
    let Some(why) = backup_reason(settings.policy, migration) else { return Ok(None) };
    let meta = migration.meta();
    let collections = if meta.touches.is_empty() {
        let mut all = db.collection_names().await?;
        all.retain(|name| !crate::ledger::is_own(name));
        all
    } else {
        meta.touches.iter().map(|name| (*name).to_owned()).collect()
    };
    let request = TakeRequest {
        collections: Some(collections),
        why: format!("before {}: {why}", meta.id),
        run_id: Some(run.run_id.to_owned()),
        migration: Some(meta.id.to_owned()),
        app_version: run.app_version.to_owned(),
        now: run.now,
        cap_bytes: settings.cap_bytes,
    };
    let manifest = take(db, &settings.dir, &request).await?;
    let mut spare = run.referenced;
    spare.insert(manifest.id.clone());
    // The run has its backup; failing to delete old ones does not stop it.
    if let Err(error) = prune(&settings.dir, settings.keep, &spare) {
        tracing::warn!(%error, "failed to delete old backups");
    }
    Ok(Some(manifest))
}
