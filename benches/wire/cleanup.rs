use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use parking_lot::Mutex;

/// Child processes and folders to remove when the harness is interrupted.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A child process that is killed when its owner is dropped or the harness is interrupted.
pub(crate) struct ManagedChild(Child);

impl ManagedChild {
    pub(crate) fn new(child: Child) -> Self {
        CHILDREN.lock().push(child.id());
        Self(child)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for ManagedChild {
    fn drop(&mut self) {
        let id = self.0.id();
        CHILDREN.lock().retain(|other| *other != id);
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Creates a temporary folder in the build folder, which is on disk where `/tmp` may be in memory. It is removed with its
/// owner or when the harness is interrupted.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir, String> {
    let target = testkit::record::target_folder();
    let made = std::fs::create_dir_all(&target)
        .and_then(|()| tempfile::Builder::new().prefix("bench-wire-").tempdir_in(target.canonicalize()?));
    let made = made.map_err(|error| format!("failed to create a folder for the stores: {error}"))?;
    FOLDERS.lock().push(made.path().to_owned());
    Ok(made)
}

/// Kills all children and removes all folders after a signal. Each `mongod` has its own supervisor.
pub(crate) fn remove_all() {
    for id in CHILDREN.lock().drain(..) {
        _ = Command::new("kill").args(["-9", &id.to_string()]).status();
    }
    for folder in FOLDERS.lock().drain(..) {
        _ = std::fs::remove_dir_all(folder);
    }
}

/// Returns `VmRSS` of a process in MiB; Linux only.
pub(crate) fn resident_mib(id: u32) -> Result<f64, String> {
    memory_mib(id, "VmRSS:")
}

/// Returns the peak of `VmRSS` of a process in MiB; Linux only.
pub(crate) fn peak_mib(id: u32) -> Result<f64, String> {
    memory_mib(id, "VmHWM:")
}

fn memory_mib(id: u32, name: &str) -> Result<f64, String> {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    let status = status.map_err(|error| format!("the process has ended: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| "the process has ended".to_owned())
}
