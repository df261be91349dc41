//! The writer: a thread with its own connection, fed by a channel.
//!
//! Writes that wait in the channel share one SQLite transaction, hence one flush to disk; each is acknowledged after the
//! commit. A `Begin` has the thread to itself until it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{broadcast, oneshot};

use crate::engine::{EngineTransaction, Executor, Operation, Output};
use crate::sqlite::catalog::Catalog;
use crate::sqlite::faults::{Condition, FileIdentities, closed, failed};
use crate::sqlite::log::{self, Owner, Presence};
use crate::sqlite::open::{self, Durability, FileAccess};
use crate::sqlite::query::read::Readers;
use crate::sqlite::write::operations::{self, is_refusal};
use crate::sqlite::write::session::Session;
use crate::{Change, Error, Result};

/// Maximum number of writes that share a flush, and the maximum time to collect them.
const GROUP: (usize, Duration) = (256, Duration::from_millis(10));

/// An operation: it gets the session, or the error for which it cannot run.
pub(crate) type Task = Box<dyn FnOnce(Result<&mut Session<'_>>) -> Done + Send>;

/// The outcome of a task.
pub(crate) struct Done {
    /// The reason why the operation failed, if it did.
    failed: Option<String>,
    /// Set if it failed in a way that spoils the transaction it ran in.
    spoilt: bool,
    /// The activity that found the disk full, if it failed for that.
    disk_full: Option<String>,
    /// Sends the result to the caller, given the outcome of the commit.
    acknowledge: Acknowledge,
}

type Acknowledge = Box<dyn FnOnce(Result<()>) + Send>;

/// A job for the writer.
pub(crate) enum Job {
    /// A single write.
    Write(Task),
    /// A transaction.
    Begin(Begin),
    /// Asks for the number that changes when another process commits.
    DataVersion(oneshot::Sender<Result<i64>>),
    /// Ends the thread.
    Close(oneshot::Sender<()>),
}

/// A request to begin a transaction.
pub(crate) struct Begin {
    steps: Receiver<Step>,
    begun: oneshot::Sender<Result<()>>,
    /// Receives the reason why the transaction ended.
    ended: Arc<Mutex<Option<String>>>,
}

/// A step of a transaction.
enum Step {
    /// An operation in it.
    Run(Task),
    /// Commits.
    Commit(oneshot::Sender<Result<()>>),
    /// Rolls back.
    Abort(oneshot::Sender<Result<()>>),
}

/// Wraps an operation as a task; returns the receiver of its result.
pub(crate) fn task<T: Send + 'static>(
    run: impl FnOnce(&mut Session<'_>) -> Result<T> + Send + 'static,
) -> (Task, oneshot::Receiver<Result<T>>) {
    let (reply, receiver) = oneshot::channel();
    let task = move |session: Result<&mut Session<'_>>| {
        let result = session.and_then(run);
        let error = result.as_ref().err();
        let spoilt = error.is_some_and(|error| !is_refusal(error));
        Done {
            failed: error.map(ToString::to_string),
            spoilt,
            disk_full: error.and_then(|error| match error.root() {
                Error::DiskFull(what) => Some(what.clone()),
                _ => None,
            }),
            acknowledge: Box::new(move |committed| {
                // The caller may be gone.
                let _ = reply.send(match committed {
                    Err(error) if !spoilt => Err(error),
                    _ => result,
                });
            }),
        }
    };
    (Box::new(task), receiver)
}

/// Starts the thread.
pub(crate) fn start(writer: Writer) -> Result<Sender<Job>> {
    let (jobs, queue) = channel();
    let path = writer.path.clone();
    std::thread::Builder::new()
        .name("store writer".into())
        .spawn(move || writer.run(&queue))
        .map_err(|e| Error::Unavailable(format!("{}: {e}", path.display())))?;
    Ok(jobs)
}

/// The state of the thread.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    /// Set if the store was opened for reading only.
    pub(crate) read_only: bool,
    pub(crate) readers: Arc<Readers>,
    pub(crate) files: Arc<FileIdentities>,
    pub(crate) condition: Arc<Condition>,
    pub(crate) presence: Presence,
    /// The owner of the log; `None` for a scratch store, which is never restored.
    pub(crate) owner: Option<Owner>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) events: broadcast::Sender<Change>,
    /// Maximum duration of a transaction.
    pub(crate) limit: Duration,
    /// The space when a write found the disk full.
    pub(crate) space_when_full: Option<FileSpace>,
}

/// The space that the store takes and has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSpace {
    pages: i64,
    free_pages: i64,
    available_bytes: u64,
}

impl FileSpace {
    /// The disk has space again when it has this much more.
    const MARGIN: u64 = 1 << 20;

    /// Reports whether there is more space than `before`, or some of it could be taken. A small write may find space where
    /// a larger one found none, which says nothing about the next larger one.
    fn has_grown(self, before: Self) -> bool {
        self.pages > before.pages
            || self.free_pages > before.free_pages
            || self.available_bytes >= before.available_bytes.saturating_add(Self::MARGIN)
    }
}

