use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record::target_folder;

/// Names the server binary to use, for topologies that tests start on their own.
pub const BINARY: &str = "TEST_MONGOD_BIN";
/// Names the server that tests share.
pub const URI: &str = "TEST_MONGO_URI";
/// Says why there is none.
pub const UNAVAILABLE: &str = "TEST_MONGO_UNAVAILABLE";
/// Marks the databases of one run, so that they can be swept at its end.
pub const RUN: &str = "TEST_MONGO_RUN";

/// A server binary that is already on this machine: named by [`BINARY`], on `PATH`, or installed by an earlier
/// `tools/get-mongod.sh`.
pub fn present_binary() -> Option<PathBuf> {
    if let Some(named) = env::var_os(BINARY) {
        return Some(PathBuf::from(named));
    }
    let on_path = env::var_os("PATH")
        .into_iter()
        .flat_map(|path| env::split_paths(&path).map(|folder| folder.join("mongod")).collect::<Vec<_>>());
    on_path.chain([target_folder().join("mongod/fiftyone/db/bin/mongod")]).find(|file| file.is_file())
}

/// As [`present_binary`]; installs the pinned one if there is none. `Err` says why that failed.
pub fn binary() -> Result<PathBuf, String> {
    if let Some(present) = present_binary() {
        return Ok(present);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/get-mongod.sh");
    let output = Command::new(&script)
        .output()
        .map_err(|error| format!("{} could not be run: {error}", script.display()))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.lines().filter(|l| !l.trim().is_empty()).collect::<Vec<_>>().join("; "))
    }
}

/// Whether a missing server is a failure.
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
