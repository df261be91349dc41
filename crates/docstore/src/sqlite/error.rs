//! Mapping of SQLite's errors.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::Error;

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
