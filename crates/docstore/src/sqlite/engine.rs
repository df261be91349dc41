//! The port, answered by the writer and the readers.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};

use crate::engine::{Engine, EngineTransaction, Executor, Operation, Output};
use crate::sqlite::Settings;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::changes as feed;
use crate::sqlite::check;
use crate::sqlite::faults::{Condition, FileIdentities, closed, failed};
use crate::sqlite::lease::{self, Locks};
use crate::sqlite::log::{Owner, Presence};
use crate::sqlite::open::{self, Durability, FileAccess};
use crate::sqlite::query::read::{PlannedRead, Readers};
use crate::sqlite::query::scan;
use crate::sqlite::write::ddl;
use crate::sqlite::write::operations as write;
use crate::sqlite::write::session::Session;
use crate::sqlite::write::writer::{self, Job, Transaction, Writer, task};
use crate::{
    Change, ChangeFeed, EngineKind, Error, Find, Index, LeaseHolder, LeaseRequest, Plan, Problem, Result,
    ServerFacts, Topology,
};

/// Number of changes that a feed may lag behind before it loses some.
const BEHIND: usize = 1024;

/// A store in one SQLite file.
pub(crate) struct SqliteEngine {
    pub(crate) path: PathBuf,
    /// Opened for reading only.
    read_only: bool,
    jobs: Sender<Job>,
    pub(crate) readers: Arc<Readers>,
    files: Arc<FileIdentities>,
    condition: Arc<Condition>,
    locks: Arc<Locks>,
    /// Taken when the store is closed, so that feeds end.
    events: Mutex<Option<broadcast::Sender<Change>>>,
}

impl SqliteEngine {
    /// Opens the file. Blocks.
    pub(crate) fn open(path: &Path, settings: &Settings, durability: Durability) -> Result<Self> {
        let path =
            std::path::absolute(path).map_err(|e| Error::Unavailable(format!("{}: {e}", path.display())))?;
        let Settings { transaction: limit, read_only, check, max_pages } = *settings;
        let (connection, access) = if read_only {
            open::open_read_only(&path)?
        } else {
            open::open_writer(&path, durability, max_pages)?
        };
        // Reports a damaged catalog now rather than at the first request.
        let mut catalog = Arc::default();
        Catalog::refresh(&mut catalog, &connection)?;
        check::check(&connection, &catalog, check)?;
        // The log and its index exist from the first read on.
        let files = Arc::new(FileIdentities::record(&path));
        let condition = Arc::<Condition>::default();
        condition.set_full(!read_only && access == FileAccess::Immutable);
        let (events, _) = broadcast::channel(BEHIND);
        let readers = Readers::new(&path, access, Arc::clone(&files), Arc::clone(&condition));
        let jobs = writer::start(Writer {
            connection,
            path: path.clone(),
            durability,
            read_only,
            readers: Arc::clone(&readers),
            files: Arc::clone(&files),
            condition: Arc::clone(&condition),
            presence: Presence::mark(&path),
            owner: (durability == Durability::PowerCut).then(Owner::default),
            catalog: Arc::default(),
            events: events.clone(),
            limit,
            space_when_full: None,
        })?;
        let locks = Arc::new(Locks::new(&path));
        let events = Mutex::new(Some(events));
        Ok(Self { path, read_only, jobs, readers, files, condition, locks, events })
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (task, result) = task(run);
        self.jobs.send(Job::Write(task)).map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }
}

#[async_trait]
impl Executor for SqliteEngine {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let collection = collection.to_owned();
        match operation {
            Operation::Find(find) => self.readers.find(collection, find).await.map(Output::Documents),
            Operation::Count(filter) => {
                let count = move |connection: &Connection, catalog: &Catalog| {
                    scan::count(connection, catalog, &collection, &filter)
                };
                self.readers.read(count).await.map(Output::Count)
            }
            write => self.write(move |session| write::execute(session, &collection, write)).await,
        }
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Embedded
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    async fn ping(&self) -> Result<()> {
        self.readers.read(|_, _| Ok(())).await?;
        self.files.check()
    }

