use std::sync::Arc;
use std::time::Duration;

use bson::DateTime;
use docstore::{Database, Filter, Find, Scratch, Update};

use super::crash_injector::{CrashInjector, catch};
use super::fingerprint::{Fingerprint, KnownIds};
use crate::ledger::LEDGER;
use crate::{
    DownReport, DownRequest, Error, Migrator, Observer, Repair, Result, Settings, State, Stop, UpReport,
    UpRequest,
};

/// A scratch database with the migrations on it.
pub(super) struct Sandbox {
    scratch: Scratch,
    pub(super) migrator: Migrator,
    pub(super) crash_injector: Arc<CrashInjector>,
    /// The ids of the data, before any migration.
    known: KnownIds,
}

impl Sandbox {
    /// An empty one. `purpose` is a word for the name of the database; `now` the time of all attempts, so that what they
    /// write down of it is the same.
    pub(super) async fn new(of: &Migrator, purpose: &str, now: DateTime) -> Result<Self> {
        let scratch = of.db().scratch(purpose).await?;
        let crash_injector = Arc::new(CrashInjector::default());
        let settings = Settings {
            observer: Arc::clone(&crash_injector) as Arc<dyn Observer>,
            clock: Arc::new(move || now),
            import_from: None,
            wait: Duration::from_mins(1),
            ..of.settings().clone()
        };
        let migrator = of.elsewhere(scratch.database().clone(), settings);
        Ok(Self { scratch, migrator, crash_injector, known: KnownIds::default() })
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
        self.known = KnownIds::read(self.db()).await?;
        Ok(())
    }

    pub(super) async fn look(&self) -> Result<Fingerprint> {
        Fingerprint::read(self.db(), &self.known).await
    }

    /// Applies one, and what it depends on; one that wants a decision gets it.
    pub(super) async fn up(&self, id: &str) -> Result<UpReport> {
        match self.migrator.up(UpRequest::to(id)).await {
            Err(Error::DecisionRequired { .. }) => {
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
        self.crash_injector.set(Some(place));
        if let Some(outcome) = catch(self.up(id)).await {
            outcome?;
        }
        self.crash_injector.set(None);
        self.up(id).await.map(|_| ())
    }

    /// Crashes at this place of a `down`, and goes on.
    pub(super) async fn down_with_crash(&self, id: &str, place: usize) -> Result<()> {
        self.crash_injector.set(Some(place));
        if let Some(outcome) = catch(self.down(id)).await {
            outcome?;
        }
        self.crash_injector.set(None);
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
