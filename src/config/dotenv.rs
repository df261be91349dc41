use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

/// The variables of a `.env` file. The process's environment is left as it is.
#[derive(Clone, Default)]
pub struct Dotenv(HashMap<String, String>);

/// A `.env` file that cannot be used. The text names the line, not what is in it.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// It is there and cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, io::Error),
    /// A line is no `NAME=value`.
    #[error("line {1} of {0} is not NAME=value (values with blanks need quotes)")]
    Line(String, usize),
}

impl Dotenv {
    /// Reads the file; one that is not there has no variables.
    pub fn read(path: &Path) -> Result<Self, DotenvError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(DotenvError::Read(path.display().to_string(), error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, DotenvError> {
        let mut variables = HashMap::new();
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            match entry {
                // As shells have it, the last of two counts.
                Ok((name, value)) => _ = variables.insert(name, value),
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let first = line.lines().next().unwrap_or_default();
                    // It may be the value alone.
                    let number = text.lines().position(|l| l.trim_end().ends_with(first.trim_end()));
                    let number = number.map_or(1, |at| at + 1);
                    return Err(DotenvError::Line(path.display().to_string(), number));
                }
                Err(_) => return Err(DotenvError::Line(path.display().to_string(), 1)),
            }
        }
        Ok(Self(variables))
    }

    /// A variable; that of the process's environment wins if it is set to something.
    pub fn lookup(&self, name: &str) -> Option<String> {
        let real = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        real.or_else(|| self.0.get(name).cloned())
    }

    /// The names of the variables in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A variable of the file alone.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_by_its_number_and_not_shown() {
        let text = "A=1\n# fine\nB='two words'\nMONGO_PASSWORD=hunter2 and more\n";
        let Err(error) = Dotenv::parse(text, Path::new(".env")) else { panic!("it was read") };
        let said = error.to_string();
        assert!(said.contains("line 4 of .env") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn quotes_comments_and_export_are_understood() {
        let text = "export A=1\nB='two words' # why\nC=\"x\"\nA=2\n";
        let Ok(read) = Dotenv::parse(text, Path::new(".env")) else { panic!("it was not read") };
        assert_eq!((read.get("A"), read.get("B"), read.get("C")), (Some("2"), Some("two words"), Some("x")));
    }
}
