use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;

/// The line that begins the list.
const BEGIN: &str = "migrations! {";
/// The line that ends it.
const END: &str = "}";

/// The sources of migrations in a folder. They are read as text: what was written since the program was built counts.
#[derive(Debug)]
pub(in crate::cli::migrate) struct Sources {
    folder: PathBuf,
    list: String,
    /// What each depends on, by id.
    dependencies: BTreeMap<String, Vec<String>>,
}

impl Sources {
    /// Reads `lib.rs` and every `mNNNN_name.rs`.
    pub(in crate::cli::migrate) fn read(folder: &Path) -> Result<Self, Error> {
        let none = || Error::NoSources(folder.to_owned());
        let list = fs::read_to_string(folder.join("lib.rs")).map_err(|_| none())?;
        let mut dependencies = BTreeMap::new();
        let entries = fs::read_dir(folder).map_err(|_| none())?;
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let Some(id) = id_of(&path) else { continue };
            let text =
                fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), source })?;
            let depends_on = parents_in(&text).ok_or(Error::Unclear(path))?;
            dependencies.insert(id, depends_on);
        }
        let sources = Self { folder: folder.to_owned(), list, dependencies };
        if sources.end_of_list().is_none() {
            return Err(none());
        }
        Ok(sources)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that lists them.
    pub(super) fn list(&self) -> PathBuf {
        self.folder.join("lib.rs")
    }

    /// 0 if there are none.
    pub(super) fn last_number(&self) -> u32 {
        let numbers = self.dependencies.keys().filter_map(|id| id.get(..4)?.parse().ok());
        numbers.max().unwrap_or(0)
    }

    /// Those that no other depends on.
    pub(in crate::cli::migrate) fn heads(&self) -> Vec<String> {
        let parents: BTreeSet<_> = self.dependencies.values().flatten().collect();
        self.dependencies.keys().filter(|id| !parents.contains(id)).cloned().collect()
    }

    /// What a new one depends on.
    ///
    /// # Errors
    /// [`Error::SeveralHeads`]
    pub(in crate::cli::migrate) fn head(&self) -> Result<Vec<String>, Error> {
        let heads = self.heads();
        if heads.len() > 1 { Err(Error::SeveralHeads(heads)) } else { Ok(heads) }
    }

    /// Where the list ends.
    fn end_of_list(&self) -> Option<usize> {
        let mut at = 0;
        let mut within = false;
        for line in self.list.split_inclusive('\n') {
            match line.trim_end() {
                BEGIN => within = true,
                END if within => return Some(at),
                _ => {}
            }
            at += line.len();
        }
        None
    }

    /// The text of the list with one more in it.
    pub(super) fn with_line(&self, id: &str, type_name: &str, message: &str) -> String {
        let mut text = self.list.clone();
        if let Some(at) = self.end_of_list() {
            text.insert_str(at, &format!("    /// {message}.\n    m{id} => {type_name},\n"));
        }
        text
    }
}

/// The id, if it is the file of a migration.
fn id_of(path: &Path) -> Option<String> {
    let id = path.file_name()?.to_str()?.strip_suffix(".rs")?.strip_prefix('m')?;
    let (number, name) = id.split_at_checked(4)?;
    let is_one = number.bytes().all(|b| b.is_ascii_digit()) && name.starts_with('_') && name.len() > 1;
    is_one.then(|| id.to_owned())
}

/// The names in `.after(&[…])`; none if it is not there. `None` if they are not in quotes.
fn parents_in(text: &str) -> Option<Vec<String>> {
    let Some((_, rest)) = text.split_once(".after(") else { return Some(Vec::new()) };
    let (names, _) = rest.trim_start().strip_prefix("&[")?.split_once(']')?;
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| Some(name.strip_prefix('"')?.strip_suffix('"')?.to_owned())).collect()
}
