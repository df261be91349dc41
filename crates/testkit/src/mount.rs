use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record;

/// A mounted file system, unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts something at a folder. Returns `None` with a note if this user or this machine cannot.
    pub fn new(folder: &Path, arguments: &[&str]) -> Option<Self> {
        fs::create_dir_all(folder).expect("failed to create the folder of a mount");
        let output = Command::new("mount").args(arguments).arg(folder).output();
        if let Ok(output) = &output
            && output.status.success()
        {
            return Some(Self(folder.to_owned()));
        }
        record::note(&format!("a fault of the disk was not caused: mount {arguments:?} failed"));
        None
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Mounts it again with other options.
    pub fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "failed to mount again with {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
