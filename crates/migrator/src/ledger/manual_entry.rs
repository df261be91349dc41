use async_trait::async_trait;
use bson::doc;
use docstore::Update;

use super::declaration;
use crate::entry::{LedgerEntry, texts_to_bson};
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Graph, Repair, Result, Source, Stamp, State};

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

#[async_trait]
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
