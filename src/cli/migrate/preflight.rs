use clap::Args;
use migrator::{CheckLevel, PreflightCheck};

use super::plan::UpRange;
use crate::startup::{self, Phase};

use super::{CliError, Context, Lines, Output, Run};

/// Check that `up` can run: server, privileges, variables, lock, modes, space for backups
///
/// Examples:
///   field-notes migrate preflight
///   field-notes migrate preflight --to 0004 --json
///
/// Exits with 8 if `up` would be refused or fail. Nothing is written.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct PreflightArgs {
    #[command(flatten)]
    range: UpRange,
}

impl Run for PreflightArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let mut found = context.migrator.preflight(&self.range.into()).await;
        if context.store_is_missing() {
            if let Some(check) = found.checks.iter_mut().find(|check| check.name == "connection") {
                "the store does not exist yet; `up` creates it".clone_into(&mut check.text);
            }
            // It would be about the placeholder.
            found.checks.retain(|check| check.name != "space");
        }
        let Context { config, database, migrator, .. } = context;
        let (indexes, others): (Vec<_>, Vec<_>) = startup::expected_failures(config, database, migrator)
            .await?
            .into_iter()
            .partition(|failure| failure.phase == Phase::Indexes);
        let mut add = |name, texts: Vec<String>, fine: &str| {
            let level = if texts.is_empty() { CheckLevel::Ok } else { CheckLevel::Error };
            let text = if texts.is_empty() { fine.to_owned() } else { texts.join("; ") };
            found.checks.push(PreflightCheck { name, level, text });
        };
        add(
            "indexes",
            indexes.into_iter().map(|failure| failure.message).collect(),
            "a start can create them",
        );
        add(
            "start",
            others.into_iter().map(|failure| failure.message).collect(),
            "nothing else would end it",
        );
        let mut text = String::new();
        for check in &found.checks {
            let mark = match check.level {
                CheckLevel::Ok => "✓",
                CheckLevel::Warning => "!",
                CheckLevel::Error => "✗",
            };
            text.push_line(format!("{mark} {}: {}", check.name, check.text));
        }
        let verdict = if found.passed() { "`up` can run" } else { "`up` would be refused or fail" };
        text.push_line(format!("{verdict}; nothing was changed"));
        let code = found.exit_code();
        Ok(Output::new(&found, text).with_code(code))
    }
}
