use std::path::Path;

use bson::DateTime;
use docstore::{Filter, Update};

use super::lock::Always;
use super::manual::ByHand;
use crate::Migrator;
use crate::backup::{self, Manifest, RestoreReport, RestoreRequest};
use crate::ledger::LEDGER;
use crate::ledger::LedgerSnapshot;
use crate::ledger::manual_entry::ManualDecision;
use crate::migrator::AsyncWork;
use crate::run::HeldLease;
use crate::{Error, Repair, Result, Stamp, State};

impl Migrator {
    /// Puts a backup back while no migration runs. If it is the one that was taken before a migration, and all of it is
    /// put back, the ledger then says that the migration is taken back.
    ///
    /// What other migrations have done since to the same collections is gone with it: [`RestoreReport::applied_since`] names
    /// them.
    ///
    /// # Errors
    /// [`Error::Backup`]; [`Error::RequiredByApplied`] if what depends on that migration is applied. Nothing was changed then.
    pub async fn restore(&self, dir: &Path, id: &str, request: &RestoreRequest) -> Result<RestoreReport> {
        let id = backup::resolve(dir, id)?;
        let manifest = backup::verify(dir, &id).await?;
        let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
        self.under(held, PutBack { dir, manifest: &manifest, request }).await
    }

    /// What is to be said of the migration that a backup was taken before; `None` if the ledger is right as it is.
    fn decided(&self, view: &LedgerSnapshot, manifest: &Manifest) -> Result<Option<(usize, ManualDecision)>> {
        let Some(at) = manifest.migration.as_ref().and_then(|id| self.graph.dag().position(id)) else {
            return Ok(None);
        };
        let decision = match view.entries.get(self.graph.dag().id(at)).map(|entry| entry.state) {
            None | Some(State::RolledBack) => return Ok(None),
            Some(State::Applied) => ManualDecision::Stamp(Stamp::RolledBack),
            Some(State::Running | State::Failed | State::Interrupted | State::RollingBack) => {
                ManualDecision::Repair(Repair::RolledBack)
            }
        };
        self.may_mark(view, at, decision)?;
        Ok(Some((at, decision)))
    }

    /// Which others were applied since and touch what is in the backup.
    fn applied_since(&self, view: &LedgerSnapshot, manifest: &Manifest) -> Vec<String> {
        let Ok(taken) = DateTime::parse_rfc3339_str(&manifest.taken_at) else { return Vec::new() };
        let has = |name: &str| {
            manifest.collections.iter().any(|kept| kept.name == name)
                || manifest.absent.iter().any(|absent| absent == name)
        };
        let concerned = |id: &str| match self.graph.dag().position(id) {
            Some(at) => {
                let touches = self.graph.get(at).meta().touches;
                touches.is_empty() || touches.iter().any(|name| has(name))
            }
            None => true,
        };
        view.entries
            .values()
            .filter(|entry| entry.state == State::Applied && manifest.migration.as_ref() != Some(&entry.id))
            .filter(|entry| entry.applied_at.is_some_and(|at| at >= taken) && concerned(&entry.id))
            .map(|entry| entry.id.clone())
            .collect()
    }
}

struct PutBack<'a> {
    dir: &'a Path,
    manifest: &'a Manifest,
    request: &'a RestoreRequest,
}

impl AsyncWork<RestoreReport> for PutBack<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<RestoreReport> {
        let Self { dir, manifest, request } = self;
        let view = migrator.view().await?;
        // A backup of everything brings its ledger along; a part of one leaves the migration neither here nor there.
        let with_ledger = manifest.collections.iter().any(|kept| kept.name == LEDGER);
        let whole = request.only.is_none() && !with_ledger;
        let decided = if whole { migrator.decided(&view, manifest)? } else { None };
        let mut restored = backup::restore(&migrator.db, dir, &manifest.id, request).await?;
        if restored.collections.iter().any(|one| one.name == LEDGER) {
            // Its entries have tokens of another time, or of another database. They take no write of a lesser one.
            let fence = Update::new().set("fence", held.fence());
            migrator.db.collection(LEDGER).update_many(&Filter::All, &fence).await?;
        }
        if !with_ledger {
            restored.applied_since = migrator.applied_since(&view, manifest);
        }
        if let Some((at, decision)) = decided {
            let reason = format!("the backup {} was put back", manifest.id);
            ByHand { at, decision, reason: &reason }.run(migrator, held).await?;
            restored.rolled_back = manifest.migration.clone();
        }
        Ok(restored)
    }
}
