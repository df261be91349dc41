use docstore::LeaseRequest;

use super::lock::{Always, LEASE};
use crate::Migrator;
use crate::journal;
use crate::ledger::LedgerSnapshot;
use crate::ledger::manual_entry::{ManualDecision, ManualEntry, declared, unlocked};
use crate::ledger::{LOCK, LOG, log_record};
use crate::migrator::AsyncWork;
use crate::plan::{DownGoal, PlanRequest};
use crate::run::HeldLease;
use crate::{Error, Repair, RepairReport, Result, Stamp, StampReport, State, UnlockOutcome, UpReport};

impl Migrator {
    /// Has the ledger say that a migration is applied, or that it is not, without running anything. One that is said to
    /// be applied has no journal; of one that is said not to be, the journal is dropped.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if it is so already, or is stuck, which is for [`Migrator::repair`];
    /// [`Error::MissingDependencies`] if what it depends on is not applied; [`Error::RequiredByApplied`] if what depends on it is.
    pub async fn stamp(&self, prefix: &str, to: Stamp, reason: &str) -> Result<StampReport> {
        let (at, reason) = (self.place(prefix)?, given(reason)?);
        let from = self.by_hand(at, ManualDecision::Stamp(to), reason).await?;
        Ok(StampReport { id: self.graph.dag().id(at).into(), from, to })
    }

    /// Writes down what an operator decided about a migration that failed or was interrupted, on its way up or down.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if it is not stuck.
    pub async fn repair(&self, prefix: &str, to: Repair, reason: &str) -> Result<RepairReport> {
        let (at, reason) = (self.place(prefix)?, given(reason)?);
        let id = self.graph.dag().id(at);
        match self.by_hand(at, ManualDecision::Repair(to), reason).await? {
            Some(from) => Ok(RepairReport { id: id.into(), from, to }),
            None => Err(stuck(id, None)),
        }
    }

    async fn by_hand(&self, at: usize, decision: ManualDecision, reason: &str) -> Result<Option<State>> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        self.may_mark(&view, at, decision)?;
        let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
        self.under(held, ByHand { at, decision, reason }).await
    }

    pub(super) fn may_mark(&self, view: &LedgerSnapshot, at: usize, decision: ManualDecision) -> Result<()> {
        let dag = self.graph.dag();
        let id = dag.id(at);
        let state = view.entries.get(id).map(|entry| entry.state);
        let is_stuck =
            matches!(state, Some(State::Running | State::Failed | State::Interrupted | State::RollingBack));
        let wrong = |what, wants, next: &str| {
            Err(Error::WrongState { id: id.into(), state, what, wants, next: next.into() })
        };
        match decision {
            ManualDecision::Repair(_) if !is_stuck => Err(stuck(id, state)),
            ManualDecision::Repair(_) => Ok(()),
            ManualDecision::Stamp(_) if is_stuck => wrong(
                "stamped",
                "is applied or is not",
                &format!("run `field-notes migrate repair {id} --as applied|rolled-back|retry --reason …`"),
            ),
            ManualDecision::Stamp(Stamp::Applied) if state == Some(State::Applied) => {
                wrong("stamped as applied", "is not applied", "there is nothing to do")
            }
            ManualDecision::Stamp(Stamp::Applied) => {
                let applied = |id: &str| view.entries.get(id).is_some_and(|e| e.state == State::Applied);
                let needs = dag.ancestors(at).into_iter().filter(|&other| other != at);
                let missing: Vec<String> =
                    needs.map(|other| dag.id(other).to_owned()).filter(|id| !applied(id)).collect();
                if missing.is_empty() {
                    Ok(())
                } else {
                    Err(Error::MissingDependencies { id: id.into(), missing })
                }
            }
            ManualDecision::Stamp(Stamp::RolledBack) if state != Some(State::Applied) => {
                wrong("stamped as taken back", "is applied", "there is nothing to do")
            }
            ManualDecision::Stamp(Stamp::RolledBack) => {
                let with_dependants = self.plan(view, &PlanRequest::Down(DownGoal::One(at)), true)?;
                let others = with_dependants.iter().map(|action| action.at()).filter(|&other| other != at);
                let dependents: Vec<String> = others.map(|other| dag.id(other).to_owned()).collect();
                if dependents.is_empty() {
                    Ok(())
                } else {
                    Err(Error::RequiredByApplied { id: id.into(), dependents })
                }
            }
        }
    }

    /// Takes the lease away from a runner that is known to be gone: its lease has run out, or its process does not
    /// exist any more. That of any other runs out by itself if nobody renews it.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::LockHeld`].
    pub async fn unlock(&self, reason: &str) -> Result<UnlockOutcome> {
        let reason = given(reason)?;
        let Some(holder) = self.db.lease_holder(LOCK, LEASE).await? else { return Ok(UnlockOutcome::Free) };
        let ran_out = holder.remaining.is_zero();
        if !ran_out && !self.runner.is_gone(&holder.owner) {
            return Err(Error::LockHeld { holder: holder.owner, remaining: holder.remaining });
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
        Ok(UnlockOutcome::Released { holder: holder.owner, ran_out })
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
    if reason.is_empty() { Err(Error::ReasonRequired) } else { Ok(reason) }
}

/// Writes a decision down, under the lease.
pub(super) struct ByHand<'a> {
    pub(super) at: usize,
    pub(super) decision: ManualDecision,
    pub(super) reason: &'a str,
}

impl AsyncWork<Option<State>> for ByHand<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<Option<State>> {
        let Self { at, decision, reason } = self;
        let session = migrator.session(held).await?;
        let mut view = migrator.view().await?;
        view.refuse_unknown()?;
        migrator.take_over(&session, &view, &mut UpReport::default()).await?;
        view = migrator.view().await?;
        migrator.may_mark(&view, at, decision)?;
        let id = migrator.graph.dag().id(at);
        let applied = matches!(
            decision,
            ManualDecision::Stamp(Stamp::Applied) | ManualDecision::Repair(Repair::Applied)
        );
        let rolled_back = matches!(
            decision,
            ManualDecision::Stamp(Stamp::RolledBack) | ManualDecision::Repair(Repair::RolledBack)
        );
        let findings = if applied { migrator.check(at).await? } else { Vec::new() };
        let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected = view.entries.get(id);
        if rolled_back {
            // First, so that a repeated request finds the rest if this one is cut short.
            journal::discard(&session, id).await?;
        }
        let declared = declared(&migrator.graph, at);
        let mark =
            ManualEntry { session: &session, id, expected, declared, decision, reason, warnings: &warnings };
        session.record(id, &mark).await?;
        Ok(expected.map(|entry| entry.state))
    }
}
