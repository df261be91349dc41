use std::collections::BTreeSet;
use std::path::PathBuf;

use bson::DateTime;
use docstore::Database;
use serde::{Deserialize, Serialize};

use super::{Manifest, Result, TakeRequest, prune, take};
use crate::{Migration, Phase, Undo};

/// When and where backups are taken before migrations run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    /// The folder of backups.
    pub dir: PathBuf,
    /// Before which migrations.
    pub policy: BackupPolicy,
    /// The most bytes of documents that one may have; a migration that would need a larger one does not run.
    pub cap_bytes: Option<u64>,
    /// How many are kept, beside those that the ledger names.
    pub keep: usize,
}

/// Before which migrations a backup is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupPolicy {
    /// None.
    Never,
    /// Those whose changes could not be taken back exactly otherwise; see [`backup_reason`].
    #[default]
    Risky,
    /// All.
    Always,
}

/// Why a backup is taken before a migration; `None` if there is no need.
pub fn backup_reason(policy: BackupPolicy, migration: &dyn Migration) -> Option<&'static str> {
    let meta = migration.meta();
    match policy {
        BackupPolicy::Never => None,
        _ if meta.phase == Phase::Contract => Some("it takes away what programs from before it may need"),
        _ if matches!(migration.undo(), Undo::Irreversible(_)) => Some("it cannot be taken back"),
        _ if !meta.journal => Some("it keeps no journal of what it changes"),
        BackupPolicy::Risky => None,
        BackupPolicy::Always => Some("one is taken before every migration"),
    }
}

/// The run that a backup is taken for.
#[derive(Debug, Clone)]
pub struct BackupContext<'a> {
    /// Its id.
    pub run_id: &'a str,
    /// The version of the program.
    pub app_version: &'a str,
    /// What time it is.
    pub now: DateTime,
    /// Backups that the ledger's applied entries name: they stay.
    pub referenced: BTreeSet<String>,
}

/// Takes the backup that a migration needs, if it needs one, and then removes those that are past their time. An
/// attempt that resumes an earlier one has that one's backup and takes no other: what it would keep is half-way changed.
///
/// What is kept are the collections that the migration says it touches; all but the engine's own if it does not say.
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
    // The run has what it needs; that old ones stay is no reason to end it.
    if let Err(error) = prune(&settings.dir, settings.keep, &spare) {
        tracing::warn!(%error, "old backups could not be removed");
    }
    Ok(Some(manifest))
}
