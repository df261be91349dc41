use docstore::LeaseRequest;

use super::lock::{Always, LEASE};
use crate::Migrator;
use crate::journal;
use crate::ledger::View;
use crate::ledger::manual_entry::{Decision, Mark, declared, unlocked};
use crate::ledger::{LOCK, LOG, log_record};
use crate::migrator::AsyncWork;
use crate::plan::{DownGoal, Request};
use crate::run::HeldLease;
use crate::{Error, Repair, Repaired, Report, Result, Stamp, Stamped, State, Unlocked};

impl Migrator {
    /// Has the ledger say that a migration is applied, or that it is not, without running anything. One that is said to
    /// be applied has no journal; of one that is said not to be, the journal is dropped.
    ///
    /// # Errors
    /// [`Error::NoReason`]; [`Error::WrongState`] if it is so already, or is stuck, which is for [`Migrator::repair`];
    /// [`Error::Unmet`] if what it depends on is not applied; [`Error::Needed`] if what depends on it is.
    pub async fn stamp(&self, prefix: &str, to: Stamp, reason: &str) -> Result<Stamped> {
        let (at, reason) = (self.place(prefix)?, given(reason)?);
        let from = self.by_hand(at, Decision::Stamp(to), reason).await?;
        Ok(Stamped { id: self.graph.shape().id(at).into(), from, to })
    }

    /// Writes down what an operator decided about a migration that failed or was interrupted, on its way up or down.
    ///
    /// # Errors
    /// [`Error::NoReason`]; [`Error::WrongState`] if it is not stuck.
    pub async fn repair(&self, prefix: &str, to: Repair, reason: &str) -> Result<Repaired> {
        let (at, reason) = (self.place(prefix)?, given(reason)?);
        let id = self.graph.shape().id(at);
        match self.by_hand(at, Decision::Repair(to), reason).await? {
            Some(from) => Ok(Repaired { id: id.into(), from, to }),
            None => Err(stuck(id, None)),
        }
    }

    async fn by_hand(&self, at: usize, decision: Decision, reason: &str) -> Result<Option<State>> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        self.may_mark(&view, at, decision)?;
        let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
        self.under(held, ByHand { at, decision, reason }).await
    }

    pub(super) fn may_mark(&self, view: &View, at: usize, decision: Decision) -> Result<()> {
        let shape = self.graph.shape();
        let id = shape.id(at);
        let state = view.entries.get(id).map(|entry| entry.state);
        let is_stuck =
            matches!(state, Some(State::Running | State::Failed | State::Interrupted | State::RollingBack));
        let wrong = |what, wants, next: &str| {
            Err(Error::WrongState { id: id.into(), state, what, wants, next: next.into() })
        };
        match decision {
            Decision::Repair(_) if !is_stuck => Err(stuck(id, state)),
            Decision::Repair(_) => Ok(()),
            Decision::Stamp(_) if is_stuck => wrong(
                "stamped",
                "is applied or is not",
                &format!("run `field-notes migrate repair {id} --as applied|rolled-back|retry --reason …`"),
            ),
            Decision::Stamp(Stamp::Applied) if state == Some(State::Applied) => {
                wrong("stamped as applied", "is not applied", "there is nothing to do")
            }
            Decision::Stamp(Stamp::Applied) => {
                let applied = |id: &str| view.entries.get(id).is_some_and(|e| e.state == State::Applied);
                let needs = shape.ancestors(at).into_iter().filter(|&other| other != at);
                let missing: Vec<String> =
                    needs.map(|other| shape.id(other).to_owned()).filter(|id| !applied(id)).collect();
                if missing.is_empty() { Ok(()) } else { Err(Error::Unmet { id: id.into(), missing }) }
            }
            Decision::Stamp(Stamp::RolledBack) if state != Some(State::Applied) => {
                wrong("stamped as taken back", "is applied", "there is nothing to do")
            }
            Decision::Stamp(Stamp::RolledBack) => {
                let with_dependants = self.plan(view, &Request::Down(DownGoal::One(at)), true)?;
                let others = with_dependants.iter().map(|action| action.at()).filter(|&other| other != at);
                let dependants: Vec<String> = others.map(|other| shape.id(other).to_owned()).collect();
                if dependants.is_empty() { Ok(()) } else { Err(Error::Needed { id: id.into(), dependants }) }
            }
        }
    }

    /// Takes the lease away from a runner that is known to be gone: its lease has run out, or its process does not
    /// exist any more. That of any other runs out by itself if nobody renews it.
    ///
    /// # Errors
    /// [`Error::NoReason`]; [`Error::LockAlive`].
    pub async fn unlock(&self, reason: &str) -> Result<Unlocked> {
        let reason = given(reason)?;
        let Some(holder) = self.db.lease_holder(LOCK, LEASE).await? else { return Ok(Unlocked::Free) };
        let ran_out = holder.remaining.is_zero();
        if !ran_out && !self.runner.is_gone(&holder.owner) {
            return Err(Error::LockAlive { holder: holder.owner, remaining: holder.remaining });
        }
        // Only if it is still the same holder's: whoever took it meanwhile keeps it.
        let its = LeaseRequest {
            collection: LOCK.into(),
            name: LEASE.into(),
            owner: holder.owner.clone(),
            ttl: self.settings.lease_ttl,
        };
        self.db.engine().release_lease(&its, holder.fence).await?;
        let record = log_record(&self.runner, &self.settings, "unlocked", holder.fence);
        self.db.collection(LOG).insert_one(unlocked(record, &holder.owner, reason)).await?;
        tracing::warn!(holder = holder.owner, reason, "the migration lock of a dead runner was taken away");
        Ok(Unlocked::Released { holder: holder.owner, ran_out })
    }
}

fn stuck(id: &str, state: Option<State>) -> Error {
    Error::WrongState {
        id: id.into(),
        state,
        what: "repaired",
        wants: "failed or was interrupted",
        next: "look with `field-notes migrate status`".into(),
    }
}

pub(super) fn given(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.is_empty() { Err(Error::NoReason) } else { Ok(reason) }
}

/// Writes a decision down, under the lease.
pub(super) struct ByHand<'a> {
    pub(super) at: usize,
    pub(super) decision: Decision,
    pub(super) reason: &'a str,
}

impl AsyncWork<Option<State>> for ByHand<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<Option<State>> {
        let Self { at, decision, reason } = self;
        let session = migrator.session(held).await?;
        let mut view = migrator.view().await?;
        view.refuse_unknown()?;
        migrator.take_over(&session, &view, &mut Report::default()).await?;
        view = migrator.view().await?;
        migrator.may_mark(&view, at, decision)?;
        let id = migrator.graph.shape().id(at);
        let applied = matches!(decision, Decision::Stamp(Stamp::Applied) | Decision::Repair(Repair::Applied));
        let taken_back =
            matches!(decision, Decision::Stamp(Stamp::RolledBack) | Decision::Repair(Repair::RolledBack));
        let findings = if applied { migrator.check(at).await? } else { Vec::new() };
        let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected = view.entries.get(id);
        if taken_back {
            // First, so that a repeated request finds the rest if this one is cut short.
            journal::discard(&session, id).await?;
        }
        let declared = declared(&migrator.graph, at);
        let mark = Mark { session: &session, id, expected, declared, decision, reason, warnings: &warnings };
        session.record(id, &mark).await?;
        Ok(expected.map(|entry| entry.state))
    }
}
