use async_trait::async_trait;
use bson::doc;
use docstore::{Filter, Find, Store, Update};

use super::LEDGER;
use super::manual_entry::declared;
use crate::entry::{LedgerEntry, counts_to_bson, texts_to_bson};
use crate::run::Progress;
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Graph, Result, Source, State};

/// Makes an entry ours before anything else is done. `None` if it is not as it was when the plan was made.
pub(crate) struct Claim<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) graph: &'a Graph,
    pub(crate) position: usize,
    pub(crate) expected: Option<&'a LedgerEntry>,
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
    type Out = Option<LedgerEntry>;

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let id = self.graph.dag().id(self.position);
        let ledger = scope.collection(LEDGER);
        let stored = ledger.find_one(Find::new(Filter::id(id))).await?;
        let stored = stored.map(|document| LedgerEntry::from_document(LEDGER, &document)).transpose()?;
        let mark = |entry: &LedgerEntry| (entry.state, entry.attempts, entry.fence);
        if stored.as_ref().map(mark) != self.expected.map(mark) {
            return Ok(None);
        }
        let mut entry = stored.unwrap_or_else(|| LedgerEntry::new(id, self.state, Source::Native));
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
    fn begins_anew(&self, entry: &LedgerEntry) -> bool {
        match self.state {
            State::Running => entry.state == State::RolledBack,
            _ => entry.state != State::RollingBack,
        }
    }

    fn update(&self, entry: &LedgerEntry) -> Update {
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
