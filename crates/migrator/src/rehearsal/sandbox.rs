use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::{DateTime, Document};
use docstore::{Database, Filter, Find, Scratch, Update};

use super::copy::{copy, fill};
use super::crash_injector::CrashInjector;
use super::fingerprint::{Fingerprint, KnownIds};
use crate::ledger::{LEDGER, is_own};
use crate::{
    DownReport, DownTarget, Error, Migrator, Observer, Repair, Result, Settings, State, UpReport, UpTarget,
};

/// Data to test migrations on.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialData {
    /// An empty database.
    Empty,
    /// These documents, by collection.
    Documents {
        /// The name of this data in reports.
        name: String,
        /// The documents.
        collections: BTreeMap<String, Vec<Document>>,
    },
    /// The content of the database, up to this number of documents of each collection, with indexes and validators.
    Sample(u64),
}

impl TrialData {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Empty => "empty".into(),
            Self::Documents { name, .. } => name.clone(),
            Self::Sample(_) => "sample".into(),
        }
    }
}

/// A scratch database with the migrations on it.
pub(super) struct Sandbox {
    scratch: Scratch,
    pub(super) migrator: Migrator,
    pub(super) crash_injector: Arc<CrashInjector>,
    /// The ids of the data before any migration.
    known: KnownIds,
}

impl Sandbox {
    /// Creates an empty sandbox. `purpose` becomes part of the database's name. `now` is the time of all attempts, so
    /// that they write the same times.
    pub(super) async fn new(
        of: &Migrator,
        purpose: &str,
        now: DateTime,
        import_from: Option<String>,
    ) -> Result<Self> {
        let scratch = of.db.scratch(purpose).await?;
        let crash_injector = Arc::new(CrashInjector::new());
        let settings = Settings {
            observer: Arc::clone(&crash_injector) as Arc<dyn Observer>,
            clock: Arc::new(move || now),
            import_from,
            wait: Duration::from_mins(1),
            ..of.settings.clone()
        };
        let migrator = of.for_database(scratch.database().clone(), settings);
        Ok(Self { scratch, migrator, crash_injector, known: KnownIds::default() })
    }

    /// Creates a sandbox with the data, and with the dependencies of a migration applied, or returns the error of a
    /// dependency that fails.
    pub(super) async fn prepare(
        of: &Migrator,
        purpose: &str,
        data: &TrialData,
        at: usize,
        now: DateTime,
    ) -> Result<Result<Self, String>> {
        let mut sandbox = Self::new(of, purpose, now, None).await?;
        match sandbox.fill(of, data, at).await {
            Ok(Ok(())) => Ok(Ok(sandbox)),
            Ok(Err(error)) => sandbox.discard().await.map(|()| Err(error)),
            Err(error) => {
                // The first error is the one to report.
                let _ = sandbox.discard().await;
                Err(error)
            }
        }
    }

    async fn fill(&mut self, of: &Migrator, data: &TrialData, at: usize) -> Result<Result<(), String>> {
        match data {
            TrialData::Empty => {}
            TrialData::Documents { collections, .. } => {
                for (name, documents) in collections {
                    fill(self.db(), name, documents.clone()).await?;
                }
            }
            TrialData::Sample(limit) => {
                for name in of.db.collection_names().await?.iter().filter(|name| !is_own(name)) {
                    copy(&of.db, self.db(), name, Some(*limit)).await?;
                }
            }
        }
        self.known = KnownIds::read(self.db()).await?;
        for &parent in of.dag().depends_on(at) {
            let id = of.id(parent);
            if let Err(error) = self.up(id).await {
                return Ok(Err(format!("{id}, which it depends on: {error}")));
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn db(&self) -> &Database {
        self.scratch.database()
    }

    pub(super) async fn discard(self) -> Result<()> {
        Ok(self.scratch.discard().await?)
    }

    pub(super) async fn fingerprint(&self) -> Result<Fingerprint> {
        Fingerprint::read(self.db(), &self.known).await
    }

    /// Applies a migration and its dependencies. If it requires an operator's decision, decides to retry.
    pub(super) async fn up(&self, id: &str) -> Result<UpReport> {
        match Box::pin(self.migrator.up(UpTarget::To(id.into()))).await {
            Err(Error::DecisionRequired { .. }) => {
                Box::pin(self.migrator.repair(id, Repair::Retry, "a trial")).await?;
                Box::pin(self.migrator.up(UpTarget::To(id.into()))).await
            }
            outcome => outcome,
        }
    }

    /// Rolls back the last migration, which must be this one.
    pub(super) async fn down(&self, id: &str) -> Result<DownReport> {
        let mut reports = Box::pin(self.migrator.down(DownTarget::Last.confirmed())).await?;
        match reports.pop() {
            Some(report) if report.id == id => Ok(report),
            Some(report) => Err(Error::migration(format!("{} was rolled back instead", report.id))),
            None => Err(Error::migration("nothing was rolled back")),
        }
    }

    /// Crashes an `up` at this boundary, and resumes it.
    pub(super) async fn up_with_crash(&self, id: &str, boundary: usize) -> Result<()> {
        self.crash(boundary, self.up(id)).await?;
        self.up(id).await.map(drop)
    }

    /// Crashes a `down` at this boundary, and resumes it.
    pub(super) async fn down_with_crash(&self, id: &str, boundary: usize) -> Result<()> {
        self.crash(boundary, self.down(id)).await?;
        let entry = self.db().collection(LEDGER).find_one(Find::new(Filter::id(id))).await?;
        let state = entry.and_then(|entry| entry.get_str("status").ok().map(str::to_owned));
        if state.is_none_or(|state| state == State::RolledBack.name()) {
            return Ok(());
        }
        self.down(id).await.map(drop)
    }

    async fn crash<T>(&self, boundary: usize, run: impl Future<Output = Result<T>>) -> Result<()> {
        self.crash_injector.set(Some(boundary));
        let outcome = CrashInjector::catch(run).await;
        self.crash_injector.set(None);
        outcome.transpose().map(drop)
    }

    /// Changes the ledger as if the run of a migration had been interrupted at its very end, so that it runs again on its
    /// own result.
    pub(super) async fn forget_completion(&self, id: &str) -> Result<()> {
        let update = Update::new().set("status", State::Running.name()).unset("applied_at").unset("cursor");
        self.db().collection(LEDGER).update_one(&Filter::id(id), &update).await?;
        Ok(())
    }
}
