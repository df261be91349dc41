//! `migrate …`: every verb, over one engine.

/// Verbs that apply and take back.
mod apply;
/// Verbs that write sources.
mod author;
/// What a verb works on.
mod context;
/// What depends on what, drawn.
mod graph;
/// Verbs that judge.
mod judge;
/// Verbs that keep and put back.
mod keep;
/// Verbs that look.
mod look;
/// Verbs that put right what somebody has decided.
mod mend;
/// What a verb tells, and whom it asks.
mod output;
/// The texts of plans.
mod plan;
/// How far a run is, on standard error.
mod progress;
/// Verbs that try migrations where nothing can be broken.
mod rehearse;
/// Writing the source of a migration.
mod scaffold;
/// The texts of `migrate status`.
mod status;

/// The exit code of what is refused as unsafe.
const REFUSED: u8 = 8;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::Config;
use context::{AccessMode, Context};
use output::Output;
pub(super) use output::{confirm, say};

#[derive(Debug, Clone, Args)]
pub(super) struct Arguments {
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    /// Run what is run in this context only, too; may be given several times. In place of the configured ones
    #[arg(long = "context", global = true, value_name = "NAME", value_delimiter = ',')]
    contexts: Vec<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    #[command(flatten)]
    Apply(apply::Verb),
    #[command(flatten)]
    Look(look::Verb),
    #[command(flatten)]
    Judge(judge::Verb),
    #[command(flatten)]
    Rehearse(rehearse::Verb),
    #[command(flatten)]
    Mend(mend::Verb),
    #[command(flatten)]
    Keep(keep::Verb),
    #[command(flatten)]
    Author(author::Verb),
}

/// Carries a verb out; the exit code is that of what it found.
pub(super) async fn run(
    Arguments { json, contexts, verb }: Arguments,
    config: impl FnOnce() -> Result<Config, CliError>,
) -> Result<u8, CliError> {
    let allows_unknown = match &verb {
        Verb::Apply(verb) => verb.allows_unknown(),
        Verb::Mend(verb) => verb.allows_unknown(),
        _ => false,
    };
    let config = || {
        let mut config = config()?;
        config.migrate_allow_unknown |= allows_unknown;
        if !contexts.is_empty() {
            config.migrate_contexts = contexts;
        }
        Ok(config)
    };
    let told = match verb {
        Verb::Author(verb) => verb.run(),
        Verb::Apply(verb) => {
            with_context(config, verb.access(), json, async |context| verb.run(context).await).await
        }
        Verb::Mend(verb) => {
            with_context(config, verb.access(), json, async |context| verb.run(context).await).await
        }
        Verb::Judge(verb) => {
            with_context(config, AccessMode::Read, json, async |context| verb.run(context).await).await
        }
        Verb::Rehearse(verb) => {
            with_context(config, AccessMode::Read, json, async |context| verb.run(context).await).await
        }
        Verb::Keep(verb) => {
            with_context(config, verb.access(), json, async |context| verb.run(context).await).await
        }
        Verb::Look(verb) => {
            with_context(config, AccessMode::Read, json, async |context| verb.run(context).await).await
        }
    };
    match told {
        Ok(told) => Ok(told.print(json)),
        Err(ended) => {
            if json {
                output::print_failure(&ended);
            }
            Err(ended)
        }
    }
}

async fn with_context(
    config: impl FnOnce() -> Result<Config, CliError>,
    access: AccessMode,
    json: bool,
    work: impl AsyncFnOnce(&Context) -> Result<Output, CliError>,
) -> Result<Output, CliError> {
    let context = Context::open(config()?, access, json).await?;
    let outcome = work(&context).await;
    context.close().await;
    outcome
}
