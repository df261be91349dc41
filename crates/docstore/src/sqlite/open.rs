//! Creation and opening of the file.
//!
//! Its header is read before SQLite sees it, so that a file that is not ours is left exactly as it is. The header is
//! written in rollback-journal mode, before the switch to write-ahead logging, and never changes afterwards: it is
//! always in the main file, never only in the log.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::sqlite::connection::{BUSY, OPENING, connect, connect_immutable, unavailable};
use crate::sqlite::faults::{DAMAGED, beside, failed, is_disk_full};
use crate::sqlite::log;
use crate::{Error, Result};

/// Marks a file as a store of this program: `FNDS` in the header.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"FNDS");
/// The table layout that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The statements that create the tables of an empty store.
pub(crate) const SCHEMA: &str = "
CREATE TABLE catalogue (version INTEGER NOT NULL);
INSERT INTO catalogue VALUES (1);
CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    spec BLOB NOT NULL,
    multikey INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE log_owner (current INTEGER NOT NULL, confirmed INTEGER NOT NULL);
INSERT INTO log_owner VALUES (0, 0);
";

/// The durability of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Writes survive a power cut.
    PowerCut,
    /// Writes survive the process, which is enough for scratch databases.
    Process,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
}

/// The access of connections to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileAccess {
    /// Reads and writes.
    Write,
    /// Reads. The log of another process is seen.
    Read,
    /// Reads a file that no process writes and that has no log: without locks and without files beside it.
    Immutable,
}

/// Opens the file for the one writer, and creates it if there is none. Returns how it was opened: a full disk allows reads
/// only.
pub(crate) fn open_writer(
    path: &Path,
    durability: Durability,
    max_pages: Option<u32>,
) -> Result<(Connection, FileAccess)> {
    let found = inspect(path)?;
    if found == Found::Nothing {
        make_empty(path)?;
    } else if !is_writable(path) {
        return Err(Error::ReadOnly(format!("this user may not write {}", path.display())));
    }
    protect(path);
    log::check(path)?;
    check_length(path)?;
    match open_writable(path, durability, max_pages, found) {
        Ok(connection) => Ok((connection, FileAccess::Write)),
        // SQLite needs some space for the index of a log even to read.
        Err(Error::DiskFull(_)) if found == Found::Ours && !log::exists(path) => {
            tracing::error!(path = %path.display(), "the disk of the store is full: content is served, writes fail");
            Ok((connect_immutable(path)?, FileAccess::Immutable))
        }
        // SQLite creates files beside the store.
        Err(Error::Unavailable(_)) if folder_of(path).is_some_and(|folder| !is_writable(folder)) => {
            Err(Error::ReadOnly(format!("this user may not write the folder of {}", path.display())))
        }
        Err(error) => Err(error),
    }
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn open_writable(
    path: &Path,
    durability: Durability,
    max_pages: Option<u32>,
    found: Found,
) -> Result<Connection> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if found == Found::Nothing {
        create(&mut connection, path)?;
    }
    write_ahead(&connection, path)?;
    let synchronous = if durability == Durability::PowerCut { "FULL" } else { "OFF" };
    let most = max_pages.map(|pages| format!("PRAGMA max_page_count = {pages};")).unwrap_or_default();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY; {most}"
        ))
        .map_err(failed(OPENING))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Opens a file for reading only. Returns how it was opened.
pub(crate) fn open_read_only(path: &Path) -> Result<(Connection, FileAccess)> {
    if inspect(path)? == Found::Nothing {
        return Err(Error::ReadOnly(format!("{} does not exist and is not created", path.display())));
    }
    log::check(path)?;
    check_length(path)?;
    let opened = open_reader(path, FileAccess::Read);
    let readable = opened.and_then(|connection| {
        let read: rusqlite::Result<i64> =
            connection.query_row("SELECT version FROM catalogue", [], |row| row.get(0));
        read.map_err(failed(OPENING)).map(|_| connection)
    });
    match readable {
        Ok(connection) => Ok((connection, FileAccess::Read)),
        // This user may not create the index of the log, or the disk is full.
        Err(Error::Unavailable(_) | Error::DiskFull(_)) if !log::exists(path) => {
            Ok((connect_immutable(path)?, FileAccess::Immutable))
        }
        Err(error) => Err(error),
    }
}

