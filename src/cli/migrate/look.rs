use clap::Subcommand;

use super::desk::Desk;
use super::status::View;
use super::told::Told;
use crate::cli::Ended;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// List applied and pending migrations
    #[command(after_help = "Examples:
  field-notes migrate status
  field-notes migrate status --json")]
    Status,
}

impl Verb {
    pub(super) async fn carry_out(self, desk: &Desk) -> Result<Told, Ended> {
        match self {
            Self::Status => {
                let view = View::from(desk.migrator.status().await?);
                Ok(Told::new(&view, view.text()))
            }
        }
    }
}
