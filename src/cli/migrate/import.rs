use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Run;
use super::up::details;
use crate::cli::context::{AccessMode, Context};
use crate::cli::output::{CliError, Output};

/// Import the ledger of another tool
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate import pymongo-migrate
  field-notes migrate import pymongo-migrate --allow-unknown

`field-notes migrate up` and every start import, too, before they apply anything. The other ledger is read, never written.")]
pub(super) struct ImportArgs {
    /// Tool that wrote the ledger
    tool: ImportTool,
    /// Also import names that this program does not know
    #[arg(long)]
    allow_unknown: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ImportTool {
    /// The tool of the original
    PymongoMigrate,
}

impl Run for ImportArgs {
    fn access(&self) -> AccessMode {
        AccessMode::Write
    }

    fn allows_unknown(&self) -> bool {
        self.allow_unknown
    }

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let imported = context.migrator.import().await?;
        let mut text = String::new();
        for one in &imported {
            _ = writeln!(text, "imported {}", one.id);
            details(&mut text, &[], &one.warnings);
        }
        if imported.is_empty() {
            text.push_str("nothing to import\n");
        }
        Ok(Output::new(&json!({ "imported": imported }), text))
    }
}
