use std::time::Instant;

use super::lock::Wanted;
use super::{AsyncWork, DownRequest, Migrator};
use crate::context::{Pass, UndoImported};
use crate::journal::{self, UndoOne};
use crate::lease::Held;
use crate::ledger::{Claim, Finish};
use crate::plan::{Action, Request};
use crate::session::Session;
use crate::view::View;
use crate::{DownPlan, DownReport, Error, Event, Report, Result, Source, State, Undo};

impl Migrator {
    /// What [`Migrator::down`] would take back, and what that would lose; `None` if nothing is applied. Writes
    /// nothing.
    pub async fn plan_down(&self) -> Result<Option<DownPlan>> {
        let view = self.view().await?;
        match self.target(&view)? {
            Some(at) => Ok(Some(self.losses(&view, at).await?)),
            None => Ok(None),
        }
    }

    /// Takes back exactly one: the last applied in time that no applied one depends on; before that, one whose undo
    /// was interrupted, or that was applied in part. `None` if nothing is applied.
    ///
    /// # Errors
    /// [`Error::Losses`] if data would be lost and `yes` is not said, [`Error::Irreversible`],
    /// [`Error::Dependants`], …
    pub async fn down(&self, request: DownRequest) -> Result<Option<DownReport>> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        let Some(at) = self.target(&view)? else { return Ok(None) };
        self.accept(&view, at, request).await?;
        let Some(held) = self.lock(&Always).await? else { return Ok(None) };
        self.under(held, Work(request)).await
    }

    fn target(&self, view: &View) -> Result<Option<usize>> {
        let actions = self.plan(view, Request::Down)?;
        Ok(actions.first().map(|action| match *action {
            Action::Undo(at) | Action::Apply(at) => at,
        }))
    }

    /// The plan, with its losses.
    async fn losses(&self, view: &View, at: usize) -> Result<DownPlan> {
        let id = self.graph.shape().id(at);
        let migration = self.graph.get(at);
        if let Undo::Irreversible(why) = migration.undo() {
            return Err(Error::Irreversible { id: id.into(), why: why.into() });
        }
        let entry = view.entries.get(id);
        let source = entry.map_or(Source::Native, |entry| entry.source);
        if source == Source::Native && entry.is_some_and(|entry| !entry.journalled) {
            let why = "there is no journal of it: it writes none, or it was kept for as long as it is to be";
            return Err(Error::Irreversible { id: id.into(), why: why.into() });
        }
        let losses = match source {
            Source::Native => journal::losses(&self.db, id).await?,
            Source::Imported => {
                let mode = Pass::Count(&self.db);
                let mut counting =
                    UndoImported { migration: id, settings: &self.settings, mode, losses: Vec::new() };
                migration.undo_imported(&mut counting).await?;
                counting.losses
            }
        };
        Ok(DownPlan { id: id.into(), losses, source })
    }

    async fn accept(&self, view: &View, at: usize, request: DownRequest) -> Result<()> {
        let DownPlan { id, losses, .. } = self.losses(view, at).await?;
        if losses.is_empty() || request.yes { Ok(()) } else { Err(Error::Losses { id, losses }) }
    }

    /// Finishes an undo that was interrupted, before its migration is applied anew.
    pub(super) async fn finish_undo(
        &self,
        session: &Session<'_>,
        view: &View,
        at: usize,
        report: &mut Report,
    ) -> Result<bool> {
        let confirmed = view.entries.get(self.graph.shape().id(at)).is_some_and(|entry| entry.confirmed);
        let done = self.undo(session, view, at, confirmed).await?;
        report.rolled_back.extend(done.iter().map(|report| report.id.clone()));
        Ok(done.is_some())
    }

    /// Undoes one. `None` if its entry changed since the plan was made.
    async fn undo(
        &self,
        session: &Session<'_>,
        view: &View,
        at: usize,
        confirmed: bool,
    ) -> Result<Option<DownReport>> {
        let shape = self.graph.shape();
        let id = shape.id(at);
        let expected = view.entries.get(id);
        // What was accepted when the undo began stays accepted when it is resumed.
        let confirmed = confirmed || expected.is_some_and(|entry| entry.confirmed);
        let claim = Claim {
            session,
            shape,
            position: at,
            expected,
            state: State::RollingBack,
            confirmed,
            checksums: None,
            journal: true,
        };
        let Some(entry) = session.atomically(id, &claim).await? else { return Ok(None) };
        tracing::info!(migration = id, "taking back a migration");
        session.tell(&Event::RollingBack { migration: id });

        let began = Instant::now();
        let mut done = Done { counts: entry.counts, warnings: Vec::new() };
        let outcome = match entry.source {
            Source::Native => undo_by_journal(session, id, confirmed, &mut done).await,
            Source::Imported => {
                let mode = Pass::Real { session, counts: done.counts.clone(), warnings: &[] };
                let mut undo =
                    UndoImported { migration: id, settings: &self.settings, mode, losses: Vec::new() };
                let outcome = self.graph.get(at).undo_imported(&mut undo).await;
                if let Pass::Real { counts, .. } = undo.mode {
                    done.counts = counts;
                }
                outcome
            }
        };
        let mut finish = Finish {
            session,
            id,
            state: State::RolledBack,
            event: "rolled_back",
            counts: &done.counts,
            warnings: &done.warnings,
            duration: began.elapsed(),
            error: None,
            step: None,
        };
        match outcome {
            Ok(()) => session.atomically(id, &finish).await?,
            Err(Error::LeaseLost) => return Err(Error::LeaseLost),
            Err(source) => {
                let text = source.to_string();
                finish.state = State::RollingBack;
                finish.event = "undo_failed";
                finish.error = Some(&text);
                tracing::error!(migration = id, error = text, "taking back a migration failed");
                session.tell(&Event::Failed { migration: id, error: &text });
                if let Err(error) = session.atomically(id, &finish).await {
                    tracing::error!(%error, "writing down that an undo failed did not work");
                }
                return Err(Error::UndoFailed { id: id.into(), source: Box::new(source) });
            }
        }
        let duration = finish.duration;
        tracing::info!(migration = id, duration_ms = duration.as_millis(), "a migration is taken back");
        session.tell(&Event::RolledBack { migration: id });
        Ok(Some(DownReport { id: id.into(), duration, counts: done.counts, warnings: done.warnings }))
    }
}

