//! Generates migrations: a source file and a line in the list.

/// Steps that repair indexes.
mod indexes;
/// The source folder.
mod sources;
/// The text of a new migration.
mod template;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::Serialize;

pub(super) use indexes::repair;
pub(super) use sources::Sources;
pub(super) use template::Body;

/// Longest message, in characters: it fits a line of a table.
const MAX_MESSAGE: usize = 100;
/// Longest name of a migration.
const MAX_NAME: usize = 60;

/// A migration could not be written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "{0} is not a folder of migrations: it has no lib.rs that lists them\n  \
         run this at the root of a checkout, or name the folder with --dir"
    )]
    NoSources(PathBuf),
    #[error("failed to read or write {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0}: cannot read its dependencies; they must be string literals in `.after(&[…])`")]
    UnreadableDependencies(PathBuf),
    #[error("there are several heads: {}\n  join them first with `field-notes migrate merge`", .0.join(", "))]
    SeveralHeads(Vec<String>),
    #[error(
        "the message must be one line of 1 to {MAX_MESSAGE} characters with at least one letter or digit"
    )]
    Message,
    #[error("the last number, 9999, is used")]
    NoNumber,
}

/// A migration that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) id: String,
    pub(super) file: PathBuf,
    /// The file with the list of migrations.
    pub(super) list: PathBuf,
    pub(super) depends_on: Vec<String>,
}

/// Writes a migration that depends on `parents`, and adds it to the list.
pub(super) fn write(
    sources: &Sources,
    message: &str,
    parents: Vec<String>,
    body: &Body,
) -> Result<Written, Error> {
    let message = message.trim().trim_end_matches('.');
    let name = file_name(message).ok_or(Error::Message)?;
    let number = sources.last_number() + 1;
    if number > 9999 {
        return Err(Error::NoNumber);
    }
    let (id, type_name) = (format!("{number:04}_{name}"), type_name(&name));
    let file = sources.folder().join(format!("m{id}.rs"));
    let list = sources.folder().join("lib.rs");
    if file.exists() {
        return Err(Error::File { path: file, source: io::ErrorKind::AlreadyExists.into() });
    }
    replace(&file, &template::migration(&id, &type_name, message, &parents, body))?;
    if let Err(error) = replace(&list, &sources.list_with(&id, &type_name, message)) {
        // A file that is not in the list would never be compiled.
        let _ = fs::remove_file(&file);
        return Err(error);
    }
    // Without rustfmt the file stays as it is.
    let _ = Command::new("rustfmt").args(["--quiet", "--edition", "2024"]).arg(&file).status();
    Ok(Written { id, file, list, depends_on: parents })
}

/// Writes a new file and renames it, so that a full disk leaves the old one intact.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let temporary = path.with_extension("rs.new");
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
        let _ = fs::remove_file(&temporary);
        Error::File { path: path.to_owned(), source }
    })
}

/// Converts a message to lower-case words joined by underscores. Returns `None` if it is invalid.
fn file_name(message: &str) -> Option<String> {
    let is_valid = message.chars().count() <= MAX_MESSAGE && !message.chars().any(char::is_control);
    let ascii = deunicode::deunicode(message).to_ascii_lowercase();
    let words = ascii.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("_");
    if name.len() > MAX_NAME {
        // Cuts between words, if there are several.
        let cut = name[..=MAX_NAME].rfind('_').unwrap_or(MAX_NAME);
        name.truncate(cut);
    }
    (is_valid && !name.is_empty()).then_some(name)
}

