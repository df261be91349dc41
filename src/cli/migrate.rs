use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Subcommand;
use docstore::Database;
use migrator::{DownRequest, Graph, Migrator, UpMode};

use super::Ended;
use super::status::View;
use crate::config::{Config, StoreConfig};
use crate::startup;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Apply pending migrations, and retry one that failed
    #[command(after_help = "Examples:
  field-notes migrate up
  field-notes migrate up --allow-unknown")]
    Up {
        /// Take over names in the original's ledger that this program does not know
        #[arg(long)]
        allow_unknown: bool,
    },
    /// Take back the last applied migration, that one only
    #[command(after_help = "Examples:
  field-notes migrate down
  field-notes migrate down --yes")]
    Down {
        /// Do it even if data would be lost
        #[arg(long)]
        yes: bool,
    },
    /// List applied and pending migrations; writes nothing
    #[command(after_help = "Examples:
  field-notes migrate status
  field-notes migrate status --json")]
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn carry_out(verb: Verb, mut config: Config) -> Result<(), Ended> {
    if let Verb::Up { allow_unknown: true } = verb {
        config.migrate_allow_unknown = true;
    }
    if let StoreConfig::Embedded { path } = &config.store
        && !matches!(verb, Verb::Up { .. })
        && !path.exists()
    {
        // Opening would make the file, and looking must not.
        return without_store(&verb);
    }
    let database = startup::open_store(&config.store).await?;
    let outcome = on(&database, &verb, &config).await;
    database.close().await;
    outcome
}

fn without_store(verb: &Verb) -> Result<(), Ended> {
    match verb {
        Verb::Status { json } => {
            let graph = Graph::new(migrations::all()).map_err(migrator::Error::from)?;
            say(&View::all_pending(graph.ids()).shown(*json));
        }
        Verb::Down { .. } | Verb::Up { .. } => say("nothing is applied\n"),
    }
    Ok(())
}

async fn on(database: &Database, verb: &Verb, config: &Config) -> Result<(), Ended> {
    let actor = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
    let migrator = startup::migrator(database, startup::settings(config, &actor))?;
    match verb {
        Verb::Up { .. } => up(&migrator).await,
        Verb::Down { yes } => down(&migrator, *yes).await,
        Verb::Status { json } => {
            say(&View::from(migrator.status().await?).shown(*json));
            Ok(())
        }
    }
}

async fn up(migrator: &Migrator) -> Result<(), Ended> {
    let report = migrator.up(UpMode::Operator).await?;
    for id in &report.rolled_back {
        say(&format!("finished taking back {id}\n"));
    }
    for imported in &report.imported {
        say(&format!("took over {}\n", imported.id));
    }
    for applied in &report.applied {
        say(&format!("applied {} in {} ms\n", applied.id, applied.duration.as_millis()));
        for step in &applied.counts {
            say(&format!("    {step}\n"));
        }
        for warning in &applied.warnings {
            say(&format!("    warning: {warning}\n"));
        }
    }
    for (migration, finding) in &report.findings {
        say(&format!("warning: {migration}: {}\n", finding.0));
    }
    if report.applied.is_empty() && report.imported.is_empty() {
        say(&format!("nothing to do: {} applied\n", report.already));
    }
    Ok(())
}

async fn down(migrator: &Migrator, yes: bool) -> Result<(), Ended> {
    let plans = migrator.plan_down(DownRequest::last()).await?;
    let Some(plan) = plans.first() else {
        say("nothing is applied\n");
        return Ok(());
    };
    let yes =
        yes || (!plan.losses.is_empty() && io::stdin().is_terminal() && is_confirmed(&plan.id, &plan.losses));
    for report in migrator.down(DownRequest { yes, ..DownRequest::last() }).await? {
        say(&format!("took back {} in {} ms\n", report.id, report.duration.as_millis()));
        for step in &report.counts {
            say(&format!("    {step}\n"));
        }
        for warning in &report.warnings {
            say(&format!("    warning: {warning}\n"));
        }
    }
    Ok(())
}

fn is_confirmed(id: &str, losses: &[String]) -> bool {
    say(&format!("taking back {id} loses data:\n"));
    for loss in losses {
        say(&format!("    {loss}\n"));
    }
    go_on()
}

/// Asks whoever sits there.
pub(super) fn go_on() -> bool {
    say("go on? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).is_ok();
    read && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// To standard output; a reader that left early is no error.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
