//! The log (`-wal`) that a killed process leaves beside the file.
//!
//! SQLite applies such a log to whatever file lies beside it: an older copy that was restored would silently become the
//! newest state again, or a mixture of both. So the file says which log is its own. A random number in the file is changed
//! at the first write of a process and every ten minutes, and written through to the file at once. The log of a killed
//! process names the number that the file had, and a copy made before that has another one. A file that was written long
//! after its log ended was restored, too.
//!
//! A process keeps a shared lock on the log. Only the first process that opens the file finds it free.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bson::oid::ObjectId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::sqlite::connection::{connect, connect_immutable};
use crate::sqlite::faults::{DAMAGED, beside, failed};
use crate::sqlite::frames;
use crate::{Error, Result};

/// The number changes at the first write after this time.
const INTERVAL: Duration = Duration::from_mins(10);
/// A checkpoint writes the file at most this long after the last write to the log.
const MARGIN: Duration = Duration::from_mins(1);
const OWNER: &str = "SELECT current, confirmed FROM log_owner";

/// Presence of this process: a shared lock on the log, which the system releases when the process dies.
#[derive(Debug)]
pub(crate) struct Presence(#[expect(dead_code, reason = "holds the lock")] Option<File>);

impl Presence {
    /// Marks the store as open. Call it when the log exists.
    pub(crate) fn mark(path: &Path) -> Self {
        let log = File::open(beside(path, "-wal")).ok();
        // Without the lock, the next process only checks the log once more.
        Self(log.filter(|log| log.try_lock_shared().is_ok()))
    }
}

/// Returns whether there is a log with content.
pub(crate) fn exists(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > frames::HEADER as u64)
}

/// Checks the log that a killed process left, before anything is changed. Does nothing if there is none, or if a process
/// that uses it is alive.
///
/// # Errors
/// [`Error::WrongLog`] if it does not belong to the file, or if it or the file with it is damaged.
pub(crate) fn check(path: &Path) -> Result<()> {
    if !exists(path) {
        return Ok(());
    }
    let Ok(log) = File::open(beside(path, "-wal")) else { return Ok(()) };
    // Another process that opens the file at the same time checks it, or refuses it; this one waits for that.
    loop {
        match log.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => break,
            Err(TryLockError::WouldBlock) if log.try_lock_shared().is_ok() => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    tracing::info!(path = %path.display(), "a process was killed and left a log: checking it");
    let started = Instant::now();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let wrong = |reason: String| Error::WrongLog { path: path.to_owned(), reason };
    let remedy = format!(
        "restore the file that the log belongs to; or, to serve this file as it is and lose what only the log has, \
         copy all its files and then move {name}-wal and {name}-shm away"
    );
    // SQLite would use the log up to the first frame that is not as it was written. What could not be read says nothing.
    if frames::are_damaged(path).unwrap_or(false) {
        return Err(wrong(format!("the log {name}-wal is damaged: {remedy}")));
    }
    let of_file = owner_in_file(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Otherwise the log would be applied to the file when the connection closes.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed("opening the store"))?;
    let with_log = owner(&connection).map_err(|error| {
        wrong(format!("the file with the log {name}-wal cannot be read ({error}): {remedy}"))
    })?;
    if let (Some((current, confirmed)), Some(of_file)) = (with_log, of_file)
        && ![current, confirmed].contains(&of_file)
    {
        return Err(wrong(format!(
            "the log {name}-wal was left by a killed process and belongs to another state of the file, probably because \
             an older copy was restored: {remedy}"
        )));
    }
    if is_written_after_log(path) {
        return Err(wrong(format!(
            "it was written after the log {name}-wal had ended, probably because a copy was restored: {remedy}; if it is \
             the file of the log, run: touch {name}-wal"
        )));
    }
    if let Some(fault) = quick_check(&connection)? {
        return Err(wrong(format!("the file with the log {name}-wal is damaged ({fault}): {remedy}")));
    }
    let duration_ms = started.elapsed().as_millis();
    tracing::info!(duration_ms, "the log belongs to the file and is used");
    Ok(())
}

/// Returns the first fault in the structure of the file.
pub(crate) fn quick_check(connection: &Connection) -> Result<Option<String>> {
    pragma_check(connection, "quick_check")
}

/// As [`quick_check`]; also checks SQLite's own indexes.
pub(crate) fn integrity_check(connection: &Connection) -> Result<Option<String>> {
    pragma_check(connection, "integrity_check")
}

fn pragma_check(connection: &Connection, pragma: &str) -> Result<Option<String>> {
    let found: rusqlite::Result<String> =
        connection.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0));
    match found.map_err(failed("checking the store")) {
        Ok(found) => Ok((found != "ok").then(|| found.lines().last().unwrap_or_default().to_owned())),
        Err(Error::Engine { what, source }) if what == DAMAGED => Ok(Some(source.to_string())),
        Err(error) => Err(error),
    }
}

