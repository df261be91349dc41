use std::time::Instant;

use tracing::Instrument;

use super::lock::Wanted;
use super::{AsyncWork, Migrator, UpMode};
use crate::context::{Attempt, CarriedOut, carry_out, refuse_mode};
use crate::journal;
use crate::lease::Held;
use crate::ledger::{Claim, Finish, Import};
use crate::plan::{Action, Request};
use crate::session::Session;
use crate::view::View;
use crate::{Applied, Error, Event, Imported, MissingEnv, Report, Result, State};

/// How often a plan is made anew because the ledger changed under it.
const REPLANS: u32 = 10;

impl Migrator {
    /// Applies all that is pending, after taking over what an earlier tool applied. If another runner is at it, waits
    /// for it and then does what is left. With nothing to do it costs two reads at the most.
    ///
    /// # Errors
    /// [`Error::Failed`] if a migration fails now, [`Error::NeedsRepair`] if one failed earlier (`Start` only),
    /// [`Error::MissingEnv`] before anything is written, [`Error::Locked`] when the wait was in vain, …
    pub async fn up(&self, mode: UpMode) -> Result<Report> {
        let view = self.view().await?;
        if let Some(report) = self.nothing_to_do(&view, mode)? {
            return Ok(report);
        }
        let Some(held) = self.lock(&Pending(mode)).await? else {
            let view = self.view().await?;
            return Ok(self.report(&view));
        };
        self.under(held, Work(mode)).await
    }

    /// The report if there is nothing to do; an error if what there is cannot be done.
    pub(super) fn nothing_to_do(&self, view: &View, mode: UpMode) -> Result<Option<Report>> {
        view.refuse_unknown()?;
        let actions = self.plan(view, Request::Up(mode))?;
        let report = self.report(view);
        if !report.unknown.is_empty() {
            tracing::warn!(
                unknown = report.unknown.join(", "),
                "the database has migrations that this program does not know; it may be older than the database"
            );
        }
        if actions.is_empty() && !view.has_imports() {
            return Ok(Some(report));
        }
        // What is taken over is checked, and that reads variables too.
        let mut reading: Vec<usize> =
            view.imports.iter().filter_map(|(name, _)| self.graph.ids().position(|id| id == name)).collect();
        for action in &actions {
            match *action {
                Action::Apply(at) if !reading.contains(&at) => reading.push(at),
                Action::Apply(_) | Action::Undo(_) => {}
            }
        }
        reading.sort_unstable();
        let mut missing = Vec::new();
        for at in reading {
            let meta = self.graph.get(at).meta();
            for variable in meta.requires_env {
                if self.settings.variable(variable).is_none() {
                    let missed = MissingEnv { variable: (*variable).into(), migration: meta.id.into() };
                    missing.push(missed);
                }
            }
        }
        if missing.is_empty() { Ok(None) } else { Err(Error::MissingEnv(missing)) }
    }

    fn report(&self, view: &View) -> Report {
        let shape = self.graph.shape();
        Report { already: view.applied(shape), unknown: view.unknown(shape), ..Report::default() }
    }
}

/// Whether anything is pending.
struct Pending(UpMode);

impl Wanted for Pending {
    async fn still(&self, migrator: &Migrator) -> Result<bool> {
        let view = migrator.view().await?;
        Ok(migrator.nothing_to_do(&view, self.0)?.is_none())
    }
}

struct Work(UpMode);

impl AsyncWork<Report> for Work {
    async fn run(self, migrator: &Migrator, held: &Held) -> Result<Report> {
        let session = migrator.session(held).await?;
        // What was read before the lease was ours may be old.
        let mut view = migrator.view().await?;
        if let Some(report) = migrator.nothing_to_do(&view, self.0)? {
            return Ok(report);
        }
        let mut report = migrator.report(&view);
        for action in migrator.plan(&view, Request::Up(self.0))? {
            if let Action::Apply(at) = action {
                refuse_mode(migrator.graph.get(at).meta(), session.transactions, &migrator.settings)?;
            }
        }
        migrator.import(&session, &view, &mut report).await?;
        let mut replans = 0;
        loop {
            view = migrator.view().await?;
            let actions = migrator.plan(&view, Request::Up(self.0))?;
            let Some(&action) = actions.first() else {
                for id in journal::forgettable(&view.entries, &migrator.settings, session.now()) {
                    journal::forget(&session, &id).await?;
                }
                return Ok(report);
            };
            let done = match action {
                Action::Undo(at) => migrator.finish_undo(&session, &view, at, &mut report).await?,
                Action::Apply(at) => {
                    let span = tracing::info_span!("migration", id = migrator.graph.shape().id(at));
                    migrator.apply(&session, &view, at, &mut report).instrument(span).await?
                }
            };
            if !done {
                replans += 1;
                if replans > REPLANS {
                    return Err(Error::LeaseLost);
                }
            }
        }
    }
}

