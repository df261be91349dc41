use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bson::DateTime;
use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SUMS: &str = "SHA256SUMS";
/// Prefixes of folders that are incomplete, or that are being deleted.
const PARTIAL: &str = ".partial-";
const DELETING: &str = ".going-";
/// Locked by the writer of the folder.
const LOCK: &str = "lock";

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The description of a backup: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the folder.
    pub format: u32,
    /// The id: the time and a random suffix.
    pub id: String,
    /// The time when it was taken, in RFC 3339.
    pub taken_at: String,
    /// The reason, one sentence.
    pub why: String,
    /// The run that it was taken for.
    pub run_id: Option<String>,
    /// The migration that it was taken for.
    pub migration: Option<String>,
    /// The version of the program.
    pub app_version: String,
    /// The engine: `MongoDB` or `embedded store`.
    pub engine: String,
    /// The version of the server, or of SQLite.
    pub server_version: String,
    /// `standalone`, `replica set NAME`, `sharded cluster` or `file`.
    pub topology: String,
    /// The location of the store, without a password.
    pub location: String,
    /// The name of the database, or of the file.
    pub database: String,
    /// The collections in it.
    pub collections: Vec<BackedUpCollection>,
    /// Requested collections that did not exist. A restore drops them.
    pub absent: Vec<String>,
    /// The number of documents.
    pub documents: u64,
    /// The bytes of all documents.
    pub bytes: u64,
}

/// One collection of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpCollection {
    /// The name.
    pub name: String,
    /// The number of documents.
    pub documents: u64,
    /// The bytes of the documents.
    pub bytes: u64,
    /// The file with the documents.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The file with indexes, validator and options.
    pub shape_file: String,
    /// The SHA-256 of the file.
    pub shape_sha256: String,
    /// The indexes, as text.
    pub indexes: Vec<String>,
    /// The validator, as text.
    pub validator: Option<String>,
}

/// The backups of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupListing {
    /// The complete backups, newest first. Their checksums were not verified.
    pub backups: Vec<Manifest>,
    /// Backups that cannot be used: incomplete ones, and those whose files are missing or have another size.
    pub broken: Vec<UnusableBackup>,
}

/// A backup that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusableBackup {
    /// The id.
    pub id: String,
    /// The error.
    pub error: String,
}

/// Lists the backups in a folder. A folder that does not exist has none.
pub fn list(dir: &Path) -> Result<BackupListing> {
    let mut listing = BackupListing::default();
    let mut ids = ids(dir)?;
    ids.reverse();
    for id in ids {
        match read_manifest(dir, &id).and_then(|manifest| check_sizes(dir, &manifest).map(|()| manifest)) {
            Ok(manifest) => listing.backups.push(manifest),
            Err(error) => listing.broken.push(UnusableBackup { id, error: error.to_string() }),
        }
    }
    for name in names(dir)? {
        let error = if name.starts_with(PARTIAL) && is_abandoned(&dir.join(&name)) {
            "it is incomplete, because its writer was interrupted; the next backup deletes it".to_owned()
        } else if is_id(&name) && !dir.join(&name).join(MANIFEST).is_file() {
            format!("{MANIFEST} is missing")
        } else {
            continue;
        };
        listing.broken.push(UnusableBackup { id: name, error });
    }
    Ok(listing)
}

/// Compares the sizes of the files with the manifest, which is cheaper than their checksums.
fn check_sizes(dir: &Path, manifest: &Manifest) -> Result<()> {
    for kept in &manifest.collections {
        let damaged = |what: String| Error::BackupDamaged { id: manifest.id.clone(), what };
        let size = |name: &str| {
            let metadata = fs::metadata(dir.join(&manifest.id).join(name));
            metadata.map(|file| file.len()).map_err(|error| damaged(format!("{name}: {error}")))
        };
        size(&kept.shape_file)?;
        let found = size(&kept.file)?;
        if found != kept.bytes {
            return Err(damaged(format!("{} has {found} bytes instead of {}", kept.file, kept.bytes)));
        }
    }
    Ok(())
}

