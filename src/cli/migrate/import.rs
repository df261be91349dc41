use clap::{Args, ValueEnum};
use serde_json::json;

use super::up::details;
use super::{AccessMode, CliError, Context, Lines, Output, Run};

/// Import the ledger of another tool
///
/// Examples:
///   field-notes migrate import pymongo-migrate
///   field-notes migrate import pymongo-migrate --allow-unknown
///
/// `field-notes migrate up` and every start import, too, before they apply anything. The other ledger is read,
/// never written.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
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
    const ACCESS: AccessMode = AccessMode::Write;

    fn allows_unknown(&self) -> bool {
        self.allow_unknown
    }

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let imported = context.migrator.import().await?;
        let mut text = String::new();
        for one in &imported {
            text.push_line(format!("imported {}", one.id));
            details(&mut text, &[], &one.warnings);
        }
        if imported.is_empty() {
            text.push_str("nothing to import\n");
        }
        Ok(Output::new(&json!({ "imported": imported }), text))
    }
}
