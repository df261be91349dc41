use super::resolve::{position, require_applied, run_with_prefix};
use super::rollback::{losses, require_reversible, roll_back_all};
use super::{import, lock};
use crate::ledger::LedgerSnapshot;
use crate::plan::{DownGoal, down_order, is_of_run};
use crate::{DownPlan, DownReport, DownRequest, DownTarget, Error, Migrator, Result, Source, UpReport};

pub(crate) async fn plan_down(m: &Migrator, request: &DownRequest) -> Result<Vec<DownPlan>> {
    let snapshot = m.snapshot().await?;
    let goal = down_goal(m, &snapshot, &request.target)?;
    let chosen = chosen(m, &snapshot, &goal)?;
    let extra = dependents_beyond(m, &snapshot, &goal, &chosen);
    let mut plans = Vec::with_capacity(chosen.len());
    for (nth, &at) in chosen.iter().enumerate() {
        let meta = m.graph.get(at).meta();
        plans.push(DownPlan {
            id: meta.id.into(),
            summary: meta.summary.into(),
            losses: losses(m, &snapshot, at).await?,
            certain: nth == 0,
            requested: !extra.contains(&at),
            undo: m.graph.get(at).undo(),
            source: snapshot.entries.get(meta.id).map_or(Source::Native, |entry| entry.source),
        });
    }
    Ok(plans)
}

pub(crate) async fn down(m: &Migrator, request: &DownRequest) -> Result<Vec<DownReport>> {
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    if confirmed(m, &snapshot, request).await?.is_empty() {
        return Ok(Vec::new());
    }
    let held = lock::acquire(m).await?;
    let work = async {
        let (session, snapshot) = import::begin(m, &held, &mut UpReport::default()).await?;
        // What was confirmed may have changed before the lease was acquired.
        let chosen = confirmed(m, &snapshot, request).await?;
        roll_back_all(m, &session, &chosen, request.confirmed).await
    };
    lock::under_lease(&held, work).await
}

fn down_goal(m: &Migrator, snapshot: &LedgerSnapshot, target: &DownTarget) -> Result<DownGoal> {
    Ok(match target {
        DownTarget::Last => DownGoal::Steps(1),
        DownTarget::Steps(n) => DownGoal::Steps(*n),
        DownTarget::All => DownGoal::All,
        DownTarget::Run(run) => DownGoal::Run(run_with_prefix(snapshot, run)?),
        DownTarget::One(id) => {
            let at = position(m, id)?;
            require_applied(m, snapshot, at, "roll it back")?;
            DownGoal::One(at)
        }
        DownTarget::To(id) => {
            let at = position(m, id)?;
            require_applied(m, snapshot, at, "roll back to it")?;
            DownGoal::To(at)
        }
    })
}

/// Returns the migrations that reaching a goal rolls back, in order, if all of them can be.
pub(super) fn chosen(m: &Migrator, snapshot: &LedgerSnapshot, goal: &DownGoal) -> Result<Vec<usize>> {
    let chosen = down_order(m.plan_input(snapshot, true), goal)?;
    require_reversible(m, snapshot, &chosen)?;
    Ok(chosen)
}

/// Returns what would be rolled back, if that is confirmed or needs no confirmation.
async fn confirmed(m: &Migrator, snapshot: &LedgerSnapshot, request: &DownRequest) -> Result<Vec<usize>> {
    let goal = down_goal(m, snapshot, &request.target)?;
    let chosen = chosen(m, snapshot, &goal)?;
    let Some(&first) = chosen.first() else { return Ok(chosen) };
    if request.confirmed {
        return Ok(chosen);
    }
    let beyond = dependents_beyond(m, snapshot, &goal, &chosen);
    if request.target == DownTarget::All || !beyond.is_empty() {
        return Err(Error::ConfirmationRequired { ids: m.ids(&chosen), beyond: m.ids(&beyond) });
    }
    // The losses of the others are only known once it is their turn.
    super::rollback::refuse_losses(m, snapshot, first, &[]).await?;
    Ok(chosen)
}

/// Returns the migrations that were not named by the request and depend on one that was.
fn dependents_beyond(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    goal: &DownGoal,
    chosen: &[usize],
) -> Vec<usize> {
    let input = m.plan_input(snapshot, true);
    let is_named = |at: usize| match goal {
        DownGoal::Run(run) => is_of_run(input, at, run),
        DownGoal::One(one) => at == *one,
        _ => true,
    };
    chosen.iter().copied().filter(|&at| !is_named(at)).collect()
}
