//! The files of an open store. SQLite continues with a file that was removed or replaced, and everything written to it is
//! lost at the end; so each write first compares the files at the path with those that were opened.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The suffixes of the file, its log and the index of the log.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The files of a store: device and inode of each.
#[derive(Debug)]
pub(crate) struct FileIdentities {
    opened: Vec<(PathBuf, (u64, u64))>,
}

impl FileIdentities {
    /// Records the files that exist now.
    pub(crate) fn record(path: &Path) -> Self {
        let paths = SUFFIXES.iter().map(|suffix| beside(path, suffix));
        Self { opened: paths.filter_map(|path| Some((path.clone(), identity(&path).ok()?))).collect() }
    }

    /// Checks that the files at the path are still those that were opened.
    pub(crate) fn check(&self) -> Result<()> {
        for (path, opened) in &self.opened {
            let what = match identity(path) {
                Ok(found) if found == *opened => continue,
                Ok(_) => "replaced",
                Err(error) if error.kind() == io::ErrorKind::NotFound => "removed",
                // The folder cannot be searched at the moment, which says nothing about the file.
                Err(_) => continue,
            };
            return Err(Error::FileLost { path: path.clone(), what });
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found: Metadata| (found.dev(), found.ino()))
}

/// Returns the path of a file that belongs to a store.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
