use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use migrator::{Repair, Stamp, UnlockOutcome};
use serde_json::json;

use super::context::{AccessMode, Context};
use super::output::Output;
use crate::cli::CliError;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Write into the ledger that a migration is applied, or is not, and run nothing
    #[command(after_help = "Examples:
  field-notes migrate stamp 0004 --reason \"links were made by hand\"
  field-notes migrate stamp 0004 --none --reason \"it was never run here\"

What is stamped has no journal: it cannot be taken back exactly.")]
    Stamp(StampOf),
    /// Decide about a migration that failed, was interrupted, or changed since it was applied
    #[command(after_help = "Examples:
  field-notes migrate repair 0003 --as applied --reason \"the two sections were made by hand\"
  field-notes migrate repair 0003 --as rolled-back --reason \"what it did was removed by hand\"
  field-notes migrate repair 0003 --as retry --reason \"the index that was in the way is gone\"
  field-notes migrate repair 0003 --accept-checksum --reason \"only names of variables changed\"

Most failures need none of it: remove the cause, then run `field-notes migrate up`.")]
    Repair(RepairOf),
    /// Take over what another tool's ledger says
    #[command(after_help = "Examples:
  field-notes migrate import pymongo-migrate
  field-notes migrate import pymongo-migrate --allow-unknown

`field-notes migrate up` and a start do so, too, before they apply anything. That ledger is read, never written.")]
    Import(Import),
    /// Release the lock of a process that is gone
    #[command(after_help = "Examples:
  field-notes migrate unlock --reason \"its machine was switched off\"

A lock runs out by itself within MIGRATE_LEASE_SECONDS; one that is renewed is not taken away.")]
    Unlock(Unlock),
}

#[derive(Debug, Clone, Args)]
pub(super) struct StampOf {
    /// Which; the beginning of its id is enough
    id: String,
    /// That it is not applied
    #[arg(long)]
    none: bool,
    /// Why, for those who come after
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RepairOf {
    /// Which; the beginning of its id is enough
    id: String,
    /// What it is to count as
    #[arg(long = "as", value_name = "STATE", required_unless_present = "accept_checksum")]
    state: Option<Outcome>,
    /// Its definition changed since it was applied, and that is all right
    #[arg(long, conflicts_with = "state")]
    accept_checksum: bool,
    /// Why, for those who come after
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Outcome {
    /// The rest was done by hand
    Applied,
    /// What it did was taken back by hand; its journal is dropped
    RolledBack,
    /// The next run goes on with it
    Retry,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Import {
    /// The tool
    tool: Tool,
    /// Take over names that this program does not know, too
    #[arg(long)]
    allow_unknown: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tool {
    /// The tool of the original; it keeps a collection of its own
    PymongoMigrate,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Unlock {
    /// Why, for those who come after
    #[arg(long)]
    reason: String,
}

impl Verb {
    pub(super) fn access(&self) -> AccessMode {
        match self {
            Self::Stamp(_) => AccessMode::Create,
            Self::Repair(_) | Self::Import(_) | Self::Unlock(_) => AccessMode::Write,
        }
    }

    /// What the command line says in place of the configuration.
    pub(super) fn allows_unknown(&self) -> bool {
        matches!(self, Self::Import(Import { allow_unknown: true, .. }))
    }

    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        match self {
            Self::Stamp(StampOf { id, none, reason }) => {
                let stamp = if none { Stamp::RolledBack } else { Stamp::Applied };
                let done = context.migrator.stamp(&id, stamp, &reason).await?;
                let is = if none { "not applied" } else { "applied" };
                Ok(Output::new(
                    &done,
                    format!("the ledger says now that {} is {is}; nothing was run\n", done.id),
                ))
            }
            Self::Repair(wanted) => repair(context, wanted).await,
            Self::Import(Import { tool: Tool::PymongoMigrate, .. }) => import(context).await,
            Self::Unlock(Unlock { reason }) => {
                let done = context.migrator.unlock(&reason).await?;
                let text = match &done {
                    UnlockOutcome::Released { holder, .. } => format!("the lock of {holder} is released\n"),
                    _ => "nobody has the lock\n".to_owned(),
                };
                Ok(Output::new(&done, text))
            }
        }
    }
}

async fn repair(context: &Context, RepairOf { id, state, reason, .. }: RepairOf) -> Result<Output, CliError> {
    let Some(state) = state else {
        let done = context.migrator.accept_checksum(&id, &reason).await?;
        return Ok(Output::new(&done, format!("{} counts as what was applied, as it is now\n", done.id)));
    };
    let (decision, text) = match state {
        Outcome::Applied => (Repair::Applied, "counts as applied"),
        Outcome::RolledBack => (Repair::RolledBack, "counts as not applied; its journal is dropped"),
        Outcome::Retry => (Repair::Retry, "is gone on with by the next run"),
    };
    let done = context.migrator.repair(&id, decision, &reason).await?;
    Ok(Output::new(&done, format!("{} {text}\n", done.id)))
}

async fn import(context: &Context) -> Result<Output, CliError> {
    let imported = context.migrator.import().await?;
    let mut text = String::new();
    for one in &imported {
        let _ = writeln!(text, "took over {}", one.id);
        for warning in &one.warnings {
            let _ = writeln!(text, "    warning: {warning}");
        }
    }
    if imported.is_empty() {
        text.push_str("nothing to take over\n");
    }
    Ok(Output::new(&json!({ "imported": imported }), text))
}
