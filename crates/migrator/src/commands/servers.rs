//! Registrations of the processes that serve from a database, so that no command destroys it while they serve.
//!
//! A registration is a lease of its own beside that of migrations. It expires if its process dies.

use std::time::Duration;

use docstore::{Filter, Find, Lease, LeaseHolder, LeaseRequest};

use crate::ledger::LOCK;
use crate::{CancellationToken, Migrator, Result};

/// The prefix of the names of registrations, before a number.
const PREFIX: &str = "server-";
/// The maximum number of registrations. A server without one serves all the same.
const MAX: u32 = 100;
/// The term of a registration: this long after a kill the server counts as running, unless its process is known to be gone.
const TTL: Duration = Duration::from_secs(30);
/// The interval between renewals.
const RENEWAL: Duration = Duration::from_secs(10);

/// Registers this process as a server until `stop` is canceled.
pub(crate) async fn serve_registered(m: &Migrator, stop: &CancellationToken) {
    let mut lease = None;
    loop {
        if !is_renewed(lease.as_ref()).await {
            lease = register(m).await;
        }
        tokio::select! {
            () = tokio::time::sleep(RENEWAL) => {}
            () = stop.cancelled() => break,
        }
    }
    if let Some(lease) = lease
        && let Err(error) = lease.release().await
    {
        tracing::debug!(%error, "failed to end the registration of this server; it expires");
    }
}

async fn is_renewed(lease: Option<&Lease>) -> bool {
    let Some(lease) = lease else { return false };
    lease.renew().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "failed to renew the registration of this server");
        // It may still be valid, and another one would be held beside it.
        true
    })
}

/// Takes the first free registration.
async fn register(m: &Migrator) -> Option<Lease> {
    for number in 1..=MAX {
        let name = format!("{PREFIX}{number}");
        let request = LeaseRequest { collection: LOCK.into(), name, owner: m.runner.owner(), ttl: TTL };
        match m.db.acquire_lease(request).await {
            Ok(Ok(lease)) => return Some(lease),
            Ok(Err(_)) => {}
            Err(error) => {
                tracing::debug!(%error, "failed to register this server");
                return None;
            }
        }
    }
    None
}

/// Returns the holders of the registrations that have not expired and whose process is not known to be gone.
pub(crate) async fn running_servers(m: &Migrator) -> Result<Vec<LeaseHolder>> {
    let registered = Find::new(Filter::starts_with("_id", PREFIX));
    let documents = m.db.collection(LOCK).find(registered).await?.raw_documents().await?;
    let mut running = Vec::new();
    for name in documents.iter().filter_map(|document| document.get_str("_id").ok()) {
        let holder = m.db.lease_holder(LOCK, name).await?;
        running
            .extend(holder.filter(|holder| !holder.remaining.is_zero() && !m.runner.is_gone(&holder.owner)));
    }
    Ok(running)
}
