//! Faults of the file: errors that SQLite reports, files that were removed or replaced, damage, and a full disk.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::{Error, Problem, Result};

/// The activity of an error that SQLite reports for a damaged file.
pub(crate) const DAMAGED: &str = "the store file is damaged";

/// Returns the error of every operation on a closed store.
pub(crate) fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// Returns whether SQLite found no space on the disk.
pub(crate) fn is_disk_full(error: &rusqlite::Error) -> bool {
    // The index of a log, which even a reader needs, did not fit.
    let index = error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE);
    index || error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Maps an error that SQLite reported while doing `what`.
pub(crate) fn failed(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable(format!("{what}: another process keeps the store busy"))
        }
        _ if is_disk_full(&source) => Error::DiskFull(what.to_owned()),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed,
        ) => Error::Unavailable(format!("{what}: {source}")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Engine { what: DAMAGED, source: Box::new(source) }
        }
        _ => Error::Engine { what, source: Box::new(source) },
    }
}

/// The suffixes of the file, its log and the index of the log.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The files of an open store: device and inode of each, and the length of the store's file. SQLite continues with a file
/// that was removed, replaced or truncated, and everything written to it is lost at the end; so each write first compares
/// the files at the path with these.
#[derive(Debug)]
pub(crate) struct FileIdentities {
    opened: Vec<(PathBuf, (u64, u64))>,
    /// The greatest length that the store's file had. It never shrinks, unlike its log.
    length: AtomicU64,
}

impl FileIdentities {
    /// Records the files that exist now.
    pub(crate) fn record(path: &Path) -> Self {
        let found = SUFFIXES.iter().map(|suffix| beside(path, suffix));
        let opened =
            found.filter_map(|path| Some((path.clone(), identity(&fs::metadata(&path).ok()?)))).collect();
        let length = fs::metadata(path).map_or(0, |found| found.len());
        Self { opened, length: length.into() }
    }

    /// Checks that the files at the path are still those that were opened.
    pub(crate) fn check(&self) -> Result<()> {
        for (nth, (path, opened)) in self.opened.iter().enumerate() {
            let what = match fs::metadata(path) {
                Ok(found) if identity(&found) != *opened => "replaced",
                // The store's file is the first.
                Ok(found)
                    if nth == 0 && found.len() < self.length.fetch_max(found.len(), Ordering::Relaxed) =>
                {
                    "truncated"
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => "removed",
                // That the folder cannot be searched at the moment says nothing about the file.
                Ok(_) | Err(_) => continue,
            };
            return Err(Error::FileLost { path: path.clone(), what });
        }
        Ok(())
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Returns the path of a file that belongs to a store.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// From this number of damaged documents, or of reads that met damaged pages, the store is no longer fit to serve.
const REPEATED: u64 = 3;
/// Maximum number of damaged documents that are distinguished.
const MAX_DOCUMENTS: usize = 1000;

/// Damage and a full disk, as far as operations have noticed them since the store was opened. Readiness reports both.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    documents: Mutex<BTreeSet<String>>,
    pages: AtomicU64,
    full: AtomicBool,
    /// The reason why the last commit failed, if the disk refused it although it had space.
    failing: Mutex<Option<String>>,
}

impl Condition {
    /// Records the error of an operation. Logs each damaged document once.
    pub(crate) fn record(&self, error: &Error) {
        match error.root() {
            Error::Damaged { document, source } => {
                let mut documents = self.documents.lock();
                if documents.len() < MAX_DOCUMENTS && documents.insert(document.clone()) {
                    tracing::error!(document, error = %source, "a stored document is damaged");
                }
            }
            Error::Engine { what, source } if *what == DAMAGED => {
                self.pages.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = %source, "the store file is damaged");
            }
            Error::DiskFull(_) => self.set_full(true),
            _ => {}
        }
    }

    /// Records whether the last write found the disk full.
    pub(crate) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            if full {
                tracing::error!("the disk of the store is full: writes fail");
            } else {
                tracing::info!("the disk of the store has space again");
            }
        }
    }

    /// Records the reason for which the disk refused the last commit, if it did.
    pub(crate) fn set_failing(&self, reason: Option<String>) {
        let mut failing = self.failing.lock();
        if failing.is_some() != reason.is_some() {
            if let Some(reason) = &reason {
                tracing::error!(reason, "the disk of the store fails: writes fail");
            } else {
                tracing::info!("the disk of the store accepts writes again");
            }
        }
        *failing = reason;
    }

    /// Returns whether the last write found the disk full or failing.
    pub(crate) fn refuses_writes(&self) -> bool {
        self.is_full() || self.failing.lock().is_some()
    }

    /// Returns whether the last write found the disk full.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Returns the worst problem.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let (documents, pages) = (self.documents.lock().len() as u64, self.pages.load(Ordering::Relaxed));
        if documents + pages > 0 {
            let reason = format!(
                "the store file is damaged: {documents} damaged documents, {pages} reads that met damaged pages; see the log"
            );
            return Some(Problem { reason, serves: documents < REPEATED && pages < REPEATED });
        }
        let reason = if self.is_full() {
            "the disk of the store is full".to_owned()
        } else {
            format!("the disk of the store fails ({})", self.failing.lock().as_ref()?)
        };
        Some(Problem { reason: format!("{reason}: content is served, writes fail"), serves: true })
    }
}
