use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mongodb::Client;
use tokio::sync::OnceCell;

use crate::locate::{self, RUN, UNAVAILABLE, URI};
use crate::mongod::Mongod;

/// Prefix of the names of test databases.
const PREFIX: &str = "fn_test_";
/// Age after which a database is certainly a leftover of a crashed run.
const STALE: Duration = Duration::from_hours(1);

static PROCESS_SERVER: OnceCell<Result<Mongod, String>> = OnceCell::const_new();

/// Returns the connection string of the shared server.
///
/// # Errors
/// The reason why there is none.
pub(crate) async fn uri() -> Result<String, String> {
    if let Ok(reason) = env::var(UNAVAILABLE) {
        return Err(reason);
    }
    if let Ok(uri) = env::var(URI) {
        return Ok(uri);
    }
    let server = PROCESS_SERVER
        .get_or_init(|| async {
            let binary = locate::installed_binary().ok_or("no mongod on PATH or under target/")?;
            Mongod::replica_set(&binary).await.map_err(|error| error.to_string())
        })
        .await;
    server.as_ref().map(Mongod::uri).map_err(Clone::clone)
}

/// Returns true if the databases of this process are removed with their server or at the end of the run.
pub(crate) fn is_dropped_later() -> bool {
    env::var_os(RUN).is_some() || env::var_os(URI).is_none()
}

/// Returns `fn_test_<seconds>_<run>_<random>`, which contains the creation time and the run.
pub(crate) fn new_database_name() -> String {
    let seconds = now().as_secs();
    let run = env::var(RUN).unwrap_or_else(|_| "0".into());
    // An object id is unique within this process and, through its random part, across processes.
    format!("{PREFIX}{seconds:x}_{run}_{}", bson::oid::ObjectId::new().to_hex())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Drops the test databases of a run and those older than an hour.
pub async fn drop_leftovers(uri: &str, run: Option<&str>) -> Result<(), mongodb::error::Error> {
    let client = Client::with_uri_str(uri).await?;
    for name in client.list_database_names().await? {
        if is_leftover(&name, run, now()) {
            client.database(&name).drop().await?;
        }
    }
    Ok(())
}

fn is_leftover(name: &str, run: Option<&str>, now: Duration) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let mut parts = rest.split('_');
    let made = parts.next().and_then(|part| u64::from_str_radix(part, 16).ok());
    let of_run = parts.next();
    let stale = made.is_some_and(|made| now.saturating_sub(Duration::from_secs(made)) > STALE);
    stale || (run.is_some() && of_run == run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_old_test_databases_and_those_of_the_run() {
        let now = Duration::from_secs(0x10000);
        assert!(is_leftover("fn_test_1_a_b", None, now));
        assert!(is_leftover("fn_test_ffff_a_b", Some("a"), now));
        assert!(!is_leftover("fn_test_ffff_a_b", Some("c"), now));
        assert!(!is_leftover("fn_test_ffff_a_b", None, now));
        assert!(!is_leftover("fn_test_zzz", None, now));
        assert!(!is_leftover("ghostmonk", Some("ghostmonk"), now));
        assert!(!is_leftover(&new_database_name(), Some("another"), super::now()));
    }
}
