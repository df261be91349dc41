use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;

/// The source folder of the migrations. Files are read as text, so that migrations added after the program was built
/// count.
#[derive(Debug)]
pub(in crate::cli::migrate) struct Sources {
    folder: PathBuf,
    /// The text of `lib.rs`, which lists the migrations.
    list: String,
    /// The position of the end of the list in `lib.rs`.
    end_of_list: usize,
    /// The dependencies of each migration, by id.
    dependencies: BTreeMap<String, Vec<String>>,
}

impl Sources {
    /// Reads `lib.rs` and every `mNNNN_name.rs`.
    pub(in crate::cli::migrate) fn read(folder: &Path) -> Result<Self, Error> {
        let no_sources = || Error::NoSources(folder.to_owned());
        let list = fs::read_to_string(folder.join("lib.rs")).map_err(|_| no_sources())?;
        let end_of_list = end_of_list(&list).ok_or_else(no_sources)?;
        let mut dependencies = BTreeMap::new();
        let entries = fs::read_dir(folder).map_err(|_| no_sources())?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let Some(id) = parse_id(&path) else { continue };
            let text =
                fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), source })?;
            dependencies.insert(id, parse_dependencies(&text).ok_or(Error::UnreadableDependencies(path))?);
        }
        Ok(Self { folder: folder.to_owned(), list, end_of_list, dependencies })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the greatest number of a migration, 0 if there are none.
    pub(super) fn last_number(&self) -> u32 {
        let numbers = self.dependencies.keys().filter_map(|id| id.get(..4)?.parse().ok());
        numbers.max().unwrap_or(0)
    }

    /// Returns the migrations that no other depends on.
    pub(in crate::cli::migrate) fn heads(&self) -> Vec<String> {
        let parents: BTreeSet<_> = self.dependencies.values().flatten().collect();
        self.dependencies.keys().filter(|id| !parents.contains(id)).cloned().collect()
    }

    /// Returns the dependencies of a new migration.
    ///
    /// # Errors
    ///
    /// [`Error::SeveralHeads`]
    pub(in crate::cli::migrate) fn head(&self) -> Result<Vec<String>, Error> {
        let heads = self.heads();
        if heads.len() > 1 { Err(Error::SeveralHeads(heads)) } else { Ok(heads) }
    }

    /// Returns the text of `lib.rs` with one more migration in the list.
    pub(super) fn list_with(&self, id: &str, type_name: &str, message: &str) -> String {
        let mut text = self.list.clone();
        text.insert_str(self.end_of_list, &format!("    /// {message}.\n    m{id} => {type_name},\n"));
        text
    }
}

/// Returns the position of the brace that closes `migrations! { … }`.
fn end_of_list(text: &str) -> Option<usize> {
    let begin = text.find("\nmigrations! {\n")?;
    Some(begin + text[begin..].find("\n}")? + 1)
}

/// Returns the id of a migration from the name of its file.
fn parse_id(path: &Path) -> Option<String> {
    let id = path.file_name()?.to_str()?.strip_suffix(".rs")?.strip_prefix('m')?;
    let (number, name) = id.split_at_checked(4)?;
    let is_valid = number.bytes().all(|b| b.is_ascii_digit()) && name.starts_with('_') && name.len() > 1;
    is_valid.then(|| id.to_owned())
}

/// Returns the names in `.after(&[…])`, none if there is no such call. Returns `None` if a name is not a string literal.
fn parse_dependencies(text: &str) -> Option<Vec<String>> {
    let Some((_, rest)) = text.split_once(".after(") else { return Some(Vec::new()) };
    let (names, _) = rest.trim_start().strip_prefix("&[")?.split_once(']')?;
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| Some(name.strip_prefix('"')?.strip_suffix('"')?.to_owned())).collect()
}
