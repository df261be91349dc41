//! `migrate …`: every verb, over one engine.

/// Verbs that apply and take back.
mod apply;
/// Verbs that write sources.
mod author;
/// What a verb works on.
mod desk;
/// What depends on what, drawn.
mod drawing;
/// Verbs that judge.
mod judge;
/// Verbs that keep and put back.
mod keep;
/// Verbs that look.
mod look;
/// Verbs that put right what somebody has decided.
mod mend;
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
/// What a verb tells, and whom it asks.
mod told;

/// The exit code of what is refused as unsafe.
const REFUSED: u8 = 8;

use clap::{Args, Subcommand};

use super::Ended;
use crate::config::Config;
use desk::{Desk, Intent};
use told::Told;
pub(super) use told::{go_on, say};

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
pub(super) async fn carry_out(
    Arguments { json, contexts, verb }: Arguments,
    config: impl FnOnce() -> Result<Config, Ended>,
) -> Result<u8, Ended> {
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
        Verb::Author(verb) => verb.carry_out(),
        Verb::Apply(verb) => {
            at_desk(config, verb.intent(), json, async |desk| verb.carry_out(desk).await).await
        }
        Verb::Mend(verb) => {
            at_desk(config, verb.intent(), json, async |desk| verb.carry_out(desk).await).await
        }
        Verb::Judge(verb) => {
            at_desk(config, Intent::Look, json, async |desk| verb.carry_out(desk).await).await
        }
        Verb::Rehearse(verb) => {
            at_desk(config, Intent::Look, json, async |desk| verb.carry_out(desk).await).await
        }
        Verb::Keep(verb) => {
            at_desk(config, verb.intent(), json, async |desk| verb.carry_out(desk).await).await
        }
        Verb::Look(verb) => {
            at_desk(config, Intent::Look, json, async |desk| verb.carry_out(desk).await).await
        }
    };
    match told {
        Ok(told) => Ok(told.print(json)),
        Err(ended) => {
            if json {
                told::print_failure(&ended);
            }
            Err(ended)
        }
    }
}

async fn at_desk(
    config: impl FnOnce() -> Result<Config, Ended>,
    intent: Intent,
    json: bool,
    work: impl AsyncFnOnce(&Desk) -> Result<Told, Ended>,
) -> Result<Told, Ended> {
    let desk = Desk::open(config()?, intent, json).await?;
    let outcome = work(&desk).await;
    desk.close().await;
    outcome
}
