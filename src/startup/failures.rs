//! Failures that would end a start. One place decides: a start asks before each phase, and the checks ask for all phases.

use docstore::Database;
use migrator::{Migrator, UpMode};

use super::{Failure, Phase};
use crate::config::{Config, MigrateOnStart};
use crate::repository::{self, IndexFailure};

/// Returns the failures that would end a start, for a store that could be opened, with the texts that the start prints:
/// collections that cannot hold content, migrations, indexes. Each would stop it alone. Writes nothing.
///
/// A lease that another process holds is not a failure: a start waits for it.
///
/// # Errors
/// If the store cannot be read, which ends a start, too.
pub async fn expected_failures(
    config: &Config,
    database: &Database,
    migrator: &Migrator,
) -> Result<Vec<Failure>, Failure> {
    let mut failures = before_migrations(config, database, migrator).await?;
    if !config.store.is_read_only() {
        failures.extend(of_indexes(repository::expected_failures(database).await)?);
    }
    Ok(failures)
}

/// Returns the failures for collections of a kind that cannot hold content. On them a migration would fail at its first
/// read or write, with the words of the server.
///
/// # Errors
/// If the store cannot be read.
pub async fn special_collections(database: &Database) -> Result<Vec<Failure>, Failure> {
    let special = repository::special_collections(database).await.map_err(|error| unreadable(&error))?;
    Ok(special.iter().map(Failure::indexes).collect())
}

/// Returns the failures that are known before migrations run.
pub(super) async fn before_migrations(
    config: &Config,
    database: &Database,
    migrator: &Migrator,
) -> Result<Vec<Failure>, Failure> {
    let mut failures = special_collections(database).await?;
    if let Err(error) = migrations(config, migrator).await {
        failures.push(Failure::migrations(&error));
    }
    Ok(failures)
}

/// Returns the failures that are known before indexes are created. Migrations may remove their cause. Creating a unique index
/// finds duplicates by itself and reports them in the same words, so they are not searched.
pub(super) async fn before_indexes(config: &Config, database: &Database) -> Result<Vec<Failure>, Failure> {
    if config.store.is_read_only() {
        return Ok(Vec::new());
    }
    of_indexes(repository::index_conflicts(database).await)
}

fn of_indexes(failures: Result<Vec<IndexFailure>, docstore::Error>) -> Result<Vec<Failure>, Failure> {
    let failures = failures.map_err(|error| unreadable(&error))?;
    let is_index = |failure: &&IndexFailure| !matches!(failure, IndexFailure::Collection { .. });
    Ok(failures.iter().filter(is_index).map(Failure::indexes).collect())
}

async fn migrations(config: &Config, migrator: &Migrator) -> Result<(), migrator::Error> {
    match config.migrate_on_start {
        MigrateOnStart::Off => Ok(()),
        MigrateOnStart::Apply if !config.store.is_read_only() => migrator.require_up(UpMode::Start).await,
        MigrateOnStart::Apply | MigrateOnStart::Verify => migrator.verify().await,
        // Another process applies what is pending.
        MigrateOnStart::Wait => match migrator.verify().await {
            Err(migrator::Error::Pending(_)) => Ok(()),
            outcome => outcome,
        },
    }
}

fn unreadable(error: &docstore::Error) -> Failure {
    Failure { phase: Phase::Store, message: error.to_string(), exit: 1 }
}
