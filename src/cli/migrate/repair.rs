use clap::{Args, ValueEnum};
use migrator::Repair;

use super::{AccessMode, CliError, Context, Output, Run};

/// Resolve a migration that failed, was interrupted, or changed after it was applied
///
/// Examples:
///   field-notes migrate repair 0003 --as applied --reason "the two sections were made by hand"
///   field-notes migrate repair 0003 --as rolled-back --reason "what it did was removed by hand"
///   field-notes migrate repair 0003 --as retry --reason "the conflicting index was dropped"
///   field-notes migrate repair 0003 --accept-checksum --reason "only names of variables changed"
///
/// Most failures need no repair: remove the cause, then run `field-notes migrate up`.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RepairArgs {
    /// Migration (id or unique prefix)
    id: String,
    /// New state of the migration
    #[arg(long = "as", value_name = "STATE", required_unless_present = "accept_checksum")]
    state: Option<RepairState>,
    /// Accept its current definition as the one that was applied
    #[arg(long, conflicts_with = "state")]
    accept_checksum: bool,
    /// Reason, kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RepairState {
    /// The rest was done by hand
    Applied,
    /// Its changes were reverted by hand; drops its journal
    RolledBack,
    /// The next run resumes it
    Retry,
}

impl Run for RepairArgs {
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { id, state, accept_checksum: _, reason } = self;
        let (repair, text) = match state {
            None => {
                let done = context.migrator.accept_checksum(&id, &reason).await?;
                return Ok(Output::new(&done, format!("accepted the current checksum of {}\n", done.id)));
            }
            Some(RepairState::Applied) => (Repair::Applied, "counts as applied"),
            Some(RepairState::RolledBack) => {
                (Repair::RolledBack, "counts as not applied; its journal is dropped")
            }
            Some(RepairState::Retry) => (Repair::Retry, "is resumed by the next run"),
        };
        let done = context.migrator.repair(&id, repair, &reason).await?;
        Ok(Output::new(&done, format!("{} {text}\n", done.id)))
    }
}