    async fn problem(&self) -> Option<Problem> {
        // Closing removes the log.
        if self.readers.is_closed() {
            return None;
        }
        if let Err(error) = self.files.check() {
            let what = if let Error::FileLost { what, .. } = error { what } else { "lost" };
            let reason = format!("a file of the store was {what} while it was open: restart the server");
            return Some(Problem { reason, serves: false });
        }
        if self.condition.refuses_writes() {
            // A write shows whether that is over.
            for sql in [
                "DROP TABLE IF EXISTS space; CREATE TABLE space AS SELECT zeroblob(65536)",
                "DROP TABLE IF EXISTS space",
            ] {
                let run = move |session: &mut Session<'_>| {
                    session.connection.execute_batch(sql).map_err(failed("checking for space"))
                };
                if self.write(run).await.is_err() {
                    break;
                }
            }
        }
        self.condition.problem().or_else(|| {
            let reason = "the store is open for reading only: writes fail".to_owned();
            self.read_only.then_some(Problem { reason, serves: true })
        })
    }

    async fn snapshot(&self) -> Result<Option<Arc<dyn Engine>>> {
        // The receiver is gone, so that writes fail.
        let (jobs, _) = std::sync::mpsc::channel();
        Ok(Some(Arc::new(Self {
            path: self.path.clone(),
            read_only: true,
            jobs,
            readers: self.readers.snapshot().await?,
            files: Arc::clone(&self.files),
            condition: Arc::clone(&self.condition),
            locks: Arc::new(Locks::new(&self.path)),
            events: Mutex::new(None),
        })))
    }

    async fn facts(&self) -> Result<ServerFacts> {
        Ok(ServerFacts {
            engine: EngineKind::Embedded,
            version: rusqlite::version().to_owned(),
            wire_version: 0,
            topology: Topology::File,
            transactions: true,
            precise_changes: true,
        })
    }

    async fn collection_names(&self) -> Result<Vec<String>> {
        self.readers
            .read(|_, catalog| {
                let mut names: Vec<_> = catalog.collections.keys().cloned().collect();
                names.sort_unstable();
                Ok(names)
            })
            .await
    }

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        index.check()?;
        let (collection, index) = (collection.to_owned(), index.clone());
        self.write(move |s| ddl::create_index(s, &collection, &index)).await
    }

    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        let collection = collection.to_owned();
        self.readers
            .read(move |_, catalog| {
                let stored = catalog.collections.get(&collection);
                Ok(stored.map_or_else(Vec::new, |s| s.indexes.iter().map(|i| i.index.clone()).collect()))
            })
            .await
    }

    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        let (collection, name) = (collection.to_owned(), name.to_owned());
        self.write(move |s| ddl::drop_index(s, &collection, &name)).await
    }

    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        let (collection, find) = (collection.to_owned(), find.clone());
        self.readers.read(move |_, catalog| Ok(PlannedRead::new(catalog, &collection, find)?.explain())).await
    }

    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        Ok(Arc::new(Transaction::begin(&self.jobs).await?))
    }

    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        let (locks, request) = (Arc::clone(&self.locks), request.clone());
        self.write(move |s| lease::acquire(s, &locks, &request)).await
    }

    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        let (locks, request) = (Arc::clone(&self.locks), request.clone());
        self.write(move |s| lease::renew(s, &locks, &request, fence)).await
    }

    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        let (locks, request) = (Arc::clone(&self.locks), request.clone());
        self.write(move |s| lease::release(s, &locks, &request, fence)).await
    }

    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        let (collection, name) = (collection.to_owned(), name.to_owned());
        self.readers
            .read(move |connection, catalog| lease::holder(connection, catalog, &collection, &name))
            .await
    }

    async fn watch(&self, poll: Duration) -> Result<ChangeFeed> {
        let events = self.events.lock().as_ref().map(broadcast::Sender::subscribe);
        feed::watch(events.ok_or_else(closed)?, self.jobs.clone(), poll).await
    }

    async fn close(&self) {
        self.events.lock().take();
        self.readers.close();
        let (reply, done) = oneshot::channel();
        if self.jobs.send(Job::Close(reply)).is_ok() {
            let _ = done.await;
        }
        self.locks.clear();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