impl Writer {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| queue.recv().ok()) {
            match job {
                Job::Write(task) => next = self.group(task, queue),
                Job::Begin(begin) => self.transaction(begin),
                Job::DataVersion(reply) => {
                    let version = self
                        .connection
                        .query_row("PRAGMA data_version", [], |row| row.get(0))
                        .map_err(failed("checking for changes"));
                    let _ = reply.send(version);
                }
                Job::Close(reply) => {
                    // If readers are still active, the log stays, and the next process that opens the file reads it.
                    let _ = self.connection.busy_timeout(Duration::from_millis(200));
                    if !self.read_only && self.files.check().is_ok() {
                        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                        log::touch(&self.path);
                    }
                    drop(self);
                    let _ = reply.send(());
                    return;
                }
            }
        }
    }

    /// Runs a write and those that wait behind it; returns the first job of another kind.
    fn group(&mut self, first: Task, queue: &Receiver<Job>) -> Option<Job> {
        let started = Instant::now();
        let prepared = self.prepare();
        let mut session = match prepared.and_then(|()| self.begin()) {
            Ok(session) => session,
            Err(error) => {
                self.condition.record(&error);
                (first(Err(error)).acknowledge)(Ok(()));
                self.settle(false, Arc::default(), Vec::new());
                return None;
            }
        };
        let mut waiting = Vec::new();
        let mut other = None;
        let mut next = Some(first);
        let mut spoilt = false;
        let mut disk_full = None;
        while let Some(task) = next.take() {
            match catch_unwind(AssertUnwindSafe(|| task(Ok(&mut session)))) {
                Ok(done) => {
                    spoilt |= done.spoilt;
                    disk_full = disk_full.or(done.disk_full);
                    waiting.push(done.acknowledge);
                }
                // The panic dropped the caller's channel, which reports the failure.
                Err(_) => spoilt = true,
            }
            if spoilt || waiting.len() >= GROUP.0 || started.elapsed() >= GROUP.1 {
                break;
            }
            match queue.try_recv() {
                Ok(Job::Write(task)) => next = Some(task),
                Ok(job) => other = Some(job),
                Err(_) => {}
            }
        }
        let Session { catalog, changes, .. } = session;
        let committed = if let Some(what) = disk_full {
            Err(Error::DiskFull(what))
        } else if spoilt {
            Err(Error::Unavailable("a write beside this one failed; nothing was written".into()))
        } else {
            self.commit()
        };
        self.note(&committed);
        self.settle(committed.is_ok(), catalog, changes);
        for acknowledge in waiting {
            acknowledge(match &committed {
                Ok(()) => Ok(()),
                Err(Error::DiskFull(what)) => Err(Error::DiskFull(what.clone())),
                Err(Error::FileLost { path, what }) => Err(Error::FileLost { path: path.clone(), what }),
                Err(Error::Unconfirmed(why)) => Err(Error::Unconfirmed(why.clone())),
                Err(error) => Err(Error::Unavailable(error.to_string())),
            });
        }
        other
    }

    fn transaction(&mut self, begin: Begin) {
        let Begin { steps, begun, ended } = begin;
        let end = |why: String| {
            *ended.lock() = Some(why);
        };
        let deadline = Instant::now() + self.limit;
        let prepared = self.prepare();
        let mut session = match prepared.and_then(|()| self.begin()) {
            Ok(session) => session,
            Err(error) => {
                self.condition.record(&error);
                let _ = begun.send(Err(error));
                return self.settle(false, Arc::default(), Vec::new());
            }
        };
        let _ = begun.send(Ok(()));
        let mut acknowledge: Option<Acknowledge> = None;
        let mut commit = false;
        loop {
            match steps.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Step::Run(task)) => match catch_unwind(AssertUnwindSafe(|| task(Ok(&mut session)))) {
                    Ok(Done { failed: None, acknowledge, .. }) => acknowledge(Ok(())),
                    Ok(Done { failed: Some(why), acknowledge: report, disk_full, .. }) => {
                        if disk_full.is_some() {
                            self.condition.set_full(true);
                        }
                        end(format!("an operation in it failed: {why}"));
                        acknowledge = Some(report);
                        break;
                    }
                    Err(_) => {
                        end("an operation in it failed".into());
                        break;
                    }
                },
                Ok(Step::Commit(reply)) => {
                    commit = true;
                    acknowledge = Some(Box::new(|committed| drop(reply.send(committed))));
                    break;
                }
                Ok(Step::Abort(reply)) => {
                    end("it was aborted".into());
                    acknowledge = Some(Box::new(|done| drop(reply.send(done))));
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {
                    end(format!("it was open for {:?}", self.limit));
                    break;
                }
                // Every handle was dropped.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let Session { catalog, changes, .. } = session;
        let done = if commit { self.commit() } else { Ok(()) };
        if commit {
            end(if done.is_ok() { "it was committed".into() } else { "its commit failed".into() });
        }
        self.note(&done);
        self.settle(commit && done.is_ok(), catalog, changes);
        if let Some(acknowledge) = acknowledge {
            acknowledge(done);
        }
    }

    /// Checks that the store can be written, before a transaction begins.
    fn prepare(&mut self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly("it was opened for reading only".into()));
        }
        self.files.check()?;
        if self.readers.access() == FileAccess::Immutable {
            self.reopen()?;
        }
        if let Some(owner) = &mut self.owner {
            owner.refresh(&self.connection);
        }
        Ok(())
    }

    fn begin(&self) -> Result<Session<'_>> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed("beginning to write"))?;
        let mut session =
            Session { connection: &self.connection, catalog: Arc::clone(&self.catalog), changes: Vec::new() };
        session.refresh()?;
        if session.catalog.add_checksums(session.connection)? {
            session.refresh()?;
        }
        Ok(session)
    }

    /// Opens the file for writing, after it was opened on a full disk.
    fn reopen(&mut self) -> Result<()> {
        let (connection, access) = open::open_writer(&self.path, self.durability, None)?;
        if access == FileAccess::Immutable {
            return Err(Error::DiskFull("opening the store for writing".into()));
        }
        self.connection = connection;
        self.readers.set_access(access);
        self.presence = Presence::mark(&self.path);
        tracing::info!("the store is open for writing again");
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        // What is written to a file that is gone would be lost.
        self.files.check()?;
        self.connection.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
            // The log may have reached the disk, and the next start would use it.
            Some(ErrorCode::SystemIoFailure) => {
                self.condition.set_failing(Some(error.to_string()));
                Error::Unconfirmed(format!("committing: {error}"))
            }
            _ => failed("committing")(error),
        })?;
        self.condition.set_failing(None);
        if self.condition.is_full()
            && self.space_when_full.zip(self.space()).is_none_or(|(before, now)| now.has_grown(before))
        {
            self.condition.set_full(false);
            self.space_when_full = None;
        }
        Ok(())
    }

    /// Returns the space as it is; `None` if it cannot be read.
    fn space(&self) -> Option<FileSpace> {
        let number = |pragma: &str| self.connection.query_row(pragma, [], |row| row.get(0)).ok();
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(FileSpace {
            pages: number("PRAGMA page_count")?,
            free_pages: number("PRAGMA freelist_count")?,
            available_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        })
    }

    /// Records the outcome of a commit.
    fn note(&self, outcome: &Result<()>) {
        if let Err(error) = outcome {
            self.condition.record(error);
        }
    }

    /// After a commit, keeps the catalog and publishes the changes; otherwise rolls back.
    fn settle(&mut self, committed: bool, catalog: Arc<Catalog>, changes: Vec<Change>) {
        if committed {
            self.catalog = catalog;
            for change in changes {
                // There may be no feed.
                let _ = self.events.send(change);
            }
            return;
        }
        // The version may be reused for another state of the catalog.
        self.catalog = Arc::default();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store could not roll back a transaction");
        }
        if self.condition.is_full() && self.space_when_full.is_none() {
            self.space_when_full = self.space();
        }
    }
}

