use std::sync::Arc;
use std::time::Duration;

use bson::DateTime;
use docstore::{Database, Filter, Find, Scratch, Update};

use super::crash_injector::{Crasher, survive};
use super::fingerprint::{Fingerprint, Known};
use crate::ledger::LEDGER;
use crate::{
    DownReport, DownRequest, Error, Migrator, Observer, Repair, Report, Result, Settings, State, Stop,
    UpRequest,
};

/// A scratch database with the migrations on it.
pub(super) struct Ground {
    scratch: Scratch,
    pub(super) migrator: Migrator,
    pub(super) crasher: Arc<Crasher>,
    /// The ids of the data, before any migration.
    known: Known,
}

impl Ground {
    /// An empty one. `purpose` is a word for the name of the database; `now` the time of all attempts, so that what they
    /// write down of it is the same.
    pub(super) async fn new(of: &Migrator, purpose: &str, now: DateTime) -> Result<Self> {
        let scratch = of.db().scratch(purpose).await?;
        let crasher = Arc::new(Crasher::default());
        let settings = Settings {
            observer: Arc::clone(&crasher) as Arc<dyn Observer>,
            clock: Arc::new(move || now),
            import_from: None,
            wait: Duration::from_mins(1),
            ..of.settings().clone()
        };
        let migrator = of.elsewhere(scratch.database().clone(), settings);
        Ok(Self { scratch, migrator, crasher, known: Known::default() })
    }

    pub(super) fn db(&self) -> &Database {
        self.scratch.database()
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.migrator.settings().stop
    }

    pub(super) async fn discard(self) -> Result<()> {
        Ok(self.scratch.discard().await?)
    }

    /// What is there now is the data; what comes later is made by migrations.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.known = Known::of(self.db()).await?;
        Ok(())
    }

    pub(super) async fn look(&self) -> Result<Fingerprint> {
        Fingerprint::of(self.db(), &self.known).await
    }

    /// Applies one, and what it depends on; one that wants a decision gets it.
    pub(super) async fn up(&self, id: &str) -> Result<Report> {
        match self.migrator.up(UpRequest::to(id)).await {
            Err(Error::Undecided { .. }) => {
                self.migrator.repair(id, Repair::Retry, "a trial").await?;
                self.migrator.up(UpRequest::to(id)).await
            }
            outcome => outcome,
        }
    }

    /// Takes back the last one, which has to be this one.
    pub(super) async fn down(&self, id: &str) -> Result<DownReport> {
        let mut reports = self.migrator.down(DownRequest::last().confirmed()).await?;
        match reports.pop() {
            Some(report) if report.id == id => Ok(report),
            Some(report) => Err(Error::migration(format!("{} was taken back instead", report.id))),
            None => Err(Error::migration("nothing was taken back")),
        }
    }

    /// Crashes at this place of an `up`, and goes on as whoever comes next does.
    pub(super) async fn up_with_crash(&self, id: &str, place: usize) -> Result<()> {
        self.crasher.set(Some(place));
        if let Some(outcome) = survive(self.up(id)).await {
            outcome?;
        }
        self.crasher.set(None);
        self.up(id).await.map(|_| ())
    }

    /// Crashes at this place of a `down`, and goes on.
    pub(super) async fn down_with_crash(&self, id: &str, place: usize) -> Result<()> {
        self.crasher.set(Some(place));
        if let Some(outcome) = survive(self.down(id)).await {
            outcome?;
        }
        self.crasher.set(None);
        let entry = self.db().collection(LEDGER).find_one(Find::new(Filter::id(id))).await?;
        let state = entry.and_then(|entry| entry.get_str("status").ok().map(str::to_owned));
        if state.is_none_or(|state| state == State::RolledBack.name()) {
            return Ok(());
        }
        self.down(id).await.map(|_| ())
    }

    /// Has the ledger say that the run of one was cut short at its very end, so that it is run again on its own result.
    pub(super) async fn forget_the_end(&self, id: &str) -> Result<()> {
        let update = Update::new().set("status", State::Running.name()).unset("applied_at").unset("cursor");
        self.db().collection(LEDGER).update_one(&Filter::id(id), &update).await?;
        Ok(())
    }
}
