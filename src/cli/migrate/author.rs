use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::context::Context;
use super::judge::index_drift;
use super::output::Output;
use super::scaffold::{self, Body, Sources, Written};
use crate::cli::CliError;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Write the source of a new migration, its place in the list and a test
    #[command(after_help = "Examples:
  field-notes migrate new \"add a flag for featured stories\"
  field-notes migrate new \"drop the legacy fields\" --dir ../field-notes/migrations")]
    New(New),
    /// Write the source of a migration that joins several that come last
    #[command(after_help = "Examples:
  field-notes migrate merge
  field-notes migrate merge \"join the branches of tags and of drafts\"")]
    Merge(Merge),
}

impl Verb {
    pub(super) fn run(self) -> Result<Output, CliError> {
        match self {
            Self::New(wanted) => new(&wanted),
            Self::Merge(wanted) => merge(&wanted),
        }
    }
}

/// Where the sources are.
#[derive(Debug, Clone, Args)]
pub(super) struct Folder {
    /// Folder of the migrations' sources
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    dir: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(super) struct New {
    /// What it does, in one line; its name is made of it
    message: String,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Merge {
    /// What it is called
    #[arg(default_value = "join two lines of migrations")]
    message: String,
    #[command(flatten)]
    folder: Folder,
}

impl From<scaffold::Error> for CliError {
    fn from(error: scaffold::Error) -> Self {
        let code = match error {
            scaffold::Error::File { .. } => 1,
            scaffold::Error::SeveralHeads(_) => 7,
            scaffold::Error::NoSources(_)
            | scaffold::Error::Unclear(_)
            | scaffold::Error::Message
            | scaffold::Error::NoNumber => 2,
        };
        Self { message: format!("{error}\n  nothing was written"), code }
    }
}

fn new(wanted: &New) -> Result<Output, CliError> {
    let sources = Sources::read(&wanted.folder.dir)?;
    let written = scaffold::write(&sources, &wanted.message, sources.head()?, &Body::Empty)?;
    Ok(told(&written, "now write its steps, and what its test puts there and expects"))
}

fn merge(wanted: &Merge) -> Result<Output, CliError> {
    let sources = Sources::read(&wanted.folder.dir)?;
    let heads = sources.heads();
    if heads.len() < 2 {
        let text =
            format!("nothing to merge: {} comes last\n", heads.first().map_or("nothing", String::as_str));
        return Ok(Output::new(&serde_json::json!({ "heads": heads }), text));
    }
    let written = scaffold::write(&sources, &wanted.message, heads, &Body::Merge)?;
    Ok(told(&written, "it joins what came last; nothing is left to write"))
}

/// Writes what makes the database's indexes those that are declared.
pub(super) async fn diff(context: &Context, wanted: &New) -> Result<Output, CliError> {
    if context.is_missing() {
        let message = "there is no store yet, so there is nothing to compare with\n  run `field-notes migrate up` first";
        return Err(CliError { message: message.to_owned(), code: 2 });
    }
    let drifts = index_drift(context).await?;
    let Some(body) = scaffold::repair(&drifts).map_err(CliError::usage)? else {
        let text = "nothing to repair: indexes are as declared; nothing was written\n";
        return Ok(Output::new(&serde_json::json!({ "drift": [] }), text));
    };
    let sources = Sources::read(&wanted.folder.dir)?;
    let written = scaffold::write(&sources, &wanted.message, sources.head()?, &body)?;
    Ok(told(&written, "look at what it drops and makes"))
}

fn told(written: &Written, next: &str) -> Output {
    let Written { id, file, list, depends_on } = written;
    let mut text = format!("wrote {}\nadded it to {}\n", file.display(), list.display());
    let after = if depends_on.is_empty() { "nothing".to_owned() } else { depends_on.join(", ") };
    let _ = writeln!(text, "it comes after {after}");
    let _ = writeln!(text, "  {next}; then `cargo test -p migrations {id}`");
    Output::new(written, text)
}
