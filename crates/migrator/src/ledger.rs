use std::time::Duration;

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use docstore::{Field, Filter, Find, Store, Update};

use crate::context::Progress;
use crate::entry::{Entry, FORMAT, counts_to_bson, texts_to_bson};
use crate::foreign::Foreign;
use crate::mark::declared;
use crate::session::{Batch, Runner, Scope, Session};
use crate::{Error, Graph, Result, Settings, Source, State, StepCounts};

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

impl Session<'_> {
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

/// Makes an entry ours before anything else is done. `None` if it is not as it was when the plan was made.
pub(crate) struct Claim<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) graph: &'a Graph,
    pub(crate) position: usize,
    pub(crate) expected: Option<&'a Entry>,
    /// `Running` or `RollingBack`.
    pub(crate) state: State,
    pub(crate) confirmed: bool,
    /// Whether it writes a journal, when it is applied.
    pub(crate) journal: bool,
    /// The backup that it has, when it is applied.
    pub(crate) backup: Option<&'a str>,
}

#[async_trait]
impl Batch for Claim<'_> {
    type Out = Option<Entry>;

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let id = self.graph.shape().id(self.position);
        let ledger = scope.collection(LEDGER);
        let stored = ledger.find_one(Find::new(Filter::id(id))).await?;
        let stored = stored.map(|document| Entry::from_document(LEDGER, &document)).transpose()?;
        let mark = |entry: &Entry| (entry.state, entry.attempts, entry.fence);
        if stored.as_ref().map(mark) != self.expected.map(mark) {
            return Ok(None);
        }
        let mut entry = stored.unwrap_or_else(|| Entry::new(id, self.state, Source::Native));
        if self.begins_anew(&entry) {
            entry.counts.clear();
            entry.progress = Progress::default();
        }
        entry.warnings.clear();
        let up = self.state == State::Running;
        if up {
            entry.attempts += 1;
            entry.source = Source::Native;
        }
        let (update, event) = (self.update(&entry), if up { "started" } else { "rolling_back" });
        let session = self.session;
        match ledger.upsert_one(&session.fenced(id), &update).await {
            Err(error) if error.duplicate_index().is_some() => return Err(Error::LeaseLost),
            other => other?,
        };
        session.boundary(id, scope).await?;
        session.log(scope, id, event, doc! { "attempt": entry.attempts }).await?;
        entry.state = self.state;
        entry.fence = session.fence();
        entry.confirmed = self.confirmed;
        entry.retry = false;
        Ok(Some(entry))
    }
}

impl Claim<'_> {
    /// Whether what earlier attempts counted does not belong to this one.
    fn begins_anew(&self, entry: &Entry) -> bool {
        match self.state {
            State::Running => entry.state == State::RolledBack,
            _ => entry.state != State::RollingBack,
        }
    }

    fn update(&self, entry: &Entry) -> Update {
        let update = declared(self.graph, self.position)
            .set("status", self.state.name())
            .set("source", entry.source.name())
            .set("attempts", entry.attempts)
            .set("started_at", self.session.now())
            .set("counts", counts_to_bson(&entry.counts))
            .set("warnings", texts_to_bson(&[]))
            .unset("finished_at")
            .unset("duration_ms")
            .unset("error")
            .unset("error_chain")
            .unset("step")
            .unset("retry");
        let update = self.session.stamp(update);
        let update = match entry.progress.to_bson() {
            Some(cursor) => update.set("cursor", cursor),
            None => update.unset("cursor"),
        };
        if self.state == State::Running {
            let run = self.session.runner.run_id.as_str();
            let update = update.set("applied_run", run).set("journal", self.journal);
            let update = match self.backup {
                Some(id) => update.set("backup_id", id),
                None => update.unset("backup_id"),
            };
            return update.unset("applied_at").unset("reason").unset("confirmed");
        }
        let update = update.set("confirmed", self.confirmed);
        match &entry.applied_run {
            Some(run) => update.set("applied_run", run.as_str()),
            None => update,
        }
    }
}

/// Ends what a [`Claim`] began.
pub(crate) struct Finish<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) id: &'a str,
    pub(crate) state: State,
    pub(crate) event: &'a str,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
    pub(crate) duration: Duration,
    /// Why it did not come to its end: the error, and what that came from.
    pub(crate) error: &'a [String],
    pub(crate) step: Option<&'a str>,
}

#[async_trait]
impl Batch for Finish<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let now = self.session.now();
        let duration = i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX);
        let (counts, warnings) = (counts_to_bson(self.counts), texts_to_bson(self.warnings));
        let mut update = Update::new()
            .set("status", self.state.name())
            .set("finished_at", now)
            .set("duration_ms", duration)
            .set("counts", counts.clone())
            .set("warnings", warnings.clone());
        update = match self.state {
            State::Applied => update.set("applied_at", now).unset("cursor"),
            State::RolledBack => update.unset("applied_at").unset("confirmed").unset("cursor"),
            _ => update,
        };
        let mut more = doc! { "duration_ms": duration, "counts": counts, "warnings": warnings };
        for (key, value) in [("error", self.error.first().map(String::as_str)), ("step", self.step)] {
            if let Some(value) = value {
                update = update.set(Field::parse(key)?, value);
                more.insert(key, value);
            }
        }
        if !self.error.is_empty() {
            update = update.set("error_chain", texts_to_bson(self.error));
            more.insert("error_chain", texts_to_bson(self.error));
        }
        let filter = self.session.fenced(self.id);
        taken(scope.collection(LEDGER).update_one(&filter, &update).await?.matched)?;
        self.session.boundary(self.id, scope).await?;
        self.session.log(scope, self.id, self.event, more).await
    }
}

/// Takes over what an earlier tool says of one name.
pub(crate) struct Import<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) from: &'a str,
    pub(crate) name: &'a str,
    pub(crate) foreign: &'a Foreign,
    /// Its place in the graph, if it is known.
    pub(crate) order: Option<usize>,
    pub(crate) warnings: &'a [String],
}

#[async_trait]
impl Batch for Import<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let session = self.session;
        let more = doc! { "imported_from": self.from, "foreign_id": self.foreign.id.clone() };
        let Some(applied) = self.foreign.applied else {
            // It says no more than that it was taken back, at a time that nobody wrote down.
            return session.log(scope, self.name, "imported_as_rolled_back", more).await;
        };
        let order = self.order.and_then(|at| i32::try_from(at).ok()).map_or(Bson::Null, Bson::Int32);
        let update = Update::new()
            .set("status", State::Applied.name())
            .set("source", Source::Imported.name())
            .set("order", order)
            .set("attempts", 0_i32)
            .set("applied_at", applied)
            .set("imported_at", session.now())
            .set("imported_from", self.from)
            .set("foreign_id", self.foreign.id.clone())
            .set("counts", Bson::Array(Vec::new()))
            .set("warnings", texts_to_bson(self.warnings));
        let filter = session.fenced(self.name);
        match scope.collection(LEDGER).upsert_one(&filter, &session.stamp(update)).await {
            Err(error) if error.duplicate_index().is_some() => return Err(Error::LeaseLost),
            other => other?,
        };
        session.boundary(self.name, scope).await?;
        session.log(scope, self.name, "imported", more).await
    }
}
