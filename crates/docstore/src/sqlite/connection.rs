//! Connections to the file, before it is known to be a store.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::sqlite::faults::failed;
use crate::{Error, Result};

pub(crate) const OPENING: &str = "opening the store";
/// Maximum time to wait for a lock of another process.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// Opens a connection.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| unavailable(path, &e))?;
    connection.busy_timeout(BUSY).map_err(failed(OPENING))?;
    Ok(connection)
}

/// Opens a connection to the file itself, without its log and without locks.
pub(crate) fn connect_immutable(path: &Path) -> Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).map_err(|e| unavailable(path, &e))
}

/// Returns the error of a file that cannot be used.
pub(crate) fn unavailable(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::Unavailable(format!("{}: {error}", path.display()))
}
