use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::age::age;
use super::context::{AccessMode, Context};
use super::output::{CliError, Output};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::TrashType;
use crate::startup;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Delete old trash for good, with its redirects
    ///
    /// Examples:
    ///   field-notes trash purge --older-than 30d --dry-run
    ///   field-notes trash purge --older-than 12h --type stories --yes
    ///
    /// An item that was deleted without a date, by another program, counts from its last change.
    #[command(verbatim_doc_comment)]
    Purge {
        /// Minimum time since deletion: a number and s, m, h, d or w, as in 30d
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: TimeDelta,
        /// Print what would be purged, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Purge only this type (repeatable)
        #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = type_parser())]
        types: Vec<TrashType>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn type_parser() -> impl TypedValueParser<Value = TrashType> {
    PossibleValuesParser::new(TrashType::WORDS)
        .map(|name| name.parse().expect("the possible values are the names of types"))
}

pub(super) async fn run(verb: Verb, config: Config) -> Result<Output, CliError> {
    let Verb::Purge { older_than, dry_run, types, yes } = verb;
    Context::with(config, AccessMode::Write, false, async |context| {
        let nothing = || Ok(Output::text("nothing to purge\n"));
        if context.store_is_missing() {
            return nothing();
        }
        let trash = startup::services(&context.config, &context.database, Arc::new(SystemClock)).trash;
        let mut counts = BTreeMap::new();
        for kind in TrashType::ALL.iter().copied().filter(|kind| types.is_empty() || types.contains(kind)) {
            counts.insert(kind, trash.count_older(kind, older_than).await?);
        }
        if dry_run {
            return Ok(Output::text(format!("would purge {}\n", counts_text(&counts))));
        }
        if counts.values().all(|count| *count == 0) {
            return nothing();
        }
        let text = counts_text(&counts);
        if !yes && !context.confirm(&format!("this deletes for good: {text}\n"))? {
            return Err(CliError::refused(format!(
                "purging deletes from the trash for good ({text}); nothing was changed\n  add --yes to confirm"
            )));
        }
        for (kind, count) in &mut counts {
            *count = trash.purge_older(*kind, older_than).await?;
        }
        Ok(Output::text(format!("purged {}\n", counts_text(&counts))))
    })
    .await
}

fn counts_text(counts: &BTreeMap<TrashType, u64>) -> String {
    counts.iter().map(|(kind, count)| format!("{}: {count}", kind.as_str())).collect::<Vec<_>>().join(", ")
}
