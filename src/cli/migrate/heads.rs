use clap::Args;
use serde_json::json;

use super::{CONTRADICTION, CliError, Context, Output, Run};

/// Print the last migrations of this program; exit with 7 if there is more than one
///
/// Examples:
///   field-notes migrate heads
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct HeadsArgs;

impl Run for HeadsArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let heads = context.migrator.heads();
        let mut text = heads.iter().fold(String::new(), |text, id| text + id + "\n");
        let several = heads.len() > 1;
        if several {
            text.push_str("  to join them, run `field-notes migrate merge`\n");
        }
        Ok(Output::new(&json!({ "heads": heads }), text).with_code(if several { CONTRADICTION } else { 0 }))
    }
}