impl Migrator {
    /// Takes over what an earlier tool applied.
    pub(super) async fn import(&self, session: &Session<'_>, view: &View, report: &mut Report) -> Result<()> {
        let Some(from) = &self.settings.import_from else { return Ok(()) };
        for (name, foreign) in &view.imports {
            let order = self.graph.ids().position(|id| id == name);
            let findings = match order {
                Some(at) if foreign.applied.is_some() => self.check(at).await?,
                _ => Vec::new(),
            };
            let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
            session
                .atomically(name, &Import { session, from, name, foreign, order, warnings: &warnings })
                .await?;
            let Some(applied_at) = foreign.applied else { continue };
            tracing::info!(migration = name, %applied_at, findings = warnings.len(), "took over an applied migration");
            session.tell(&Event::Imported { migration: name, applied_at });
            report.findings.extend(findings.into_iter().map(|finding| (name.clone(), finding)));
            report.imported.push(Imported { id: name.clone(), applied_at, warnings });
        }
        Ok(())
    }

    /// Applies one. `false` if its entry changed since the plan was made.
    async fn apply(
        &self,
        session: &Session<'_>,
        view: &View,
        at: usize,
        report: &mut Report,
    ) -> Result<bool> {
        let shape = self.graph.shape();
        let id = shape.id(at);
        let migration = self.graph.get(at);
        let meta = migration.meta();
        let expected = view.entries.get(id);
        let checksums = crate::checksum::of(self.graph.get(at));
        let claim = Claim {
            session,
            shape,
            position: at,
            expected,
            state: State::Running,
            confirmed: false,
            checksums: Some(&checksums),
            journal: meta.journal,
        };
        let Some(entry) = session.atomically(id, &claim).await? else { return Ok(false) };
        tracing::info!(attempt = entry.attempts, "a migration begins");
        session.tell(&Event::Started { migration: id, attempt: entry.attempts });

        let began = Instant::now();
        let mut attempt = Attempt::new(meta, entry.counts, entry.progress, session.now());
        let outcome = carry_out(session, migration, &mut attempt, began).await;
        let CarriedOut { findings, warnings } = match outcome {
            Ok(done) => done,
            // Whoever holds the lease now writes the ledger.
            Err(Error::LeaseLost) => return Err(Error::LeaseLost),
            Err(source) => {
                let text = source.to_string();
                let finish = Finish {
                    session,
                    id,
                    state: State::Failed,
                    event: "failed",
                    counts: &attempt.counts,
                    warnings: &attempt.warnings,
                    duration: began.elapsed(),
                    error: Some(&text),
                    step: attempt.step.as_deref(),
                };
                tracing::error!(error = text, step = finish.step, "a migration failed");
                session.tell(&Event::Failed { migration: id, error: &text });
                if let Err(error) = session.atomically(id, &finish).await {
                    tracing::error!(%error, "writing down that a migration failed did not work");
                }
                let (step, counts) = (attempt.step.clone(), attempt.counts.clone());
                return Err(Error::Failed { id: id.into(), step, counts, source: Box::new(source) });
            }
        };
        let duration = began.elapsed();
        tracing::info!(
            duration_ms = duration.as_millis(),
            warnings = warnings.len(),
            "a migration is applied"
        );
        session.tell(&Event::Applied { migration: id, duration });
        report.findings.extend(findings.into_iter().map(|finding| (id.to_owned(), finding)));
        report.applied.push(Applied { id: id.into(), duration, counts: attempt.counts, warnings });
        Ok(true)
    }
}
