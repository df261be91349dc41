use std::path::PathBuf;

use clap::Args;

use super::scaffold::{self, Body, Sources, Written};
use super::{CONTRADICTION, CliError, Lines, Output};

/// Write a new migration: its source, its entry in the list, and a test
///
/// Examples:
///   field-notes migrate new "add a flag for featured stories"
///   field-notes migrate new "drop the legacy fields" --dir ../field-notes/migrations
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct NewArgs {
    /// Summary of the migration, in one line; the file name is derived from it
    message: String,
    #[command(flatten)]
    folder: SourceFolder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct SourceFolder {
    /// Source folder of the migrations
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    pub(super) dir: PathBuf,
}

impl NewArgs {
    pub(super) fn run(self) -> Result<Output, CliError> {
        self.write(&Body::Empty, "write its steps, and the documents and expectations of its test")
    }

    pub(super) fn write(&self, body: &Body, next: &str) -> Result<Output, CliError> {
        let sources = Sources::read(&self.folder.dir)?;
        let written = scaffold::write(&sources, &self.message, sources.head()?, body)?;
        Ok(output(&written, next))
    }
}

impl From<scaffold::Error> for CliError {
    fn from(error: scaffold::Error) -> Self {
        let code = match error {
            scaffold::Error::File { .. } => 1,
            scaffold::Error::SeveralHeads(_) => CONTRADICTION,
            _ => 2,
        };
        Self::new(format!("{error}\n  nothing was written"), code)
    }
}

pub(super) fn output(written: &Written, next: &str) -> Output {
    let Written { id, file, list, depends_on } = written;
    let mut text = format!("wrote {}\nadded it to {}\n", file.display(), list.display());
    let after = if depends_on.is_empty() { "nothing".to_owned() } else { depends_on.join(", ") };
    text.push_line(format!("it depends on {after}\n  {next}; then run `cargo test -p migrations {id}`"));
    Output::new(written, text)
}