/// Returns the name of the migration's struct: its words, capitalized and joined. A single word gets a suffix, so that
/// it shadows no import.
fn type_name(name: &str) -> String {
    let capitalized = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let joined: String = name.split('_').map(capitalized).collect();
    match (name.starts_with(|c: char| c.is_ascii_digit()), name.contains('_')) {
        (true, _) => format!("Migration{joined}"),
        (false, false) => format!("{joined}Migration"),
        (false, true) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_words_joined_by_underscores() {
        for (message, name) in [
            ("Add featured flag", "add_featured_flag"),
            ("  drop `legacy`-fields!  ", "drop_legacy_fields"),
            ("Überschriften für Ø", "uberschriften_fur_o"),
            ("0005", "0005"),
        ] {
            assert_eq!(file_name(message).as_deref(), Some(name), "{message}");
        }
        for bad in ["", "  ", "!?", "two\nlines"] {
            assert_eq!(file_name(bad), None, "{bad:?}");
        }
        assert_eq!(file_name(&"x".repeat(101)), None);
        assert_eq!(file_name(&"word ".repeat(20)).map(|name| name.len()), Some(MAX_NAME - 1));
        assert_eq!(file_name(&format!("{} longer", "word ".repeat(11))), Some(["word"; 11].join("_")));
        assert_eq!(file_name(&"x".repeat(100)).map(|name| name.len()), Some(MAX_NAME));
    }

    #[test]
    fn type_names_are_capitalized_words() {
        for (name, type_name) in [
            ("add_featured_flag", "AddFeaturedFlag"),
            ("check", "CheckMigration"),
            ("2_b", "Migration2B"),
            ("0005", "Migration0005"),
        ] {
            assert_eq!(super::type_name(name), type_name);
        }
    }

    /// Creates a folder with two migrations, and with a second head on request.
    fn folder(two_heads: bool) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let list = "macro_rules! migrations {\n    () => {}\n}\n\nmigrations! {\n    /// One.\n    m0001_one => OneMigration,\n}\n\nfn other() {\n}\n";
        fs::write(folder.path().join("lib.rs"), list).unwrap();
        let migration = |id: &str, after: &str| {
            let text = format!("const META: Meta =\n    Meta::new(\"{id}\", \"x\"){after};\n");
            fs::write(folder.path().join(format!("m{id}.rs")), text).unwrap();
        };
        migration("0001_one", "");
        migration("0002_two", ".after(&[\n    \"0001_one\",\n])");
        if two_heads {
            migration("0002_too", ".after(&[\"0001_one\"])");
        }
        folder
    }

    #[test]
    fn a_new_migration_depends_on_the_head_and_is_listed() {
        let folder = folder(false);
        let sources = Sources::read(folder.path()).unwrap();
        let parents = sources.head().unwrap();
        let written = write(&sources, "Say \"hello\".", parents, &Body::Empty).unwrap();
        assert_eq!((&*written.id, &written.depends_on), ("0003_say_hello", &vec!["0002_two".to_owned()]));
        let text = fs::read_to_string(&written.file).unwrap();
        assert!(text.contains(r#""0003_say_hello", "Say \"hello\"""#), "{text}");
        let list = fs::read_to_string(&written.list).unwrap();
        assert!(list.contains("    m0001_one => OneMigration,\n    /// Say \"hello\".\n    m0003_say_hello => SayHello,\n}\n"), "{list}");
        assert!(list.starts_with("macro_rules! migrations {\n    () => {}\n}\n"), "{list}");
        // The next migration depends on it, although it was never compiled.
        assert_eq!(Sources::read(folder.path()).unwrap().head().unwrap(), ["0003_say_hello"]);
    }

    #[test]
    fn several_heads_must_be_merged_first() {
        let folder = folder(true);
        let sources = Sources::read(folder.path()).unwrap();
        let error = sources.head().unwrap_err();
        assert!(error.to_string().contains("field-notes migrate merge"), "{error}");
        let written = write(&sources, "merge", sources.heads(), &Body::Merge).unwrap();
        assert_eq!(written.depends_on, ["0002_too", "0002_two"]);
        assert_eq!(Sources::read(folder.path()).unwrap().head().unwrap(), ["0003_merge"]);
    }

    #[test]
    fn a_folder_without_a_list_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for content in [None, Some("fn main() {}\n"), Some("migrations! {\n")] {
            if let Some(content) = content {
                fs::write(folder.path().join("lib.rs"), content).unwrap();
            }
            let error = Sources::read(folder.path()).unwrap_err();
            assert!(error.to_string().contains("--dir"), "{error}");
        }
    }

    #[test]
    fn unreadable_dependencies_are_refused() {
        let folder = folder(false);
        fs::write(folder.path().join("m0003_odd.rs"), "Meta::new(\"0003_odd\", \"x\").after(PARENTS)")
            .unwrap();
        let error = Sources::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("m0003_odd.rs"), "{error}");
    }
}
