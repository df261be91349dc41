use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

use super::variables::VARIABLES;

/// The largest number of typing errors that a name is recognized with.
const MAX_DISTANCE: usize = 2;
/// Shorter names are too similar to those of other programs.
const MIN_LENGTH: usize = 7;

/// The variables of a `.env` file. The environment of the process is not changed.
#[derive(Clone, Default)]
pub struct Dotenv(pub(super) BTreeMap<String, String>);

/// An unusable `.env` file. The text names the line, never its content.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file exists and cannot be read.
    #[error("failed to read {0}: {1}")]
    Read(String, io::Error),
    /// A line is not `NAME=value`.
    #[error("{0}, line {1}: {2}")]
    Line(String, usize, &'static str),
}

impl Dotenv {
    /// Reads the file. A missing file has no variables.
    pub fn read(path: &Path) -> Result<Self, DotenvError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(DotenvError::Read(path.display().to_string(), error)),
        }
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, DotenvError> {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut variables = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let parsed = assignment(line);
            let parsed =
                parsed.map_err(|hint| DotenvError::Line(path.display().to_string(), index + 1, hint));
            // As in a shell, the last assignment of a variable wins.
            variables.extend(parsed?);
        }
        Ok(Self(variables))
    }

    /// Returns a variable of the process, or of the file if it is not set there. A blank variable of the process hides
    /// that of the file.
    pub fn lookup(&self, name: &str) -> Option<String> {
        env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }

    /// Warns about variables of the file and of the process that have almost the name of one that is read.
    pub fn warn_about_unknown_names(&self) {
        let process = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for (name, nearest) in misspelled(self.0.keys().cloned().chain(process)) {
            tracing::warn!(name, nearest, "an unknown variable is ignored; is it misspelled?");
        }
    }
}

/// Parses a line: `NAME=value`, blank or a comment. The error is a hint.
fn assignment(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
    };
    if line.split_once(':').is_some_and(|(name, _)| is_name(name.trim_end())) {
        return Err("must be NAME=value, with = in place of :");
    }
    let Some((name, value)) = line.split_once('=') else { return Err("must be NAME=value") };
    let name = name.trim_end();
    if !is_name(name) {
        return Err("must be NAME=value, where the name has letters, digits and _ only");
    }
    Ok(Some((name.to_owned(), parse_value(value.trim())?)))
}

/// Parses a value: in single quotes as written, in double quotes with escapes, or one word as written.
fn parse_value(text: &str) -> Result<String, &'static str> {
    let (value, rest) = if let Some(text) = text.strip_prefix('\'') {
        let (value, rest) = text.split_once('\'').ok_or("the single quote is not closed on its line")?;
        (value.to_owned(), rest)
    } else if let Some(text) = text.strip_prefix('"') {
        double_quoted(text)?
    } else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        // A comment needs a blank before it, except where there is no value.
        let end = if text.starts_with('#') { 0 } else { end };
        (text[..end].to_owned(), &text[end..])
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err("a value with blanks must be in single quotes")
    }
}

/// Parses a value up to its closing double quote; returns what follows.
fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\' | '$')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("the double quote is not closed on its line")
}

/// Returns the names that are not read, each with the one that was probably meant.
fn misspelled(names: impl Iterator<Item = String>) -> BTreeMap<String, &'static str> {
    let nearest = |name: &str| {
        let upper = name.to_ascii_uppercase();
        let known = VARIABLES.iter().map(|variable| variable.name);
        let distances = known.map(|known| (strsim::osa_distance(&upper, known), known));
        let (distance, nearest) = distances.min()?;
        (distance <= MAX_DISTANCE && nearest != name).then_some(nearest)
    };
    let candidates = names.filter(|name| name.len() >= MIN_LENGTH);
    candidates.filter_map(|name| nearest(&name).map(|nearest| (name, nearest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dotenv, DotenvError> {
        Dotenv::parse(text, Path::new(".env"))
    }

    fn value<'a>(read: &'a Dotenv, name: &str) -> Option<&'a str> {
        read.0.get(name).map(String::as_str)
    }

    #[test]
    fn invalid_line_is_named_by_its_number_and_not_shown() {
        let text = "A=1\n# fine\nB='two words'\nMONGO_PASSWORD=hunter2 and more\n";
        let Err(error) = parse(text) else { panic!("it was read") };
        let message = error.to_string();
        assert!(message.contains(".env, line 4") && !message.contains("hunter2"), "{message}");
        assert!(message.contains("single quotes"), "{message}");
    }

    #[test]
    fn quotes_comments_and_export_are_parsed() {
        let text = "export A=1\nB='two words' # why\nC=\"x\"\nA=2\nD= # nothing\nE=\r\n";
        let Ok(read) = parse(text) else { panic!("it was not read") };
        assert_eq!(
            (value(&read, "A"), value(&read, "B"), value(&read, "C")),
            (Some("2"), Some("two words"), Some("x"))
        );
        assert_eq!((value(&read, "D"), value(&read, "E")), (Some(""), Some("")));
    }

    #[test]
    fn values_are_taken_as_written() {
        let text = r#"
            MONGO_PASSWORD=pa$ss${HOME}w\rd#1
            B='$HOME "x" \n # y'
            C="a \"b\" \\ \$d $HOME"
            D=mongodb://u:p@h/db?a=b&c=d
        "#;
        let Ok(read) = parse(text) else { panic!("it was not read") };
        assert_eq!(value(&read, "MONGO_PASSWORD"), Some(r"pa$ss${HOME}w\rd#1"));
        assert_eq!(value(&read, "B"), Some(r#"$HOME "x" \n # y"#));
        assert_eq!(value(&read, "C"), Some(r#"a "b" \ $d $HOME"#));
        assert_eq!(value(&read, "D"), Some("mongodb://u:p@h/db?a=b&c=d"));
    }

    #[test]
    fn byte_order_mark_is_ignored_and_a_colon_gets_its_hint() {
        let Ok(read) = parse("\u{feff}PORT=1\n") else { panic!("it was not read") };
        assert_eq!(value(&read, "PORT"), Some("1"));
        for (line, hint) in [
            ("PORT: 1", "= in place of :"),
            ("PORT", "NAME=value"),
            ("my port=1", "letters, digits"),
            ("A='x", "single quote"),
            ("A=\"x", "double quote"),
        ] {
            let Err(error) = parse(&format!("OK=1\n{line}\n")) else { panic!("{line} was read") };
            let message = error.to_string();
            assert!(message.starts_with(".env, line 2: ") && message.contains(hint), "{message}");
        }
    }

    #[test]
    fn misspelled_names_are_matched_with_the_nearest() {
        let names = [
            "ALOW_DEV_AUTH",
            "MONGO_URL",
            "admin_email",
            "DATADIR",
            "PORT",
            "POST",
            "HOME",
            "MONGO_URI",
            "HOSTNAME",
            "LANGUAGE",
        ];
        let found = misspelled(names.map(str::to_owned).into_iter());
        let found: Vec<_> = found.iter().map(|(name, nearest)| (name.as_str(), *nearest)).collect();
        assert_eq!(
            found,
            [
                ("ALOW_DEV_AUTH", "ALLOW_DEV_AUTH"),
                ("DATADIR", "DATA_DIR"),
                ("MONGO_URL", "MONGO_URI"),
                ("admin_email", "ADMIN_EMAIL"),
            ]
        );
    }
}
