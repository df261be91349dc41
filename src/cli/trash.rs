use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;

use super::CliError;
use super::age::age;
use super::migrate::{confirm, say};
use crate::clock::SystemClock;
use crate::config::{Config, StoreConfig};
use crate::domain::TrashType;
use crate::service::Trash;
use crate::startup;

/// The exit code of what would lose data and was not confirmed, as for migrations.
const NOT_CONFIRMED: u8 = 8;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Remove for good what has been deleted for so long, and the old addresses that it had
    #[command(after_help = "Examples:
  field-notes trash purge --older-than 30d --dry-run
  field-notes trash purge --older-than 12h --type stories --yes

What was deleted without a date, by another program, counts from its last change.")]
    Purge {
        /// How long ago: a number and s, m, h, d or w, as in 30d
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: TimeDelta,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Only these; may be given several times
        #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = types())]
        types: Vec<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn types() -> PossibleValuesParser {
    PossibleValuesParser::new(TrashType::WORDS)
}

pub(super) async fn run(verb: Verb, config: Config) -> Result<(), CliError> {
    if let StoreConfig::Embedded { path } = &config.store
        && !path.exists()
    {
        // Opening would make the file.
        say("nothing to purge\n");
        return Ok(());
    }
    let database = startup::open_store(&config.store).await?;
    let trash = startup::services(&config, &database, Arc::new(SystemClock)).trash;
    let Verb::Purge { older_than, dry_run, types, yes } = verb;
    let outcome = purge(&trash, older_than, dry_run, &wanted(&types), yes).await;
    database.close().await;
    outcome
}

/// All of them, if none is named.
fn wanted(types: &[String]) -> Vec<TrashType> {
    let named = |kind: &TrashType| types.is_empty() || types.iter().any(|name| name == kind.as_str());
    TrashType::ALL.iter().copied().filter(named).collect()
}

async fn purge(
    trash: &Trash,
    age: TimeDelta,
    dry_run: bool,
    types: &[TrashType],
    yes: bool,
) -> Result<(), CliError> {
    let mut counts = BTreeMap::new();
    for kind in types {
        counts.insert(*kind, trash.count_older(*kind, age).await?);
    }
    if dry_run {
        say(&format!("would purge {}\n", told(&counts)));
        return Ok(());
    }
    if counts.values().all(|count| *count == 0) {
        say("nothing to purge\n");
        return Ok(());
    }
    if !yes && !confirmed(&counts) {
        let message = format!(
            "purging loses what is in the trash ({}); nothing was changed\n  add --yes to do it all the same",
            told(&counts)
        );
        return Err(CliError { message, code: NOT_CONFIRMED });
    }
    for kind in types {
        counts.insert(*kind, trash.purge_older(*kind, age).await?);
    }
    say(&format!("purged {}\n", told(&counts)));
    Ok(())
}

fn confirmed(counts: &BTreeMap<TrashType, u64>) -> bool {
    io::stdin().is_terminal() && {
        say(&format!("this will be gone for good: {}\n", told(counts)));
        confirm()
    }
}

fn told(counts: &BTreeMap<TrashType, u64>) -> String {
    counts.iter().map(|(kind, count)| format!("{}: {count}", kind.as_str())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_means_all_of_them() {
        assert_eq!(wanted(&[]), TrashType::ALL);
        assert_eq!(wanted(&["pages".to_owned()]), [TrashType::Pages]);
    }
}
