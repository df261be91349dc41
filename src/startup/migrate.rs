use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use docstore::Database;
use migrator::backup::{self, BackupPolicy};
use migrator::{Event, Graph, Migrator, Observer, Settings, Stop, UpMode};

use super::{Failure, Meter, Reading};
use crate::config::{BackupBefore, Config, MigrateOnStart};
use crate::http::{Gate, StartProgress};

/// The ledger of the tool that the original used.
const ORIGINAL_LEDGER: &str = "pymongo_migrate";

/// What a start did about migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Applied now.
    pub(super) applied: Vec<String>,
    /// Taken over from the original now.
    pub(super) imported: Vec<String>,
    /// Applied before; `None` if nobody looked.
    pub(super) already: Option<usize>,
}

/// How migrations are run, whoever runs them.
pub fn settings(config: &Config, actor: &str) -> Settings {
    let admin_email = config.admin_email.clone();
    Settings {
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_revision: option_env!("GIT_REVISION").map(str::to_owned),
        actor: actor.to_owned(),
        lease_ttl: config.migrate_lease,
        wait: config.migrate_wait,
        // Of the configuration, which `.env` is a part of; not of the process alone.
        env: Arc::new(move |name| (name == "ADMIN_EMAIL").then(|| admin_email.clone())),
        allow_unknown: config.migrate_allow_unknown,
        import_from: Some(ORIGINAL_LEDGER.to_owned()),
        contexts: config.migrate_contexts.clone(),
        backup: Some(backup::BackupSettings {
            dir: config.backup_dir.clone(),
            policy: match config.backup_before {
                BackupBefore::Never => BackupPolicy::Never,
                BackupBefore::Risky => BackupPolicy::Risky,
                BackupBefore::Always => BackupPolicy::Always,
            },
            cap_bytes: (config.backup_most_mib > 0).then(|| config.backup_most_mib.saturating_mul(1 << 20)),
            keep: config.backup_keep,
        }),
        ..Settings::default()
    }
}

/// The migrations of this program over a database.
pub fn migrator(database: &Database, settings: Settings) -> Result<Migrator, migrator::Error> {
    Ok(Migrator::new(database.clone(), Graph::new(migrations::all())?, settings))
}

/// What the configuration wants a start to do.
pub(super) async fn on_start(
    config: &Config,
    database: &Database,
    gate: &Arc<Gate>,
    stop: Stop,
) -> Result<Summary, Failure> {
    let observer = Arc::new(Watcher { gate: Arc::clone(gate), meter: Mutex::default() });
    let settings = Settings { observer, stop, ..settings(config, "start-up") };
    let outcome = async {
        let migrator = migrator(database, settings)?;
        match config.migrate_on_start {
            MigrateOnStart::Apply => {
                let report = migrator.up(UpMode::Start).await?;
                for (migration, finding) in &report.findings {
                    tracing::warn!(migration, finding = finding.0, "a migration's condition does not hold");
                }
                Ok(Summary {
                    applied: report.applied.into_iter().map(|applied| applied.id).collect(),
                    imported: report.imported.into_iter().map(|imported| imported.id).collect(),
                    already: Some(report.already_applied),
                })
            }
            MigrateOnStart::Verify => migrator.verify().await.map(|()| all_applied(&migrator)),
            MigrateOnStart::Wait => migrator.wait().await.map(|()| all_applied(&migrator)),
            MigrateOnStart::Off => Ok(Summary::default()),
        }
    };
    outcome.await.map_err(|error| Failure::migrations(&error))
}

fn all_applied(migrator: &Migrator) -> Summary {
    Summary { already: Some(migrator.graph().migrations().len()), ..Summary::default() }
}

/// Tells the gate how far migrations are, for `/readyz`. The log is told by the engine.
struct Watcher {
    gate: Arc<Gate>,
    meter: Mutex<Meter>,
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        meter.record(event, Instant::now());
        let reading = meter.reading();
        let Reading { migration, step, done, total: _, rate: _, holder, undoing: _ } = reading.clone();
        self.gate.progress(|progress| {
            *progress = StartProgress {
                phase: progress.phase,
                done: step.is_some().then_some(done),
                percent: reading.percent(),
                eta_seconds: reading.left().map(|left| left.as_secs()),
                migration,
                step,
                holder,
            };
        });
    }
}