/// Opens another connection, for reads.
pub(crate) fn open_reader(path: &Path, access: FileAccess) -> Result<Connection> {
    let connection = match access {
        FileAccess::Immutable => connect_immutable(path)?,
        FileAccess::Read | FileAccess::Write => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
    };
    connection
        .execute_batch("PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY;")
        .map_err(failed(OPENING))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Creates an empty file that only its owner may read; it contains addresses. SQLite gives its log the same mode.
fn make_empty(path: &Path) -> Result<()> {
    // Another process may have created it by now. Its file has content before its log does.
    if log::exists(path) && inspect(path)? == Found::Nothing {
        let reason = if path.exists() { "it is empty" } else { "it does not exist" };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(Error::WrongLog {
            path: path.to_owned(),
            reason: format!(
                "{reason}, but its log {name}-wal has content: put the file back; or, to begin with an empty store, move \
                 {name}-wal and {name}-shm away"
            ),
        });
    }
    if let Some(folder) = folder_of(path) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| unavailable(path, &e))?;
    }
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unavailable(path, &error)),
    }
}

/// Takes access away from other users, which earlier versions gave them. A mode without access for others was set
/// deliberately and is kept.
fn protect(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let file = beside(path, suffix);
        let Ok(found) = fs::metadata(&file) else { continue };
        if found.mode() & 0o007 != 0
            && let Err(error) = fs::set_permissions(&file, Permissions::from_mode(0o600))
        {
            tracing::warn!(path = %file.display(), %error, "other users may read the store");
        }
    }
}

fn inspect(path: &Path) -> Result<Found> {
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(100).read_to_end(&mut header).map_err(|e| unavailable(path, &e))?;
        }
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(unavailable(path, &e)),
    }
    let not_ours = |reason: &str| Error::NotOurs { path: path.to_owned(), reason: reason.to_owned() };
    if header.is_empty() {
        return Ok(Found::Nothing);
    }
    if header.len() < 100 || !header.starts_with(MAGIC) {
        return Err(not_ours("it is not an SQLite file"));
    }
    let number = |at: usize| header[at..at + 4].iter().fold(0_u32, |n, byte| (n << 8) | u32::from(*byte));
    if number(68) != APPLICATION_ID {
        return Err(not_ours("it is an SQLite file of another program"));
    }
    if number(60) > FORMAT {
        return Err(Error::NewerFormat { path: path.to_owned(), found: number(60), supported: FORMAT });
    }
    Ok(Found::Ours)
}

/// Checks that a file without a log has the pages that its header states. One with a log may get them from there.
fn check_length(path: &Path) -> Result<()> {
    let mut header = [0; 100];
    let length = |file: &File| file.metadata().map(|found| found.len());
    let Ok(length) =
        File::open(path).and_then(|mut file| file.read_exact(&mut header).and_then(|()| length(&file)))
    else {
        return Ok(());
    };
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        page => u64::from(page),
    };
    // The number of pages counts only if it was written with the last change.
    let stated = if number(24) == number(92) { page * u64::from(number(28)) } else { 0 };
    if length >= stated || log::exists(path) {
        return Ok(());
    }
    let source = format!("{} was truncated: it has {length} bytes instead of {stated}", path.display());
    Err(Error::Engine { what: DAMAGED, source: source.into() })
}

fn create(connection: &mut Connection, path: &Path) -> Result<()> {
    let creating = "creating the store";
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(|e| damaged_or_unavailable(path, e))?;
    // Another process may have created it first.
    let id: u32 =
        transaction.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed(creating))?;
    if id != APPLICATION_ID {
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA}"
            ))
            .map_err(failed(creating))?;
    }
    transaction.commit().map_err(|e| damaged_or_unavailable(path, e))?;
    // Otherwise a power cut could lose the directory entry of the new file.
    if let Some(folder) = folder_of(path) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| unavailable(path, &e))?;
    }
    Ok(())
}

/// Switches to write-ahead logging. SQLite does not wait by itself here for another process that does the same.
fn write_ahead(connection: &Connection, path: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        let switched: rusqlite::Result<String> =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match switched {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(Error::Unavailable(format!(
                    "{}: the file system allows no write-ahead log (journal mode {mode})",
                    path.display()
                )));
            }
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => return Err(damaged_or_unavailable(path, e)),
        }
    }
}

fn damaged_or_unavailable(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => failed(OPENING)(error),
        _ if is_disk_full(&error) => failed(OPENING)(error),
        _ => unavailable(path, &error),
    }
}

/// Returns the folder of a file.
pub(crate) fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}
