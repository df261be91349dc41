//! Creation and opening of the file.
//!
//! Its header is read before SQLite sees it, so that a file that is not ours is left exactly as it is. The header is
//! written in rollback-journal mode, before the switch to write-ahead logging, and never changes afterwards: it is
//! always in the main file, never only in the log.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::sqlite::error::failed;
use crate::{Error, Result};

/// Marks a file as a store of this program: `FNDS` in the header.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"FNDS");
/// The table layout that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Maximum time to wait for a lock of another process.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE catalogue (version INTEGER NOT NULL);
INSERT INTO catalogue VALUES (1);
CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    spec BLOB NOT NULL,
    multikey INTEGER NOT NULL DEFAULT 0
);
";

/// The durability of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Writes survive a power cut.
    PowerCut,
    /// Writes survive the process, which is enough for scratch databases.
    Process,
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
}

/// Opens the file for the one writer, and creates it if there is none.
pub(crate) fn open_writer(path: &Path, durability: Durability) -> Result<Connection> {
    let found = inspect(path)?;
    if found == Found::Nothing
        && let Some(folder) = folder_of(path)
    {
        fs::create_dir_all(folder).map_err(|e| unavailable(path, &e))?;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|e| unavailable(path, &e))?;
    connection.busy_timeout(BUSY).map_err(failed("opening the store"))?;
    if found == Found::Nothing {
        create(&mut connection, path)?;
    }
    write_ahead(&connection, path)?;
    let synchronous = if durability == Durability::PowerCut { "FULL" } else { "OFF" };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY;"
        ))
        .map_err(failed("opening the store"))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Opens another connection, for reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| unavailable(path, &e))?;
    connection.busy_timeout(BUSY).map_err(failed("opening the store"))?;
    connection
        .execute_batch("PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY;")
        .map_err(failed("opening the store"))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
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

fn create(connection: &mut Connection, path: &Path) -> Result<()> {
    let creating = "creating the store";
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(|e| unavailable(path, &e))?;
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
    transaction.commit().map_err(|e| unavailable(path, &e))?;
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
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => failed("opening the store")(error),
        _ => unavailable(path, &error),
    }
}

/// Returns the folder of a file.
pub(crate) fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

fn unavailable(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::Unavailable(format!("{}: {error}", path.display()))
}