/// Returns whether a name has the form of an id: a time in digits and a suffix.
fn is_id(name: &str) -> bool {
    let Some((time, suffix)) = name.split_once("Z-") else { return false };
    let is_time = time.len() == 15 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T');
    is_time && !suffix.is_empty()
}

/// Returns the id of the backup with this prefix.
///
/// # Errors
/// [`Error::BackupNotFound`], [`Error::AmbiguousBackup`].
pub fn resolve(dir: &Path, prefix: &str) -> Result<String> {
    let mut candidates = ids(dir)?;
    if candidates.iter().any(|id| id == prefix) {
        return Ok(prefix.to_owned());
    }
    candidates.retain(|id| !prefix.is_empty() && id.starts_with(prefix));
    match candidates.len() {
        0 => Err(Error::BackupNotFound { id: prefix.into(), dir: dir.to_owned() }),
        1 => Ok(candidates.remove(0)),
        _ => Err(Error::AmbiguousBackup { id: prefix.into(), candidates }),
    }
}

/// Deletes all backups except the `keep` newest, those in `spare`, and unreadable ones. Returns the deleted ids.
pub fn prune(dir: &Path, keep: usize, spare: &BTreeSet<String>) -> Result<Vec<String>> {
    let listing = list(dir)?;
    let mut gone = Vec::new();
    for manifest in listing.backups.into_iter().skip(keep) {
        if !spare.contains(&manifest.id) {
            remove(dir, &manifest.id)?;
            gone.push(manifest.id);
        }
    }
    Ok(gone)
}

/// Returns the ids of all backups, oldest first.
fn ids(dir: &Path) -> Result<Vec<String>> {
    let mut ids = names(dir)?;
    ids.retain(|name| !name.starts_with('.') && dir.join(name).join(MANIFEST).is_file());
    ids.sort_unstable();
    Ok(ids)
}

/// Returns the names in a folder; none if it does not exist.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file(dir))?,
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect::<io::Result<_>>().map_err(Error::file(dir))
}

pub(super) fn read_manifest(dir: &Path, id: &str) -> Result<Manifest> {
    let path = dir.join(id).join(MANIFEST);
    let text = fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::BackupNotFound { id: id.into(), dir: dir.to_owned() },
        _ => Error::file(&path)(error),
    })?;
    let damaged = |what: String| Error::BackupDamaged { id: id.into(), what };
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    let format = format.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    if format > FORMAT {
        return Err(Error::NewerBackup { id: id.into(), found: format, supported: FORMAT });
    }
    let manifest: Manifest =
        serde_json::from_value(value).map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
    if manifest.id != id {
        return Err(damaged(format!("its manifest is that of {}", manifest.id)));
    }
    Ok(manifest)
}

/// Returns a new id. Ids sort by time.
pub(super) fn new_id(now: DateTime) -> String {
    let time = now.try_to_rfc3339_string().unwrap_or_default();
    let seconds = time.split(['.', 'Z']).next().unwrap_or_default();
    let compact: String = seconds.chars().filter(char::is_ascii_alphanumeric).collect();
    let random = ObjectId::new().to_hex();
    format!("{compact}Z-{}", &random[random.len() - 6..])
}

/// A backup that is being written. It is deleted if it is dropped before it is complete; if its writer is killed, the next
/// writer deletes it.
pub(super) struct PartialBackup {
    dir: PathBuf,
    id: String,
    path: PathBuf,
    complete: bool,
    /// Released by the operating system when the process dies.
    lock: Option<File>,
}