struct Done {
    counts: Vec<crate::StepCounts>,
    warnings: Vec<String>,
}

async fn undo_by_journal(session: &Session<'_>, id: &str, confirmed: bool, done: &mut Done) -> Result<()> {
    loop {
        let one =
            UndoOne { session, migration: id, confirmed, counts: &done.counts, warnings: &done.warnings };
        let undone = one.run().await?;
        if !undone.any {
            return Ok(());
        }
        (done.counts, done.warnings) = (undone.counts, undone.warnings);
    }
}

/// A person who says `down` wants the lease.
struct Always;

impl Wanted for Always {
    async fn still(&self, _: &Migrator) -> Result<bool> {
        Ok(true)
    }
}

struct Work(DownRequest);

impl AsyncWork<Option<DownReport>> for Work {
    async fn run(self, migrator: &Migrator, held: &Held) -> Result<Option<DownReport>> {
        let session = migrator.session(held).await?;
        let mut view = migrator.view().await?;
        view.refuse_unknown()?;
        migrator.import(&session, &view, &mut Report::default()).await?;
        view = migrator.view().await?;
        // What was read before the lease was ours may be old, and so may be what was accepted.
        let Some(at) = migrator.target(&view)? else { return Ok(None) };
        migrator.accept(&view, at, self.0).await?;
        migrator.undo(&session, &view, at, self.0.yes).await?.map(Some).ok_or(Error::LeaseLost)
    }
}
