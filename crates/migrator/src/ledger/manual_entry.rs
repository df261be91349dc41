use async_trait::async_trait;
use bson::{Document, doc};
use docstore::{Filter, Find, Store, Update};

use crate::checksum;
use crate::entry::{LedgerEntry, texts_to_bson};
use crate::ledger::LEDGER;
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Repair, Result, Source, Stamp, State};

/// Has the ledger say of a migration what somebody decided, without running anything.
pub(crate) struct ManualEntry<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) id: &'a str,
    pub(crate) expected: Option<&'a LedgerEntry>,
    /// What its entry says beside, once it is applied.
    pub(crate) declared: Update,
    pub(crate) decision: ManualDecision,
    pub(crate) reason: &'a str,
    pub(crate) warnings: &'a [String],
}

/// What was decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ManualDecision {
    Stamp(Stamp),
    Repair(Repair),
}

impl ManualDecision {
    fn event(self) -> &'static str {
        match self {
            Self::Stamp(_) => "stamped",
            Self::Repair(_) => "repaired",
        }
    }

    fn to(self) -> &'static str {
        match self {
            Self::Stamp(Stamp::Applied) | Self::Repair(Repair::Applied) => "applied",
            Self::Stamp(Stamp::RolledBack) | Self::Repair(Repair::RolledBack) => "rolled_back",
            Self::Repair(Repair::Retry) => "retry",
        }
    }
}

#[async_trait]
impl Batch for ManualEntry<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let ledger = scope.collection(LEDGER);
        let stored = ledger.find_one(Find::new(Filter::id(self.id))).await?;
        let stored = stored.map(|document| LedgerEntry::from_document(LEDGER, &document)).transpose()?;
        let mark = |entry: &LedgerEntry| (entry.state, entry.attempts, entry.fence);
        if stored.as_ref().map(mark) != self.expected.map(mark) {
            return Err(Error::LeaseLost);
        }
        let session = self.session;
        match ledger.upsert_one(&session.fenced(self.id), &session.stamp(self.update())).await {
            Err(error) if error.duplicate_index().is_some() => return Err(Error::LeaseLost),
            other => other?,
        };
        session.boundary(self.id, scope).await?;
        let mut more = doc! { "reason": self.reason, "to": self.decision.to() };
        if let Some(entry) = self.expected {
            more.insert("from", entry.state.name());
        }
        if !self.warnings.is_empty() {
            more.insert("warnings", texts_to_bson(self.warnings));
        }
        session.log(scope, self.id, self.decision.event(), more).await
    }
}

impl ManualEntry<'_> {
    fn update(&self) -> Update {
        let now = self.session.now();
        let mut update = self.declared.clone().set("reason", self.reason);
        let state = self.expected.map(|entry| entry.state);
        update = match self.decision {
            ManualDecision::Stamp(Stamp::Applied) => update
                .set("status", State::Applied.name())
                .set("source", Source::Stamped.name())
                .set("applied_at", now)
                .set("attempts", self.expected.map_or(0, |entry| entry.attempts))
                .set("counts", texts_to_bson(&[]))
                .unset("applied_run"),
            ManualDecision::Repair(Repair::Applied) => {
                update.set("status", State::Applied.name()).set("applied_at", now)
            }
            ManualDecision::Stamp(Stamp::RolledBack) | ManualDecision::Repair(Repair::RolledBack) => {
                update.set("status", State::RolledBack.name()).unset("applied_at")
            }
            ManualDecision::Repair(Repair::Retry) => {
                let stopped = if state == Some(State::Running) {
                    State::Interrupted
                } else {
                    state.unwrap_or(State::Failed)
                };
                return update.set("status", stopped.name()).set("retry", true);
            }
        };
        update
            .set("finished_at", now)
            .set("warnings", texts_to_bson(self.warnings))
            .unset("error")
            .unset("error_chain")
            .unset("step")
            .unset("retry")
            .unset("confirmed")
            .unset("cursor")
    }
}

/// What the entry of an applied migration says of it, for programs that do not know it.
pub(crate) fn declared(graph: &crate::Graph, at: usize) -> Update {
    let dag = graph.dag();
    let meta = graph.get(at).meta();
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let parents: Vec<String> = dag.depends_on(at).iter().map(|&parent| dag.id(parent).to_owned()).collect();
    let phase = match meta.phase {
        crate::Phase::Expand => "expand",
        crate::Phase::Contract => "contract",
    };
    let update = Update::new()
        .set("order", i32::try_from(at).unwrap_or(i32::MAX))
        .set("depends_on", texts_to_bson(&parents))
        .set("breaks_older", meta.is_breaking())
        .set("phase", phase)
        .set("touches", texts_to_bson(&owned(meta.touches)));
    checksum::of(graph.get(at)).write(update)
}

/// The record of a lease that was taken away.
pub(crate) fn unlocked(mut record: Document, holder: &str, reason: &str) -> Document {
    record.extend(doc! { "holder": holder, "reason": reason });
    record
}
