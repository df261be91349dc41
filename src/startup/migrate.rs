use std::sync::Arc;
use std::time::Instant;

use docstore::Database;
use migrator::backup::{self, BackupPolicy};
use migrator::{CancellationToken, Event, Graph, Migrator, Observer, Settings, UpMode, UpReport};
use parking_lot::Mutex;

use super::failures::before_migrations;
use super::{Failure, Meter, refuse};
use crate::config::{BackupBefore, Config, MigrateOnStart};
use crate::http::{Gate, Readiness};
use crate::repository::Users;

/// The ledger of the original.
const ORIGINAL_LEDGER: &str = "pymongo_migrate";

/// Returns the settings of the migration engine. Migrations look the administrator up by the exact address, so they get
/// `ADMIN_EMAIL` in the spelling that a stored user has.
pub async fn settings(config: &Config, database: &Database, actor: &str) -> Settings {
    let stored = Users::new(database).stored_address(&config.admin_email).await;
    // A store that cannot be read fails in the migration, with its error.
    let admin_email = stored.ok().flatten().unwrap_or_else(|| config.admin_email.clone());
    Settings {
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_revision: option_env!("GIT_REVISION").map(str::to_owned),
        actor: actor.to_owned(),
        lease_ttl: config.migrate_lease,
        wait: config.migrate_wait,
        // The configuration includes `.env`, unlike the environment of the process.
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
            cap_bytes: (config.backup_max_mib > 0).then(|| config.backup_max_mib.saturating_mul(1 << 20)),
            keep: config.backup_keep,
        }),
        ..Settings::default()
    }
}

/// Creates the migration engine over a database, with the migrations of this program.
pub fn migrator(database: &Database, settings: Settings) -> Result<Migrator, migrator::Error> {
    Ok(Migrator::new(database.clone(), Graph::new(migrations::all())?, settings))
}

/// Runs the migrations phase. Returns `None` if it is skipped.
pub(super) async fn on_start(
    config: &Config,
    database: &Database,
    gate: &Arc<Gate>,
    stop: CancellationToken,
) -> Result<Option<UpReport>, Failure> {
    let observer = Arc::new(ProgressReporter { gate: Arc::clone(gate), meter: Mutex::default() });
    let settings = Settings { observer, stop, ..settings(config, database, "start-up").await };
    let migrator = migrator(database, settings).map_err(|error| Failure::migrations(&error))?;
    refuse(before_migrations(config, database, &migrator).await?)?;
    let outcome = async {
        let mode = match config.migrate_on_start {
            MigrateOnStart::Apply if config.store.is_read_only() => MigrateOnStart::Verify,
            mode => mode,
        };
        match mode {
            MigrateOnStart::Apply => {
                let report = migrator.up(UpMode::Start).await?;
                for (migration, finding) in &report.findings {
                    tracing::warn!(migration, finding = finding.0, "condition of a migration does not hold");
                }
                Ok(Some(report))
            }
            MigrateOnStart::Verify => migrator.verify().await.map(|()| Some(all_applied(&migrator))),
            MigrateOnStart::Wait => migrator.wait().await.map(|()| Some(all_applied(&migrator))),
            MigrateOnStart::Off => Ok(None),
        }
    };
    outcome.await.map_err(|error| Failure::migrations(&error))
}

fn all_applied(migrator: &Migrator) -> UpReport {
    UpReport { already_applied: migrator.graph().migrations().len(), ..UpReport::default() }
}

/// Reports the progress of migrations to the gate, for `/readyz`.
struct ProgressReporter {
    gate: Arc<Gate>,
    meter: Mutex<Meter>,
}

impl Observer for ProgressReporter {
    fn event(&self, event: &Event<'_>) {
        let mut meter = self.meter.lock();
        meter.record(event, Instant::now());
        let Meter { migration, step, done, holder, .. } = meter.clone();
        self.gate.progress(|progress| {
            *progress = Readiness {
                done: step.is_some().then_some(done),
                percent: meter.percent(),
                eta_seconds: meter.left().map(|left| left.as_secs()),
                migration,
                step,
                holder,
                ..Readiness::starting(progress.phase)
            };
        });
    }
}
