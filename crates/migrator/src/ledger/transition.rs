use std::time::{Duration, Instant};

use bson::{Bson, doc};
use docstore::{Field, Store, Update};

use super::pymongo_ledger::PymongoRecord;
use super::{LEDGER, declaration, require_match};
use crate::entry::{LedgerEntry, counts_to_bson, texts_to_bson};
use crate::run::{Attempt, Batch, Progress, RunSession, Scope};
use crate::{Error, Event, Graph, Repair, Result, Source, Stamp, State};

/// Claims an entry for this run before anything else is written. Returns `None` if the entry is not as it was when the
/// plan was made.
pub(crate) struct Claim<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) graph: &'a Graph,
    pub(crate) position: usize,
    pub(crate) expected: Option<&'a LedgerEntry>,
    /// `Running` or `RollingBack`.
    pub(crate) state: State,
    pub(crate) confirmed: bool,
    /// `true` if an `up` writes a journal.
    pub(crate) journal: bool,
    /// The backup that was taken before an `up`.
    pub(crate) backup: Option<&'a str>,
}

impl Batch for Claim<'_> {
    type Out = Option<LedgerEntry>;

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let (session, id) = (self.session, self.graph.dag().id(self.position));
        let Some(stored) = session.unchanged(scope, id, self.expected).await? else { return Ok(None) };
        let mut entry = stored.unwrap_or_else(|| LedgerEntry::new(id, self.state, Source::Native));
        let up = self.state == State::Running;
        // A new attempt in this direction does not continue the counts of the other direction.
        if if up { entry.state == State::RolledBack } else { entry.state != State::RollingBack } {
            entry.counts.clear();
            entry.progress = Progress::default();
        }
        entry.warnings.clear();
        if up {
            entry.attempts += 1;
            entry.source = Source::Native;
        }
        session.upsert(scope, id, self.update(&entry)).await?;
        let event = if up { "started" } else { "rolling_back" };
        session.log(scope, id, event, doc! { "attempt": entry.attempts }).await?;
        entry.state = self.state;
        entry.fence = session.fence();
        entry.confirmed = self.confirmed;
        entry.retry = false;
        Ok(Some(entry))
    }
}

impl Claim<'_> {
    fn update(&self, entry: &LedgerEntry) -> Update {
        let mut update = declaration(self.graph, self.position)
            .set("status", self.state.name())
            .set("source", entry.source.name())
            .set("attempts", entry.attempts)
            .set("started_at", self.session.now())
            .set("counts", counts_to_bson(&entry.counts))
            .set("warnings", texts_to_bson(&[]));
        for field in ["finished_at", "duration_ms", "error", "error_chain", "step", "retry"] {
            update = update.unset(field);
        }
        update = match entry.progress.to_bson() {
            Some(cursor) => update.set("cursor", cursor),
            None => update.unset("cursor"),
        };
        if self.state != State::Running {
            update = update.set("confirmed", self.confirmed);
            return match &entry.applied_run {
                Some(run) => update.set("applied_run", run.as_str()),
                None => update,
            };
        }
        update = update
            .set("applied_run", self.session.runner.run_id.as_str())
            .set("journal", self.journal)
            .unset("applied_at")
            .unset("reason")
            .unset("confirmed");
        match self.backup {
            Some(id) => update.set("backup_id", id),
            None => update.unset("backup_id"),
        }
    }
}

/// Records how a run of one migration ended.
pub(crate) struct Finish<'a> {
    session: &'a RunSession<'a>,
    attempt: &'a Attempt,
    state: State,
    /// The event in the log.
    event: &'static str,
    pub(crate) duration: Duration,
    /// The error and its causes, outermost first; empty if the run did not fail.
    error: &'a [String],
}

impl<'a> Finish<'a> {
    /// Records success, which sets the state to `Applied` or `RolledBack`.
    pub(crate) fn new(
        session: &'a RunSession<'a>,
        attempt: &'a Attempt,
        state: State,
        began: Instant,
    ) -> Self {
        let event = if state == State::Applied { "applied" } else { "rolled_back" };
        Self { session, attempt, state, event, duration: began.elapsed(), error: &[] }
    }

    /// Records that the run ended with this error instead, and returns the error to report.
    pub(crate) async fn failed(self, error: Error) -> Error {
        let Attempt { migration, counts, step, .. } = self.attempt;
        let (session, undo) = (self.session, self.state == State::RolledBack);
        let (id, counts) = (migration.clone(), counts.clone());
        let chain = error.chain();
        let (state, event, reported) = match error {
            // The new holder of the lease writes the ledger.
            Error::LeaseLost => return Error::LeaseLost,
            Error::Interrupted { .. } => {
                let state = if undo { State::RollingBack } else { State::Interrupted };
                (state, "interrupted", Error::Interrupted { id: Some(id), undo, counts })
            }
            source if undo => {
                let source = Box::new(source);
                (State::RollingBack, "undo_failed", Error::UndoFailed { id, source })
            }
            source => {
                let (step, source) = (step.clone(), Box::new(source));
                (State::Failed, "failed", Error::Failed { id, step, counts, source })
            }
        };
        let interrupted = event == "interrupted";
        let finish = Finish { state, event, error: if interrupted { &[] } else { &chain }, ..self };
        match session.record(migration, &finish).await {
            // The failure may be a consequence of what the new holder of the lease did.
            Err(Error::LeaseLost) => return Error::LeaseLost,
            Err(error) => tracing::error!(migration, %error, "failed to record how a migration ended"),
            Ok(()) => {}
        }
        session.emit(&if interrupted {
            Event::Interrupted { migration }
        } else {
            Event::Failed { migration, error: &chain[0] }
        });
        reported
    }
}

