//! The collections that record the state and the history of migrations.

/// Records of the log.
pub(crate) mod log;
/// The ledger of `pymongo_migrate`.
mod pymongo_ledger;
/// Both ledgers, read at one moment.
mod snapshot;
/// Changes of an entry's state: by a run, an import or an operator.
mod transition;

use bson::{Document, doc};
use docstore::{Filter, Find, Store, Update};

pub use log::LogRecord;
pub(crate) use snapshot::LedgerSnapshot;
pub(crate) use transition::{Claim, Finish, Import, ManualDecision, ManualEntry};

use crate::entry::{FORMAT, LedgerEntry, counts_to_bson, texts_to_bson};
use crate::run::{Progress, RunSession, Runner, Scope};
use crate::{Error, Graph, Phase, Result, Settings, State, StepCounts, checksum};

/// The state of each migration.
pub(crate) const LEDGER: &str = "_migrations";
/// The append-only log.
pub(crate) const LOG: &str = "_migration_log";
/// The lease.
pub(crate) const LOCK: &str = "_migration_lock";

/// Returns whether a collection belongs to the engine.
pub(crate) fn is_own(name: &str) -> bool {
    [LEDGER, LOG, LOCK, crate::journal::JOURNAL].contains(&name)
}

/// Fails if a fenced write matched no entry: a holder with a newer fencing token wrote it.
pub(crate) fn require_match(matched: u64) -> Result<()> {
    if matched == 0 { Err(Error::LeaseLost) } else { Ok(()) }
}

impl RunSession<'_> {
    /// Matches the entry, unless it was written by a holder with a newer fencing token.
    pub(crate) fn fenced(&self, id: &str) -> Filter {
        Filter::id(id).also(Filter::lte("fence", self.fence()))
    }

    /// Reads an entry. Returns `None` if it is not as it was when the plan was made.
    async fn unchanged(
        &self,
        scope: &Scope,
        id: &str,
        expected: Option<&LedgerEntry>,
    ) -> Result<Option<Option<LedgerEntry>>> {
        let stored = scope.collection(LEDGER).find_one(Find::new(Filter::id(id))).await?;
        let stored = stored.map(|document| LedgerEntry::from_document(LEDGER, &document)).transpose()?;
        let version = |entry: &LedgerEntry| (entry.state, entry.attempts, entry.fence);
        let unchanged = stored.as_ref().map(version) == expected.map(version);
        Ok(unchanged.then_some(stored))
    }

    /// Writes an entry, with the provenance of this run, and inserts it if there is none.
    async fn upsert(&self, scope: &Scope, id: &str, update: Update) -> Result<()> {
        match scope.collection(LEDGER).upsert_one(&self.fenced(id), &self.stamp(update)).await {
            // The entry exists, and a holder with a newer fencing token wrote it.
            Err(error) if error.duplicate_index().is_some() => return Err(Error::LeaseLost),
            other => other?,
        };
        self.boundary(id, scope).await
    }

    /// Writes the counts, warnings and position so far to the entry. In a transaction, this write is what makes the batch
    /// fail if a newer holder has written the entry.
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
            // Always a change, because only a change conflicts with another transaction.
            .inc("batches", 1_i64);
        if let Some(cursor) = progress.and_then(Progress::to_bson) {
            update = update.set("cursor", cursor);
        }
        require_match(scope.collection(LEDGER).update_one(&self.fenced(id), &update).await?.matched)?;
        self.log_progress(scope, id, counts).await
    }

    /// Logs the progress, at most once per [`Settings::progress_every`].
    async fn log_progress(&self, scope: &Scope, id: &str, counts: &[StepCounts]) -> Result<()> {
        let Some(last) = counts.last() else { return Ok(()) };
        if !self.guard.is_progress_due(self.settings.progress_every) {
            return Ok(());
        }
        let done = last.inserted + last.updated + last.deleted;
        crate::event::progress(id, done, &last.step);
        self.log(scope, id, "progress", doc! { "counts": counts_to_bson(counts) }).await
    }

    /// Records that the journal of an applied migration is deleted, so it cannot be rolled back from it.
    pub(crate) async fn forget_journal(&self, id: &str) -> Result<()> {
        let applied = self.fenced(id).also(Filter::eq("status", State::Applied.name()));
        let update = Update::new().set("journal", false);
        require_match(self.db.collection(LEDGER).update_one(&applied, &update).await?.matched)
    }

    /// Returns whether this run's change of an entry to applied was committed.
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

    /// Adds the provenance of this run.
    fn stamp(&self, update: Update) -> Update {
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

/// Returns a log record without the migration that it is about.
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

/// Returns the declaration that an entry stores, for programs that do not know the migration.
fn declaration(graph: &Graph, at: usize) -> Update {
    let meta = graph.get(at).meta();
    let parents = graph.dag().depends_on(at).iter().map(|&parent| graph.dag().id(parent).to_owned());
    let touches: Vec<String> = meta.touches.iter().map(|&name| name.to_owned()).collect();
    let phase = match meta.phase {
        Phase::Expand => "expand",
        Phase::Contract => "contract",
    };
    let update = Update::new()
        .set("order", i32::try_from(at).unwrap_or(i32::MAX))
        .set("depends_on", texts_to_bson(&parents.collect::<Vec<_>>()))
        .set("breaks_older", meta.is_breaking())
        .set("phase", phase)
        .set("touches", texts_to_bson(&touches));
    checksum::compute(graph.get(at)).write(update)
}