/// Returns the number in the file itself, without the log: 0 if it has none, `None` if the file alone is damaged. The
/// process was then killed while it wrote the log into the file, for example after the first page, which states a size that
/// the file does not have yet. A copy that was restored can be read.
fn owner_in_file(path: &Path) -> Result<Option<i64>> {
    let connection = connect_immutable(path)?;
    match owner(&connection) {
        Ok(owner) => Ok(Some(owner.map_or(0, |(current, _)| current))),
        Err(Error::Engine { what, .. }) if what == DAMAGED => Ok(None),
        // What could not be read says nothing about the log.
        Err(error) => Err(error),
    }
}

fn owner(connection: &Connection) -> Result<Option<(i64, i64)>> {
    let tables = "SELECT 1 FROM sqlite_schema WHERE name = 'log_owner'";
    let known = connection.prepare(tables).and_then(|mut statement| statement.exists([]));
    if !known.map_err(failed("reading the owner of the log"))? {
        return Ok(None);
    }
    connection
        .query_row(OWNER, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(failed("reading the owner of the log"))
}

fn is_written_after_log(path: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    match (modified(path), modified(&beside(path, "-wal"))) {
        (Ok(file), Ok(log)) => file.duration_since(log).is_ok_and(|after| after > MARGIN),
        _ => false,
    }
}

/// Writes the number of the log from time to time.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    written: Option<Instant>,
}

impl Owner {
    /// Changes the number in the file if that is due. A failure is of no consequence: the write that follows reports its
    /// own, and the next one tries again.
    pub(crate) fn refresh(&mut self, connection: &Connection) {
        if self.written.is_some_and(|written| written.elapsed() < INTERVAL) {
            return;
        }
        match change(connection) {
            Ok(()) => self.written = Some(Instant::now()),
            Err(error) => {
                tracing::debug!(%error, "the owner of the log was not written");
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
            }
        }
    }
}

fn change(connection: &Connection) -> rusqlite::Result<()> {
    // The random part and the counter of an object id.
    let number = ObjectId::new().bytes()[4..].iter().fold(0, |number, byte| (number << 8) | i64::from(*byte));
    // 0 stands for a file without a number.
    let number = if number == 0 { 1 } else { number };
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS log_owner (current INTEGER NOT NULL, confirmed INTEGER NOT NULL);
         INSERT INTO log_owner SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_owner)",
    )?;
    // At most one number is on its way into the file.
    connection.execute("UPDATE log_owner SET current = ? WHERE current = confirmed", [number])?;
    let current: i64 = connection.query_row("SELECT current FROM log_owner", [], |row| row.get(0))?;
    connection.execute_batch("COMMIT")?;
    let all = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    })?;
    if all {
        connection.execute("UPDATE log_owner SET confirmed = ?1 WHERE current = ?1", [current])?;
    }
    Ok(())
}

/// Marks the log as newer than the file, after a checkpoint that could not empty it.
pub(crate) fn touch(path: &Path) {
    if exists(path)
        && let Ok(log) = File::options().append(true).open(beside(path, "-wal"))
    {
        let _ = log.set_modified(SystemTime::now());
    }
}
