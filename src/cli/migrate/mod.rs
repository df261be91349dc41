//! `migrate …`: one file per verb, over one engine.

/// `migrate backup`.
mod backup;
/// `migrate backups`.
mod backups;
/// `migrate check`.
mod check;
/// `migrate current`.
mod current;
/// `migrate diff`.
mod diff;
/// `migrate down`.
mod down;
/// `migrate graph`.
mod graph;
/// `migrate heads`.
mod heads;
/// `migrate history`.
mod history;
/// `migrate import`.
mod import;
/// `migrate lint`.
mod lint;
/// `migrate merge`.
mod merge;
/// `migrate new`.
mod new;
/// `migrate plan`.
mod plan;
/// `migrate preflight`.
mod preflight;
/// `migrate redo`.
mod redo;
/// `migrate rehearse`.
mod rehearse;
/// `migrate repair`.
mod repair;
/// `migrate reset`.
mod reset;
/// `migrate restore`.
mod restore;
/// Generates the source of a migration.
mod scaffold;
/// `migrate show`.
mod show;
/// `migrate stamp`.
mod stamp;
/// `migrate status`.
mod status;
/// `migrate test`.
mod test;
/// `migrate unlock`.
mod unlock;
/// `migrate up`.
mod up;
/// `migrate verify`.
mod verify;
/// `migrate wait`.
mod wait;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use migrator::{CancellationToken, nearest};

use super::context::{AccessMode, Context};
use super::output::{
    CONTRADICTION, CliError, DRIFT, Lines, Output, count, first_line, print_error, size, time,
};
use super::{INTERRUPTED, Signals};
use crate::config::Config;

/// Apply, roll back and inspect migrations
///
/// Examples:
///   field-notes migrate status
///   field-notes migrate up
///   field-notes migrate down --yes
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct MigrateArgs {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Also run migrations of this context (repeatable), in place of the configured ones
    #[arg(long = "context", global = true, value_name = "NAME", value_delimiter = ',')]
    contexts: Vec<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// A verb that works on a store.
trait Run {
    const ACCESS: AccessMode = AccessMode::Read;

    fn access(&self) -> AccessMode {
        Self::ACCESS
    }

    /// Returns whether a flag sets `MIGRATE_ALLOW_UNKNOWN`.
    fn allows_unknown(&self) -> bool {
        false
    }

    async fn run(self, context: &Context) -> Result<Output, CliError>;
}

/// Declares the verbs, in the order of the help, and the dispatch. `new` and `merge` only write source files, so
/// they need neither a store nor a configuration.
macro_rules! verbs {
    ($($verb:ident($arguments:ty)),* $(,)?) => {
        #[derive(Debug, Clone, Subcommand)]
        enum Verb {
            $($verb($arguments),)*
            New(new::NewArgs),
            Merge(merge::MergeArgs),
        }

        impl Verb {
            async fn run(
                self,
                json: bool,
                config: impl FnOnce() -> Result<Config, CliError>,
            ) -> Result<Output, CliError> {
                match self {
                    $(Self::$verb(verb) => run_on_store(verb, json, config()?).await,)*
                    Self::New(verb) => verb.run(),
                    Self::Merge(verb) => verb.run(),
                }
            }
        }
    };
}

verbs! {
    Up(up::UpArgs), Down(down::DownArgs), Redo(redo::RedoArgs), Wait(wait::WaitArgs),
    Status(status::StatusArgs), Plan(plan::PlanArgs), Show(show::ShowArgs), History(history::HistoryArgs),
    Current(current::CurrentArgs), Heads(heads::HeadsArgs), Graph(graph::GraphArgs),
    Check(check::CheckArgs), Lint(lint::LintArgs), Verify(verify::VerifyArgs), Preflight(preflight::PreflightArgs),
    Diff(diff::DiffArgs), Test(test::TestArgs), Rehearse(rehearse::RehearseArgs),
    Stamp(stamp::StampArgs), Repair(repair::RepairArgs), Import(import::ImportArgs), Unlock(unlock::UnlockArgs),
    Backup(backup::BackupArgs), Backups(backups::BackupsArgs), Restore(restore::RestoreArgs), Reset(reset::ResetArgs),
}

async fn run_on_store(verb: impl Run, json: bool, mut config: Config) -> Result<Output, CliError> {
    config.migrate_allow_unknown |= verb.allows_unknown();
    let access = verb.access();
    Context::with(config, access, json, async |context| {
        if access != AccessMode::Read {
            tokio::spawn(stop_on_signal(context.stop.clone()));
        }
        verb.run(context).await
    })
    .await
}

/// Runs a verb and returns its exit code.
pub(super) async fn run(
    MigrateArgs { json, contexts, verb }: MigrateArgs,
    config: impl FnOnce() -> Result<Config, CliError>,
) -> Result<u8, CliError> {
    let config = || {
        let mut config = config()?;
        if !contexts.is_empty() {
            refuse_unknown_contexts(&contexts)?;
            config.migrate_contexts = contexts;
        }
        Ok(config)
    };
    let outcome = verb.run(json, config).await;
    if let Err(error) = &outcome
        && json
    {
        error.print_json();
    }
    Ok(outcome?.print(json))
}

/// Refuses a context that no migration declares. The configured ones may be those of another version.
fn refuse_unknown_contexts(contexts: &[String]) -> Result<(), CliError> {
    let migrations = migrations::all();
    let known: BTreeSet<_> = migrations.iter().flat_map(|one| one.meta().contexts.iter().copied()).collect();
    let Some(name) = contexts.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let meant = nearest(name, known.iter().copied());
    let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    let known =
        if known.is_empty() { "none is declared".to_owned() } else { Vec::from_iter(known).join(", ") };
    Err(CliError::usage(format!(
        "no migration has the context {name:?}{meant}; nothing was changed\n  contexts: {known}"
    )))
}

/// Stops a run between two batches after the first signal, and exits at once after the second.
async fn stop_on_signal(stop: CancellationToken) {
    let mut signals = Signals::install();
    signals.recv().await;
    print_error("stopping, after the current batch if there is one; send the signal again to stop at once");
    stop.cancel();
    signals.recv().await;
    // Like a kill: the next run resumes.
    std::process::exit(INTERRUPTED.into());
}
