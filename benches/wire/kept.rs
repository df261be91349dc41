use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

/// Processes that run, and folders that are there, because of us.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A process that ends with its owner, or with the harness.
pub(crate) struct Kept(Child);

impl Kept {
    pub(crate) fn new(child: Child) -> Self {
        CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child.id());
        Self(child)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let id = self.0.id();
        CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != id);
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A folder in the build folder, which is on a disk where `/tmp` need not be; removed with its owner, or with the
/// harness.
pub(crate) fn folder() -> Result<tempfile::TempDir, String> {
    let target = testkit::record::target_folder();
    let made = std::fs::create_dir_all(&target)
        .and_then(|()| tempfile::Builder::new().prefix("bench-wire-").tempdir_in(target.canonicalize()?));
    let made = made.map_err(|error| format!("no folder for the stores: {error}"))?;
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(made.path().to_owned());
    Ok(made)
}

/// Ends and removes everything, when somebody presses Ctrl-C. A `mongod` has a keeper of its own.
pub(crate) fn clear() {
    for id in CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        _ = Command::new("kill").args(["-9", &id.to_string()]).status();
    }
    for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        _ = std::fs::remove_dir_all(folder);
    }
}

/// `VmRSS` of a process, in MiB; Linux only.
pub(crate) fn resident_mib(id: u32) -> Result<f64, String> {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    let status = status.map_err(|error| format!("the process is gone: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| "the process has no memory any more".to_owned())
}
