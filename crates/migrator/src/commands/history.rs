use docstore::Filter;

use crate::Migrator;
use crate::ledger::{LedgerSnapshot, log};
use crate::plan::is_unknown;
use crate::{Error, HistoryRequest, LogRecord, MigrationDetails, Result, State};

impl Migrator {
    /// What was done, the oldest first. Writes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownId`], [`Error::Ambiguous`], [`Error::UnknownRun`].
    pub async fn history(&self, request: &HistoryRequest) -> Result<Vec<LogRecord>> {
        let mut filters = Vec::new();
        if let Some(prefix) = &request.migration {
            filters.push(Filter::eq("migration", self.resolve(prefix).await?));
        }
        if let Some(prefix) = &request.run {
            filters.push(Filter::eq("run_id", self.logged_run(prefix).await?));
        }
        if let Some(since) = request.since {
            filters.push(Filter::gte("at", since));
        }
        if !request.progress {
            filters.push(Filter::ne("event", "progress"));
        }
        log::read(&self.db, Filter::and(filters), request.limit).await
    }

    async fn logged_run(&self, prefix: &str) -> Result<String> {
        let mut runs = log::runs(&self.db, prefix).await?;
        match runs.iter().position(|run| run == prefix) {
            Some(exact) => Ok(runs.swap_remove(exact)),
            None if runs.len() == 1 => Ok(runs.remove(0)),
            None => Err(Error::UnknownRun { given: prefix.to_owned(), candidates: runs }),
        }
    }

    /// All that is known of one migration, by its id or the beginning of it. Writes nothing.
    pub async fn show(&self, prefix: &str) -> Result<MigrationDetails> {
        let view = self.view().await?;
        let id = self.name(&view, prefix)?;
        let live = self.live_fence().await?;
        let without_progress = Filter::ne("event", "progress");
        let runs =
            log::read(&self.db, Filter::eq("migration", id.clone()).also(without_progress), None).await?;
        let mut shown = MigrationDetails::new(&id, view.entries.get(&id), live, runs);
        let dag = self.graph.dag();
        if let Some(at) = dag.position(&id) {
            shown.declared(self.graph.get(at), dag.is_in(at, &self.settings.contexts));
        }
        shown.dependents = self.dependents(&view, &id);
        Ok(shown)
    }

    /// Those that depend on it directly: known ones, and unknown ones that are applied.
    fn dependents(&self, view: &LedgerSnapshot, id: &str) -> Vec<String> {
        let dag = self.graph.dag();
        let known = (0..dag.len())
            .filter(|&at| dag.depends_on(at).iter().any(|&parent| dag.id(parent) == id))
            .map(|at| dag.id(at).to_owned());
        let unknown = view.entries.values().filter(|entry| {
            is_unknown(dag, entry)
                && entry.state != State::RolledBack
                && entry.depends_on.iter().any(|parent| parent == id)
        });
        known.chain(unknown.map(|entry| entry.id.clone())).collect()
    }
}
