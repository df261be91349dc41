use async_trait::async_trait;
use bson::doc;
use docstore::Update;

use super::declaration;
use crate::entry::{LedgerEntry, counts_to_bson, texts_to_bson};
use crate::run::{Batch, Progress, RunSession, Scope};
use crate::{Graph, Result, Source, State};

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

#[async_trait]
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
