use std::fmt::Write as _;

use clap::Args;
use migrator::CheckLevel;

use super::Run;
use super::plan::UpRange;
use crate::cli::context::Context;
use crate::cli::output::{CliError, Output};

/// Check that `up` can run: server, privileges, variables, lock, modes, space for backups
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate preflight
  field-notes migrate preflight --to 0004 --json

Exits with 8 if `up` would be refused or fail. Nothing is written.")]
pub(super) struct PreflightArgs {
    #[command(flatten)]
    range: UpRange,
}

impl Run for PreflightArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let mut found = context.migrator.preflight(&self.range.into()).await;
        if context.store_is_missing()
            && let Some(check) = found.checks.iter_mut().find(|check| check.name == "connection")
        {
            "the store does not exist yet; `up` creates it".clone_into(&mut check.text);
        }
        let mut text = String::new();
        for check in &found.checks {
            let mark = match check.level {
                CheckLevel::Ok => "✓",
                CheckLevel::Warning => "!",
                CheckLevel::Error => "✗",
            };
            _ = writeln!(text, "{mark} {}: {}", check.name, check.text);
        }
        let verdict = if found.passed() { "`up` can run" } else { "`up` would be refused or fail" };
        _ = writeln!(text, "{verdict}; nothing was changed");
        let code = found.exit_code();
        Ok(Output::new(&found, text).with_code(code))
    }
}
