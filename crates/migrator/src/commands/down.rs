use super::lock::Always;
use crate::Migrator;
use crate::journal;
use crate::ledger::LedgerSnapshot;
use crate::migrator::AsyncWork;
use crate::plan::{Action, DownGoal, PlanRequest, is_of_run};
use crate::run::HeldLease;
use crate::run::RunSession;
use crate::run::{ImportedUndoPass, UndoImported};
use crate::{DownPlan, DownReport, DownRequest, DownTarget, Error, Result, Source, Undo, UpReport};

impl Migrator {
    /// What [`Migrator::down`] would take back, in order, and what that would lose; nothing if nothing is applied.
    /// Writes nothing.
    pub async fn plan_down(&self, request: impl Into<DownRequest>) -> Result<Vec<DownPlan>> {
        let request = request.into();
        let view = self.view().await?;
        let goal = self.down_request(&view, &request.target)?;
        self.planned_down(&view, &goal).await
    }

    /// Takes back as much as is asked for, one after the other, in the order of [`Migrator::plan_down`]. Each of them
    /// is either taken back or not touched, also when a later one is refused or fails.
    ///
    /// # Errors
    /// [`Error::DataLoss`] if data would be lost, [`Error::ConfirmationRequired`] if it is everything, or more than what was named,
    /// and `yes` is not said; [`Error::Irreversible`], [`Error::UnknownDependents`], [`Error::UndoFailed`], …
    pub async fn down(&self, request: impl Into<DownRequest>) -> Result<Vec<DownReport>> {
        let request = request.into();
        let view = self.view().await?;
        view.refuse_unknown()?;
        let goal = self.down_request(&view, &request.target)?;
        if self.accepted(&view, &goal, &request).await?.is_empty() {
            return Ok(Vec::new());
        }
        let Some(held) = self.lock(&Always).await? else { return Ok(Vec::new()) };
        self.under(held, Work(&request)).await
    }

    /// What would be taken back, if that is accepted.
    async fn accepted(
        &self,
        view: &LedgerSnapshot,
        goal: &PlanRequest,
        request: &DownRequest,
    ) -> Result<Vec<usize>> {
        let chosen: Vec<usize> = self.plan(view, goal, true)?.into_iter().map(Action::at).collect();
        self.reversible(view, &chosen)?;
        let beyond = self.beyond(view, goal, &chosen);
        let Some(&first) = chosen.first() else { return Ok(chosen) };
        if request.confirmed {
            return Ok(chosen);
        }
        if request.target == DownTarget::All || !beyond.is_empty() {
            let names = |list: &[usize]| list.iter().map(|&at| self.graph.dag().id(at).to_owned()).collect();
            return Err(Error::ConfirmationRequired { ids: names(&chosen), beyond: names(&beyond) });
        }
        // What the others lose is known when it is their turn.
        self.accept(view, first, &[]).await?;
        Ok(chosen)
    }

    /// Refuses what cannot be taken back at all, before anything is.
    pub(super) fn reversible(&self, view: &LedgerSnapshot, chosen: &[usize]) -> Result<()> {
        for &at in chosen {
            let id = self.graph.dag().id(at);
            let entry = view.entries.get(id);
            let why = match self.graph.get(at).undo() {
                Undo::Irreversible(why) => why,
                Undo::Journal if entry.is_some_and(|e| e.source == Source::Native && !e.journalled) => {
                    "there is no journal of it: it writes none, or it was kept for as long as it is to be"
                }
                Undo::Journal | Undo::Code => continue,
            };
            return Err(Error::Irreversible { id: id.into(), why: why.into() });
        }
        Ok(())
    }

    /// Which of these were not asked for, and depend on what was.
    fn beyond(&self, view: &LedgerSnapshot, goal: &PlanRequest, chosen: &[usize]) -> Vec<usize> {
        let asked = |at: usize| match goal {
            PlanRequest::Down(DownGoal::Run(run)) => is_of_run(self.situation(view, true), at, run),
            PlanRequest::Down(DownGoal::One(one)) => at == *one,
            _ => true,
        };
        chosen.iter().copied().filter(|&at| !asked(at)).collect()
    }

    pub(super) async fn planned_down(
        &self,
        view: &LedgerSnapshot,
        goal: &PlanRequest,
    ) -> Result<Vec<DownPlan>> {
        let chosen: Vec<usize> = self.plan(view, goal, true)?.into_iter().map(Action::at).collect();
        self.reversible(view, &chosen)?;
        let beyond = self.beyond(view, goal, &chosen);
        let mut plans = Vec::with_capacity(chosen.len());
        for (nth, &at) in chosen.iter().enumerate() {
            let meta = self.graph.get(at).meta();
            plans.push(DownPlan {
                id: meta.id.into(),
                summary: meta.summary.into(),
                losses: self.losses(view, at).await?,
                certain: nth == 0,
                requested: !beyond.contains(&at),
                undo: self.graph.get(at).undo(),
                source: self.source(view, at),
            });
        }
        Ok(plans)
    }

    fn source(&self, view: &LedgerSnapshot, at: usize) -> Source {
        view.entries.get(self.graph.dag().id(at)).map_or(Source::Native, |entry| entry.source)
    }

    /// What taking it back would lose, as things are now.
    async fn losses(&self, view: &LedgerSnapshot, at: usize) -> Result<Vec<String>> {
        let id = self.graph.dag().id(at);
        let migration = self.graph.get(at);
        match (migration.undo(), self.source(view, at)) {
            (Undo::Irreversible(why), _) => Err(Error::Irreversible { id: id.into(), why: why.into() }),
            // What code loses only it knows.
            (Undo::Code, _) => Ok(Vec::new()),
            (Undo::Journal, Source::Native) => journal::losses(&self.db, id).await,
            (Undo::Journal, Source::Imported | Source::Stamped) => {
                let mode = ImportedUndoPass::Count(&self.db);
                let mut counting =
                    UndoImported { migration: id, settings: &self.settings, mode, losses: Vec::new() };
                migration.undo_imported(&mut counting).await?;
                Ok(counting.losses)
            }
        }
    }

    async fn accept(&self, view: &LedgerSnapshot, at: usize, rolled_back: &[DownReport]) -> Result<()> {
        let losses = self.losses(view, at).await?;
        if losses.is_empty() {
            return Ok(());
        }
        let rolled_back = rolled_back.iter().map(|report| report.id.clone()).collect();
        Err(Error::DataLoss { id: self.graph.dag().id(at).into(), losses, rolled_back })
    }

    /// Takes these back, in this order.
    pub(super) async fn take_back(
        &self,
        session: &RunSession<'_>,
        chosen: &[usize],
        yes: bool,
    ) -> Result<Vec<DownReport>> {
        let mut done = Vec::new();
        for &at in chosen {
            let view = self.view().await?;
            if !yes {
                self.accept(&view, at, &done).await?;
            }
            done.push(self.undo(session, &view, at, yes).await?.ok_or(Error::LeaseLost)?);
        }
        Ok(done)
    }
}

struct Work<'a>(&'a DownRequest);

impl AsyncWork<Vec<DownReport>> for Work<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<Vec<DownReport>> {
        let session = migrator.session(held).await?;
        let mut view = migrator.view().await?;
        view.refuse_unknown()?;
        migrator.take_over(&session, &view, &mut UpReport::default()).await?;
        view = migrator.view().await?;
        // What was read before the lease was ours may be old, and so may be what was accepted.
        let goal = migrator.down_request(&view, &self.0.target)?;
        let chosen = migrator.accepted(&view, &goal, self.0).await?;
        migrator.take_back(&session, &chosen, self.0.confirmed).await
    }
}
