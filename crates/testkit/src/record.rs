use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The engine of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded store.
    Embedded,
    /// A real `mongod`.
    Mongo,
}

impl Engine {
    /// Returns the name, as used in test names and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongo => "mongo",
        }
    }
}

/// Returns the build folder of this workspace.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}

/// Creates a temporary folder, in memory if this machine has `/dev/shm`, otherwise in the build folder.
pub fn scratch(prefix: &str) -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { target_folder() };
    fs::create_dir_all(&parent)?;
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent)
}

fn folder() -> PathBuf {
    target_folder().join("test-engines")
}

/// Records that a test on this engine passed.
pub fn passed(engine: Engine) {
    append(engine.name(), std::thread::current().name().unwrap_or("a test"));
}

/// Appends a line; short lines of several processes do not interleave.
fn append(file: &str, line: &str) {
    let written = fs::create_dir_all(folder()).and_then(|()| {
        let mut file = OpenOptions::new().create(true).append(true).open(folder().join(file))?;
        file.write_all(format!("{line}\n").as_bytes())
    });
    if let Err(error) = written {
        eprintln!("testkit: failed to record a test: {error}");
    }
}

/// Keeps a line to be printed at the end of the run, even if every test passes.
pub fn note(line: &str) {
    append("notes", line);
}

/// Returns the lines kept by [`note`].
pub fn notes() -> Vec<String> {
    fs::read_to_string(folder().join("notes")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Returns the number of tests that passed on this engine since [`clear`].
pub fn count(engine: Engine) -> usize {
    fs::read_to_string(folder().join(engine.name())).map_or(0, |text| text.lines().count())
}

/// Removes the records of earlier runs.
pub fn clear() -> io::Result<()> {
    match fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Names the file in which `docstore` records the shapes of its commands.
pub const COMMANDS: &str = "RECORD_COMMANDS";

/// Returns the file of the commands of a run.
pub fn commands_file() -> PathBuf {
    folder().join("commands")
}

/// Returns the commands recorded since [`clear`].
pub fn commands() -> String {
    fs::read_to_string(commands_file()).unwrap_or_default()
}

/// Creates the folder of the records, with an empty file for commands, and returns the file's absolute path.
pub fn create_commands_file() -> io::Result<PathBuf> {
    fs::create_dir_all(folder())?;
    fs::write(commands_file(), "")?;
    commands_file().canonicalize()
}

/// Returns the variable that passes the recording on to a process with an environment of its own.
pub fn commands_variable() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os(COMMANDS).map(|file| (COMMANDS, file))
}
