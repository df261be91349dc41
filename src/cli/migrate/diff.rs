use std::collections::BTreeMap;

use clap::Args;
use docstore::Index;
use migrator::{IndexDrift, drift};
use serde_json::json;

use super::new::NewArgs;
use super::scaffold;
use super::{CliError, Context, Output, Run};
use crate::repository::declared_indexes;

/// Write a migration that repairs the indexes
///
/// Examples:
///   field-notes migrate diff "repair the indexes of stories"
///
/// Writes nothing if the indexes match their declarations. Every start creates missing indexes, too.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    new: NewArgs,
}

impl Run for DiffArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        if context.store_is_missing() {
            let message = "the store does not exist yet, so there is nothing to compare with\n  run `field-notes migrate up` first";
            return Err(CliError::usage(message));
        }
        let drifts = index_drift(context).await?;
        let Some(body) = scaffold::repair(&drifts).map_err(CliError::usage)? else {
            let text = "nothing was written: the indexes match their declarations\n";
            return Ok(Output::new(&json!({ "drift": [] }), text));
        };
        self.new.write(&body, "review the indexes it drops and creates")
    }
}

/// Compares the indexes of the database with the declared ones.
pub(super) async fn index_drift(context: &Context) -> Result<Vec<IndexDrift>, CliError> {
    let mut declared: BTreeMap<&str, Vec<Index>> = BTreeMap::new();
    for one in declared_indexes() {
        declared.entry(one.collection).or_default().push(one.index);
    }
    let declared: Vec<_> = declared.into_iter().map(|(name, indexes)| (name.to_owned(), indexes)).collect();
    Ok(drift::compare(&context.database, &declared).await?)
}
