//! Mapping of SQLite's errors.

use rusqlite::ErrorCode;

use crate::Error;

/// Returns the error of every operation on a closed store.
pub(crate) fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// Maps an error that SQLite reported while doing `what`.
pub(crate) fn failed(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable(format!("{what}: another process keeps the store busy"))
        }
        Some(ErrorCode::DiskFull) => Error::Unavailable(format!("{what}: the disk is full")),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed,
        ) => Error::Unavailable(format!("{what}: {source}")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Engine { what: "the store file is damaged", source: Box::new(source) }
        }
        _ => Error::Engine { what, source: Box::new(source) },
    }
}