impl Batch for Finish<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let (session, Attempt { migration, counts, warnings, step, .. }) = (self.session, self.attempt);
        let now = session.now();
        let duration = i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX);
        let (counts, warnings) = (counts_to_bson(counts), texts_to_bson(warnings));
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
        for (key, value) in [("error", self.error.first()), ("step", step.as_ref())] {
            if let Some(value) = value {
                update = update.set(Field::parse(key)?, value.as_str());
                more.insert(key, value);
            }
        }
        if !self.error.is_empty() {
            update = update.set("error_chain", texts_to_bson(self.error));
            more.insert("error_chain", texts_to_bson(self.error));
        }
        let filter = session.fenced(migration);
        require_match(scope.collection(LEDGER).update_one(&filter, &update).await?.matched)?;
        session.boundary(migration, scope).await?;
        session.log(scope, migration, self.event, more).await
    }
}

/// Imports what an earlier tool recorded for one name.
pub(crate) struct Import<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) from: &'a str,
    pub(crate) name: &'a str,
    pub(crate) foreign: &'a PymongoRecord,
    /// Its position in the graph, if the program knows it.
    pub(crate) order: Option<usize>,
    pub(crate) warnings: &'a [String],
}

impl Batch for Import<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let session = self.session;
        let more = doc! { "imported_from": self.from, "foreign_id": self.foreign.id.clone() };
        let Some(applied) = self.foreign.applied else {
            // The earlier tool only records that it was rolled back, not when.
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
        session.upsert(scope, self.name, update).await?;
        session.log(scope, self.name, "imported", more).await
    }
}

/// Writes an operator's decision to the entry of a migration, without running anything.
pub(crate) struct ManualEntry<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) id: &'a str,
    pub(crate) expected: Option<&'a LedgerEntry>,
    pub(crate) graph: &'a Graph,
    pub(crate) position: usize,
    pub(crate) decision: ManualDecision,
    pub(crate) reason: &'a str,
    pub(crate) warnings: &'a [String],
}

/// The decision of an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ManualDecision {
    Stamp(Stamp),
    Repair(Repair),
}

impl ManualDecision {
    /// Returns the state that it sets; `None` for a retry.
    pub(crate) fn state(self) -> Option<State> {
        match self {
            Self::Stamp(Stamp::Applied) | Self::Repair(Repair::Applied) => Some(State::Applied),
            Self::Stamp(Stamp::RolledBack) | Self::Repair(Repair::RolledBack) => Some(State::RolledBack),
            Self::Repair(Repair::Retry) => None,
        }
    }
}

impl Batch for ManualEntry<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let Self { session, id, expected, decision, .. } = *self;
        if session.unchanged(scope, id, expected).await?.is_none() {
            return Err(Error::LeaseLost);
        }
        session.upsert(scope, id, self.update()).await?;
        let mut more = doc! { "reason": self.reason, "to": decision.state().map_or("retry", State::name) };
        if let Some(entry) = expected {
            more.insert("from", entry.state.name());
        }
        if !self.warnings.is_empty() {
            more.insert("warnings", texts_to_bson(self.warnings));
        }
        let event = if matches!(decision, ManualDecision::Stamp(_)) { "stamped" } else { "repaired" };
        session.log(scope, id, event, more).await
    }
}

impl ManualEntry<'_> {
    fn update(&self) -> Update {
        let now = self.session.now();
        let update = declaration(self.graph, self.position).set("reason", self.reason);
        let Some(state) = self.decision.state() else {
            let stopped = match self.expected.map(|entry| entry.state) {
                Some(State::Running) => State::Interrupted,
                other => other.unwrap_or(State::Failed),
            };
            return update.set("status", stopped.name()).set("retry", true);
        };
        let mut update = update
            .set("status", state.name())
            .set("finished_at", now)
            .set("warnings", texts_to_bson(self.warnings));
        for field in ["error", "error_chain", "step", "retry", "confirmed", "cursor"] {
            update = update.unset(field);
        }
        match self.decision {
            ManualDecision::Stamp(Stamp::Applied) => update
                .set("source", Source::Stamped.name())
                .set("applied_at", now)
                .set("attempts", self.expected.map_or(0, |entry| entry.attempts))
                .set("counts", texts_to_bson(&[]))
                .unset("applied_run"),
            _ if state == State::Applied => update.set("applied_at", now),
            _ => update.unset("applied_at"),
        }
    }
}
