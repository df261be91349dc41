/// Making an entry ours.
mod claim;
/// Ending what was begun.
mod finish;
/// Importing what another tool applied.
mod import;
/// Records of the log.
pub(crate) mod log;
/// Manual changes of an entry.
pub(crate) mod manual_entry;
/// The ledger of `pymongo_migrate`.
pub(crate) mod pymongo_ledger;
/// Both ledgers, read at one moment.
mod snapshot;

use bson::{Document, doc};
use docstore::{Filter, Store, Update};

pub(crate) use claim::Claim;
pub(crate) use finish::Finish;
pub(crate) use import::Import;
pub use log::LogRecord;
pub(crate) use snapshot::LedgerSnapshot;

use crate::entry::{FORMAT, counts_to_bson, texts_to_bson};
use crate::run::Progress;
use crate::run::{RunSession, Runner, Scope};
use crate::{Error, Result, Settings, State, StepCounts};

/// The present state of each migration.
pub(crate) const LEDGER: &str = "_migrations";
/// What happened, in order.
pub(crate) const LOG: &str = "_migration_log";
/// The lease.
pub(crate) const LOCK: &str = "_migration_lock";

/// Whether a collection is one of the engine's.
pub(crate) fn is_own(name: &str) -> bool {
    [LEDGER, LOG, LOCK, crate::journal::JOURNAL].contains(&name)
}

/// Whether the entry took our write.
pub(crate) fn taken(matched: u64) -> Result<()> {
    if matched == 0 { Err(Error::LeaseLost) } else { Ok(()) }
}

impl RunSession<'_> {
    /// The entry, unless it was written by a holder with a greater token.
    pub(crate) fn fenced(&self, id: &str) -> Filter {
        Filter::id(id).also(Filter::lte("fence", self.fence()))
    }

    /// Writes to the ledger what was done so far. Within a transaction this is what a holder that was superseded
    /// stumbles over, so that its data is not written either.
    pub(crate) async fn touch(
        &self,
        scope: &Scope,
        id: &str,
        counts: &[StepCounts],
        warnings: &[String],
        progress: Option<&Progress>,
    ) -> Result<()> {
        let mut update = Update::new()
            .set("counts", counts_to_bson(counts))
            .set("warnings", texts_to_bson(warnings))
            // Makes it a change in any case: only a change conflicts with another transaction.
            .inc("batches", 1_i64);
        if let Some(cursor) = progress.and_then(Progress::to_bson) {
            update = update.set("cursor", cursor);
        }
        taken(scope.collection(LEDGER).update_one(&self.fenced(id), &update).await?.matched)?;
        self.progress(scope, id, counts).await
    }

    /// Writes down how far a migration has come, unless that was done a moment ago.
    async fn progress(&self, scope: &Scope, id: &str, counts: &[StepCounts]) -> Result<()> {
        let Some(last) = counts.last() else { return Ok(()) };
        if !self.guard.is_progress_due(self.settings.progress_every) {
            return Ok(());
        }
        let done = last.inserted + last.updated + last.deleted;
        crate::event::progress(id, done, &last.step);
        self.log(scope, id, "progress", doc! { "counts": counts_to_bson(counts) }).await
    }

    /// Says that the journal of an applied migration is gone, so that it cannot be taken back by it.
    pub(crate) async fn forget_journal(&self, id: &str) -> Result<()> {
        let applied = self.fenced(id).also(Filter::eq("status", State::Applied.name()));
        let update = Update::new().set("journal", false);
        taken(self.db.collection(LEDGER).update_one(&applied, &update).await?.matched)
    }

    /// Whether this run's change of an entry to applied was committed.
    pub(crate) async fn is_applied_by_us(&self, id: &str) -> Result<bool> {
        let ours = Filter::id(id)
            .also(Filter::eq("status", State::Applied.name()))
            .also(Filter::eq("run_id", self.runner.run_id.as_str()));
        Ok(self.db.collection(LEDGER).count(&ours).await? > 0)
    }

    pub(crate) async fn log(
        &self,
        scope: &Scope,
        migration: &str,
        event: &str,
        more: Document,
    ) -> Result<()> {
        let mut document = log_record(self.runner, self.settings, event, self.fence());
        document.insert("migration", migration);
        document.extend(more);
        scope.collection(LOG).insert_one(document).await?;
        Ok(())
    }

    pub(crate) fn stamp(&self, update: Update) -> Update {
        let update = match &self.settings.git_revision {
            Some(revision) => update.set("git_revision", revision.as_str()),
            None => update.unset("git_revision"),
        };
        update
            .set("format", FORMAT)
            .set("fence", self.fence())
            .set("run_id", self.runner.run_id.as_str())
            .set("app_version", self.settings.app_version.as_str())
            .set("actor", self.settings.actor.as_str())
            .set("host", self.runner.host.as_str())
            .set("pid", i64::from(self.runner.pid))
    }
}

/// A record of the log, without the migration that it is about.
pub(crate) fn log_record(runner: &Runner, settings: &Settings, event: &str, fence: i64) -> Document {
    let mut document = doc! {
        "at": (settings.clock)(), "event": event, "run_id": &runner.run_id, "fence": fence,
        "app_version": &settings.app_version, "actor": &settings.actor, "host": &runner.host,
        "pid": i64::from(runner.pid),
    };
    if let Some(revision) = &settings.git_revision {
        document.insert("git_revision", revision);
    }
    document
}
