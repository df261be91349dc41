use docstore::Database;
use migrator::{Migrator, UpMode};

use super::Failure;
use crate::config::{Config, MigrateOnStart};
use crate::repository;

/// Returns the failures that would end a start, for a store that could be opened, with the texts that the start prints:
/// collections that cannot hold content, migrations, indexes. Each would stop it alone. Writes nothing.
///
/// A lease that another process holds is not a failure: a start waits for it.
pub async fn expected_failures(
    config: &Config,
    database: &Database,
    migrator: &Migrator,
) -> Result<Vec<Failure>, docstore::Error> {
    let (special, indexes): (Vec<_>, Vec<_>) = repository::expected_failures(database)
        .await?
        .into_iter()
        .partition(|failure| matches!(failure, repository::IndexFailure::Collection { .. }));
    let mut failures: Vec<_> = special.iter().map(Failure::indexes).collect();
    if let Err(error) = migrations(config, migrator).await {
        failures.push(Failure::migrations(&error));
    }
    if !config.store.is_read_only() {
        failures.extend(indexes.iter().map(Failure::indexes));
    }
    Ok(failures)
}

async fn migrations(config: &Config, migrator: &Migrator) -> Result<(), migrator::Error> {
    match config.migrate_on_start {
        MigrateOnStart::Off => Ok(()),
        MigrateOnStart::Apply if !config.store.is_read_only() => {
            migrator.plan_up(UpMode::Start).await.map(drop)
        }
        MigrateOnStart::Apply | MigrateOnStart::Verify => migrator.verify().await,
        // Another process applies what is pending.
        MigrateOnStart::Wait => match migrator.verify().await {
            Err(migrator::Error::Pending(_)) => Ok(()),
            outcome => outcome,
        },
    }
}
