use super::resolve::{position, required_reason};
use super::{import, lock};
use crate::journal;
use crate::ledger::{LedgerSnapshot, ManualDecision, ManualEntry};
use crate::plan::{DownGoal, down_order};
use crate::run::HeldLease;
use crate::{Error, Migrator, Repair, RepairReport, Result, Stamp, StampReport, State, UpReport};

pub(crate) async fn stamp(m: &Migrator, prefix: &str, to: Stamp, reason: &str) -> Result<StampReport> {
    let at = position(m, prefix)?;
    let from = decide(m, at, ManualDecision::Stamp(to), reason).await?;
    Ok(StampReport { id: m.id(at).into(), from, to })
}

pub(crate) async fn repair(m: &Migrator, prefix: &str, to: Repair, reason: &str) -> Result<RepairReport> {
    let at = position(m, prefix)?;
    match decide(m, at, ManualDecision::Repair(to), reason).await? {
        Some(from) => Ok(RepairReport { id: m.id(at).into(), from, to }),
        None => Err(not_stuck(m.id(at), None)),
    }
}

/// Records a decision under the lease. Returns the previous state.
async fn decide(m: &Migrator, at: usize, decision: ManualDecision, reason: &str) -> Result<Option<State>> {
    let reason = required_reason(reason)?;
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    require_allowed(m, &snapshot, at, decision)?;
    let held = lock::acquire(m).await?;
    lock::under_lease(&held, record_decision(m, &held, at, decision, reason)).await
}

/// Refuses a decision that contradicts the ledger.
pub(super) fn require_allowed(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    at: usize,
    decision: ManualDecision,
) -> Result<()> {
    let id = m.id(at);
    let state = snapshot.state(id);
    let wrong = |action, required, next: &str| {
        Err(Error::WrongState { id: id.into(), state, action, required, next: next.into() })
    };
    let is_stuck = state.is_some_and(|state| !matches!(state, State::Applied | State::RolledBack));
    match decision {
        ManualDecision::Repair(_) if !is_stuck => Err(not_stuck(id, state)),
        ManualDecision::Repair(_) => Ok(()),
        ManualDecision::Stamp(_) if is_stuck => wrong(
            "stamp it",
            "is not stuck",
            &format!("run `field-notes migrate repair {id} --as applied|rolled-back|retry --reason …`"),
        ),
        ManualDecision::Stamp(Stamp::Applied) if state == Some(State::Applied) => {
            wrong("stamp it as applied", "is not applied", "nothing to do")
        }
        ManualDecision::Stamp(Stamp::Applied) => {
            let ancestors = m.dag().ancestors(at).into_iter().filter(|&other| other != at);
            let missing: Vec<usize> = ancestors.filter(|&other| !snapshot.is_applied(m.id(other))).collect();
            if missing.is_empty() {
                return Ok(());
            }
            Err(Error::MissingDependencies { id: id.into(), missing: m.ids(&missing) })
        }
        ManualDecision::Stamp(Stamp::RolledBack) if state != Some(State::Applied) => {
            wrong("stamp it as rolled back", "is applied", "nothing to do")
        }
        ManualDecision::Stamp(Stamp::RolledBack) => {
            let mut dependents = down_order(m.plan_input(snapshot, true), &DownGoal::One(at))?;
            dependents.retain(|&other| other != at);
            if dependents.is_empty() {
                return Ok(());
            }
            Err(Error::RequiredByApplied { id: id.into(), dependents: m.ids(&dependents) })
        }
    }
}

fn not_stuck(id: &str, state: Option<State>) -> Error {
    Error::WrongState {
        id: id.into(),
        state,
        action: "repair it",
        required: "failed or was interrupted",
        next: "run `field-notes migrate status`".into(),
    }
}

/// Writes a decision to the ledger. Returns the previous state.
pub(super) async fn record_decision(
    m: &Migrator,
    held: &HeldLease,
    at: usize,
    decision: ManualDecision,
    reason: &str,
) -> Result<Option<State>> {
    let (session, snapshot) = import::begin(m, held, &mut UpReport::default()).await?;
    require_allowed(m, &snapshot, at, decision)?;
    let id = m.id(at);
    let findings = if decision.state() == Some(State::Applied) { m.check(at).await? } else { Vec::new() };
    let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if decision.state() == Some(State::RolledBack) {
        // Before the entry changes, so that a repeated request still finds the journal if this one is interrupted.
        journal::discard(&session, id).await?;
    }
    let expected = snapshot.entries.get(id);
    let entry = ManualEntry {
        session: &session,
        id,
        expected,
        graph: &m.graph,
        position: at,
        decision,
        reason,
        warnings: &warnings,
    };
    session.record(id, &entry).await?;
    Ok(expected.map(|entry| entry.state))
}