impl PartialBackup {
    pub(super) fn begin(dir: &Path, id: &str) -> Result<Self> {
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(dir).map_err(Error::file(dir))?;
        tidy(dir)?;
        let path = dir.join(format!("{PARTIAL}{id}"));
        private.recursive(false).create(&path).map_err(Error::file(dir))?;
        let mut partial = Self { dir: dir.to_owned(), id: id.to_owned(), path, complete: false, lock: None };
        let lock = File::create(partial.path.join(LOCK)).map_err(Error::file(dir))?;
        lock.lock().map_err(Error::file(dir))?;
        partial.lock = Some(lock);
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder its final name. Its files are flushed already.
    pub(super) fn complete(mut self) -> Result<()> {
        fs::remove_file(self.path.join(LOCK)).map_err(Error::file(&self.dir))?;
        sync(&self.path)?;
        fs::rename(&self.path, self.dir.join(&self.id)).map_err(Error::file(&self.dir))?;
        self.complete = true;
        sync(&self.dir)
    }
}

impl Drop for PartialBackup {
    fn drop(&mut self) {
        if !self.complete {
            delete_incomplete(&self.path);
        }
    }
}

/// Deletes what dead writers left behind.
fn tidy(dir: &Path) -> Result<()> {
    for name in names(dir)? {
        let path = dir.join(&name);
        if name.starts_with(DELETING) || name.starts_with(PARTIAL) && is_abandoned(&path) {
            delete_incomplete(&path);
        }
    }
    Ok(())
}

/// Returns whether the writer of a partial backup is gone. A folder without a lock was just created, or its writer was
/// killed right then; it is empty.
fn is_abandoned(path: &Path) -> bool {
    File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

fn delete_incomplete(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "failed to delete an incomplete backup");
    }
}

/// Deletes a backup. It is renamed first, so that a part of it is never mistaken for the whole.
fn remove(dir: &Path, id: &str) -> Result<()> {
    let deleting = dir.join(format!("{DELETING}{id}"));
    fs::rename(dir.join(id), &deleting).map_err(Error::file(dir))?;
    fs::remove_dir_all(&deleting).map_err(Error::file(&deleting))
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_unique() {
        let id = |millis| new_id(DateTime::from_millis(millis));
        let first = id(1_700_000_000_123);
        assert!(first.starts_with("20231114T221320Z-") && first.len() == 23, "{first}");
        assert!(first < id(1_700_000_001_000));
        assert_ne!(first, id(1_700_000_000_123));
    }

    #[test]
    fn incomplete_backup_is_not_listed_and_is_deleted_with_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let partial = PartialBackup::begin(dir.path(), "a").unwrap();
        fs::write(partial.path().join(MANIFEST), "{}").unwrap();
        assert_eq!(list(dir.path()).unwrap(), BackupListing::default());
        // Another writer does not delete it, but deletes what a dead writer left.
        fs::create_dir(dir.path().join("20231114T221320Z-abcdef")).unwrap();
        fs::create_dir(dir.path().join("notes")).unwrap();
        let dead = dir.path().join(".partial-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let broken: Vec<_> = list(dir.path()).unwrap().broken.into_iter().map(|one| one.id).collect();
        assert_eq!(
            BTreeSet::from_iter(broken),
            BTreeSet::from([".partial-dead", "20231114T221320Z-abcdef"].map(String::from))
        );
        let other = PartialBackup::begin(dir.path(), "b").unwrap();
        assert!(partial.path().exists() && !dead.exists());
        drop(other);
        let path = partial.path().to_owned();
        drop(partial);
        assert!(!path.exists());
    }

    #[test]
    fn ambiguous_prefix_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["2023-a", "2023-b", "2024-a"] {
            fs::create_dir(dir.path().join(id)).unwrap();
            fs::write(dir.path().join(id).join(MANIFEST), "{}").unwrap();
        }
        assert_eq!(resolve(dir.path(), "2024").unwrap(), "2024-a");
        assert!(
            matches!(resolve(dir.path(), "2023"), Err(Error::AmbiguousBackup { candidates, .. }) if candidates.len() == 2)
        );
        for wrong in ["2025", ""] {
            assert!(matches!(resolve(dir.path(), wrong), Err(Error::BackupNotFound { .. })), "{wrong}");
        }
        assert_eq!(list(dir.path()).unwrap().broken.len(), 3);
    }
}
