use clap::Args;
use migrator::UpTarget;
use migrator::rehearsal::{RehearsalReport, RehearsalRequest};

use super::up::details;
use super::{CliError, Context, Lines, Output, Run};

/// Apply pending migrations to a copy of the database, and report result and duration
///
/// Examples:
///   field-notes migrate rehearse
///   field-notes migrate rehearse --to 0004 --sample 10000
///
/// Only reads the database. Exits with the code that the real run would have.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RehearseArgs {
    /// Apply up to this migration, with its dependencies (id or unique prefix)
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    /// Copy at most N documents of each affected collection
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
}

impl Run for RehearseArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let target = self.to.map_or(UpTarget::All, UpTarget::To);
        let request = RehearsalRequest { target, sample: self.sample };
        let rehearsal = context.migrator.rehearse(&request).await?;
        let code = rehearsal.failure.as_ref().map_or(0, |failure| failure.exit_code);
        Ok(Output::new(&rehearsal, text(&rehearsal)).with_code(code))
    }
}

fn text(rehearsal: &RehearsalReport) -> String {
    let mut text = String::new();
    for copied in &rehearsal.copied {
        let part =
            if copied.documents == copied.total { String::new() } else { format!(" of {}", copied.total) };
        text.push_line(format!("copied {}: {}{part}", copied.collection, copied.documents));
    }
    text.push_line(format!("the copy took {} ms", rehearsal.copy.as_millis()));
    for applied in &rehearsal.applied {
        text.push_line(format!("applied {} in {} ms", applied.id, applied.duration.as_millis()));
        details(&mut text, &applied.counts, &applied.warnings);
    }
    text.push_lines(
        rehearsal.findings.iter().map(|(migration, finding)| {
            format!("condition does not hold afterwards: {migration}: {finding}")
        }),
    );
    if let Some(failure) = &rehearsal.failure {
        text.push_line(&failure.error);
        text.push_lines(
            failure
                .violations
                .iter()
                .map(|one| format!("    violation: {} of {}: {}", one.id, one.collection, one.why)),
        );
    } else if rehearsal.pending.is_empty() {
        text.push_str("nothing is pending\n");
    }
    text + "the copy is removed; nothing was changed\n"
}
