use clap::Args;
use serde_json::json;

use super::new::{SourceFolder, output};
use super::scaffold::{self, Body, Sources};
use super::{CliError, Output};

/// Write a migration that joins several heads
///
/// Examples:
///   field-notes migrate merge
///   field-notes migrate merge "join the branches of tags and of drafts"
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct MergeArgs {
    /// Summary of the migration
    #[arg(default_value = "join two lines of migrations")]
    message: String,
    #[command(flatten)]
    folder: SourceFolder,
}

impl MergeArgs {
    pub(super) fn run(self) -> Result<Output, CliError> {
        let sources = Sources::read(&self.folder.dir)?;
        let heads = sources.heads();
        if heads.len() < 2 {
            let head = heads.first().map_or("none", String::as_str);
            return Ok(Output::new(
                &json!({ "heads": heads }),
                format!("nothing to merge: the only head is {head}\n"),
            ));
        }
        let written = scaffold::write(&sources, &self.message, heads, &Body::Merge)?;
        Ok(output(&written, "it joins the heads and needs no code"))
    }
}
