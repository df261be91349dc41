use std::time::Duration;

use docstore::Database;

use crate::repository;

/// The interval between two looks at the indexes. Each lists the indexes of every collection.
const INTERVAL: Duration = Duration::from_secs(5);

/// Calls [`check_indexes`] every few seconds, until the task is aborted.
pub(super) async fn watch_indexes(database: Database, mut refused: bool) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        refused = check_indexes(&database, refused).await;
    }
}

/// Refuses writes while a declared unique index is missing: they could store a key twice. Returns whether they are refused;
/// `refused` says whether they were.
pub(super) async fn check_indexes(database: &Database, refused: bool) -> bool {
    let missing = match repository::missing_unique_indexes(database).await {
        Ok(missing) => missing,
        // A store that does not answer is reported by pings.
        Err(error) => {
            tracing::debug!(%error, "failed to list the indexes");
            return refused;
        }
    };
    if missing.is_empty() {
        if refused {
            tracing::info!("the unique indexes are back: writes are accepted again");
        }
        database.refuse_writes(None);
        return false;
    }
    let reason = format!(
        "unique indexes are missing: {}; writes are refused until they are back: a restart creates them",
        missing.join(", ")
    );
    if !refused {
        tracing::error!(reason, "writes are refused");
    }
    database.refuse_writes(Some(reason));
    true
}
