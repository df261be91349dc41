use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

/// The variables of a `.env` file. The environment of the process is not changed.
#[derive(Clone, Default)]
pub struct Dotenv(pub(super) HashMap<String, String>);

/// An unusable `.env` file. The text names the line, never its content.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file exists and cannot be read.
    #[error("failed to read {0}: {1}")]
    Read(String, io::Error),
    /// A line is not `NAME=value`.
    #[error("{0}, line {1}: must be NAME=value; quote values with blanks")]
    Line(String, usize),
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

    fn parse(text: &str, path: &Path) -> Result<Self, DotenvError> {
        let entries = dotenvy::from_read_iter(text.as_bytes());
        // As in a shell, the last assignment of a variable wins.
        let variables = entries.collect::<Result<_, _>>().map_err(|error| {
            let line = match error {
                // The error may hold the value alone.
                dotenvy::Error::LineParse(line, _) => text.lines().position(|one| {
                    one.trim_end().ends_with(line.lines().next().unwrap_or_default().trim_end())
                }),
                _ => None,
            };
            DotenvError::Line(path.display().to_string(), line.unwrap_or(0) + 1)
        })?;
        Ok(Self(variables))
    }

    /// Returns a variable of the process, or of the file if it is not set or blank there.
    pub fn lookup(&self, name: &str) -> Option<String> {
        let real = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        real.or_else(|| self.0.get(name).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_line_is_named_by_its_number_and_not_shown() {
        let text = "A=1\n# fine\nB='two words'\nMONGO_PASSWORD=hunter2 and more\n";
        let Err(error) = Dotenv::parse(text, Path::new(".env")) else { panic!("it was read") };
        let message = error.to_string();
        assert!(message.contains(".env, line 4") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn quotes_comments_and_export_are_parsed() {
        let text = "export A=1\nB='two words' # why\nC=\"x\"\nA=2\n";
        let Ok(read) = Dotenv::parse(text, Path::new(".env")) else { panic!("it was not read") };
        let get = |name: &str| read.0.get(name).map(String::as_str);
        assert_eq!((get("A"), get("B"), get("C")), (Some("2"), Some("two words"), Some("x")));
    }
}
