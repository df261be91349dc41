use std::path::Path;

use bson::DateTime;
use docstore::{Filter, Update};

use super::lock;
use super::manual::{record_decision, require_allowed};
use crate::backup::{self, Manifest, RestoreReport, RestoreRequest};
use crate::ledger::{LEDGER, LedgerSnapshot, ManualDecision};
use crate::{Migrator, Repair, Result, Stamp, State};

pub(crate) async fn restore(
    m: &Migrator,
    dir: &Path,
    id: &str,
    request: &RestoreRequest,
) -> Result<RestoreReport> {
    let id = backup::resolve(dir, id)?;
    let manifest = backup::verify(dir, &id).await?;
    let held = lock::acquire(m).await?;
    let work = async {
        let snapshot = m.snapshot().await?;
        // A full backup contains its own ledger. After a partial restore the migration is neither applied nor not.
        let with_ledger = manifest.collections.iter().any(|collection| collection.name == LEDGER);
        let whole = request.only.is_none() && !with_ledger;
        let decision = if whole { decision(m, &snapshot, &manifest)? } else { None };
        let mut restored = backup::restore(&m.db, dir, &manifest.id, request).await?;
        if restored.collections.iter().any(|collection| collection.name == LEDGER) {
            // Its entries have fencing tokens of another time or database, which could be greater than this run's.
            let fence = Update::new().set("fence", held.fence());
            m.db.collection(LEDGER).update_many(&Filter::All, &fence).await?;
        }
        if !with_ledger {
            restored.applied_since = applied_since(m, &snapshot, &manifest);
        }
        if let Some((at, decision)) = decision {
            let reason = format!("the backup {} was restored", manifest.id);
            record_decision(m, &held, at, decision, &reason).await?;
            restored.rolled_back = manifest.migration.clone();
        }
        Ok(restored)
    };
    lock::under_lease(&held, work).await
}

/// Returns the ledger change for the migration that a backup was taken before; `None` if the ledger needs none.
fn decision(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    manifest: &Manifest,
) -> Result<Option<(usize, ManualDecision)>> {
    let Some(at) = manifest.migration.as_ref().and_then(|id| m.dag().position(id)) else { return Ok(None) };
    let decision = match snapshot.state(m.id(at)) {
        None | Some(State::RolledBack) => return Ok(None),
        Some(State::Applied) => ManualDecision::Stamp(Stamp::RolledBack),
        Some(_) => ManualDecision::Repair(Repair::RolledBack),
    };
    require_allowed(m, snapshot, at, decision)?;
    Ok(Some((at, decision)))
}

/// Returns the other migrations that were applied since and touch what is in the backup.
fn applied_since(m: &Migrator, snapshot: &LedgerSnapshot, manifest: &Manifest) -> Vec<String> {
    let Ok(taken) = DateTime::parse_rfc3339_str(&manifest.taken_at) else { return Vec::new() };
    let contains = |name: &str| {
        manifest.collections.iter().any(|collection| collection.name == name)
            || manifest.absent.iter().any(|absent| absent == name)
    };
    let touches_it = |id: &str| {
        let touches = m.dag().position(id).map_or(&[][..], |at| m.graph.get(at).meta().touches);
        touches.is_empty() || touches.iter().any(|name| contains(name))
    };
    let entries = snapshot.entries.values();
    entries
        .filter(|entry| entry.state == State::Applied && manifest.migration.as_ref() != Some(&entry.id))
        .filter(|entry| entry.applied_at.is_some_and(|at| at >= taken) && touches_it(&entry.id))
        .map(|entry| entry.id.clone())
        .collect()
}
