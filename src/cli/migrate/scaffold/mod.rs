//! Writing the source of a migration: its file, and its line in the list.

/// Steps that repair indexes.
mod indexes;
/// What the sources of migrations say of themselves.
mod sources;
/// The text of a new one.
mod template;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

pub(super) use indexes::repair;
pub(super) use sources::Sources;
pub(super) use template::Body;

/// A summary is one line that fits a table.
const LONGEST_MESSAGE: usize = 100;
/// A file's name is read in lists, too.
const LONGEST_NAME: usize = 60;

/// Why no migration was written. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "{0} is no folder of migrations: there is no lib.rs in it that lists them\n  \
         this writes source files: run it at the root of a checkout, or name the folder with --dir"
    )]
    NoSources(PathBuf),
    #[error("{path} cannot be used: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0}: it says no `.after(&[…])` with names in quotes, so it cannot be told what it depends on")]
    Unclear(PathBuf),
    #[error("several migrations come last: {}\n  join them first with `field-notes migrate merge`", .0.join(", "))]
    SeveralHeads(Vec<String>),
    #[error(
        "the message has to be one line of 1 to {LONGEST_MESSAGE} characters, with a letter or a digit in it"
    )]
    Message,
    #[error("the number 9999 is used up")]
    NoNumber,
}

/// A migration that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    /// Its id.
    pub(super) id: String,
    /// Its file.
    pub(super) file: PathBuf,
    /// The list that names it now.
    pub(super) list: PathBuf,
    /// What it depends on.
    pub(super) depends_on: Vec<String>,
}

/// Writes a migration that comes after `parents`, and adds it to the list.
pub(super) fn write(
    sources: &Sources,
    message: &str,
    parents: Vec<String>,
    body: &Body,
) -> Result<Written, Error> {
    let message = message.trim().trim_end_matches('.');
    let name = name_of(message).ok_or(Error::Message)?;
    let number = sources.last_number() + 1;
    if number > 9999 {
        return Err(Error::NoNumber);
    }
    let id = format!("{number:04}_{name}");
    let file = sources.folder().join(format!("m{id}.rs"));
    let list = sources.list();
    let type_name = type_name(&name);
    let text = sources.with_line(&id, &type_name, message);
    put(&file, &template::migration(&id, &type_name, message, &parents, body), false)?;
    if let Err(error) = put(&list, &text, true) {
        // Half of it would only puzzle.
        let _ = fs::remove_file(&file);
        return Err(error);
    }
    format(&file);
    Ok(Written { id, file, list, depends_on: parents })
}

/// Writes beside and renames, so that a full disk leaves the old file.
fn put(path: &Path, text: &str, replace: bool) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    if !replace && path.exists() {
        return Err(failed(io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let beside = path.with_extension("rs.new");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}

/// Where there is no `rustfmt` it stays as it is.
fn format(file: &Path) {
    let _ = Command::new("rustfmt").args(["--quiet", "--edition", "2024"]).arg(file).status();
}

/// Lower-case words between underscores.
fn name_of(message: &str) -> Option<String> {
    let fits = message.chars().count() <= LONGEST_MESSAGE && !message.chars().any(char::is_control);
    let mut name = String::new();
    for c in deunicode::deunicode(message).chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    if name.len() > LONGEST_NAME {
        // Whole words, if there is more than one.
        name.truncate(LONGEST_NAME + 1);
        let words = name.rfind('_').unwrap_or(LONGEST_NAME);
        name.truncate(words);
    }
    let name = name.trim_end_matches('_');
    (fits && !name.is_empty()).then(|| name.to_owned())
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
    fn names_are_words_between_underscores() {
        for (message, name) in [
            ("Add featured flag", "add_featured_flag"),
            ("  drop `legacy`-fields!  ", "drop_legacy_fields"),
            ("Überschriften für Ø", "uberschriften_fur_o"),
            ("0005", "0005"),
        ] {
            assert_eq!(name_of(message).as_deref(), Some(name), "{message}");
        }
        for bad in ["", "  ", "!?", "two\nlines"] {
            assert_eq!(name_of(bad), None, "{bad:?}");
        }
        assert_eq!(name_of(&"x".repeat(101)), None);
        assert_eq!(name_of(&"word ".repeat(20)).map(|name| name.len()), Some(LONGEST_NAME - 1));
        assert_eq!(name_of(&format!("{} longer", "word ".repeat(11))), Some(["word"; 11].join("_")));
        assert_eq!(name_of(&"x".repeat(100)).map(|name| name.len()), Some(LONGEST_NAME));
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

    /// A folder with the list and two migrations, the second of which is a head beside a third if asked for.
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
    fn a_new_one_comes_after_the_head_and_is_in_the_list() {
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
        // And the next one comes after it, without being compiled.
        assert_eq!(Sources::read(folder.path()).unwrap().head().unwrap(), ["0003_say_hello"]);
    }

    #[test]
    fn two_heads_are_joined_first() {
        let folder = folder(true);
        let sources = Sources::read(folder.path()).unwrap();
        let error = sources.head().unwrap_err();
        assert!(error.to_string().contains("field-notes migrate merge"), "{error}");
        let written = write(&sources, "merge", sources.heads(), &Body::Merge).unwrap();
        assert_eq!(written.depends_on, ["0002_too", "0002_two"]);
        assert_eq!(Sources::read(folder.path()).unwrap().head().unwrap(), ["0003_merge"]);
    }

    #[test]
    fn a_folder_that_is_none_is_refused_and_left_alone() {
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
    fn what_one_depends_on_has_to_be_readable() {
        let folder = folder(false);
        fs::write(folder.path().join("m0003_odd.rs"), "Meta::new(\"0003_odd\", \"x\").after(PARENTS)")
            .unwrap();
        let error = Sources::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("m0003_odd.rs"), "{error}");
    }
}