/// A handle to a transaction. The writer rolls back when it is dropped.
pub(crate) struct Transaction {
    steps: Sender<Step>,
    ended: Arc<Mutex<Option<String>>>,
}

impl Transaction {
    /// Waits for the writer, then begins.
    pub(crate) async fn begin(jobs: &Sender<Job>) -> Result<Self> {
        let (steps, queue) = channel();
        let (begun, started) = oneshot::channel();
        let ended = Arc::default();
        jobs.send(Job::Begin(Begin { steps: queue, begun, ended: Arc::clone(&ended) }))
            .map_err(|_| closed())?;
        started.await.map_err(|_| closed())??;
        Ok(Self { steps, ended })
    }

    async fn send<T>(&self, step: Step, result: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.steps.send(step).map_err(|_| self.why())?;
        result.await.map_err(|_| self.why())?
    }

    fn why(&self) -> Error {
        let ended = self.ended.lock();
        Error::TransactionEnded(ended.clone().unwrap_or_else(|| "the store was closed".into()))
    }
}

#[async_trait]
impl Executor for Transaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let collection = collection.to_owned();
        let (task, result) = task(move |session| operations::execute(session, &collection, operation));
        self.send(Step::Run(task), result).await
    }
}

#[async_trait]
impl EngineTransaction for Transaction {
    async fn commit(&self) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.send(Step::Commit(reply), result).await
    }

    async fn abort(&self) -> Result<()> {
        let (reply, result) = oneshot::channel();
        match self.send(Step::Abort(reply), result).await {
            // A transaction that has ended without a commit is rolled back already.
            Err(Error::TransactionEnded(_)) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_write_on_a_full_disk_does_not_end_the_condition() {
        let before = FileSpace { pages: 60, free_pages: 2, available_bytes: 4096 };
        let grows = |now: FileSpace| now.has_grown(before);
        assert!(!grows(before));
        assert!(!grows(FileSpace { free_pages: 1, available_bytes: 40_960, ..before }));
        assert!(grows(FileSpace { pages: 61, ..before }));
        assert!(grows(FileSpace { free_pages: 3, ..before }));
        assert!(grows(FileSpace { available_bytes: 4096 + FileSpace::MARGIN, ..before }));
    }
}
