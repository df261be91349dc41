use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde_json::{Value, json};

use super::context::{AccessMode, Context};
use super::output::{CliError, Output};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::{Comment, Participant, Person};
use crate::repository::Contributions;
use crate::startup;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Print the comments and reactions of a user as JSON
    ///
    /// Examples:
    ///   field-notes user export ada@example.com > ada.json
    #[command(verbatim_doc_comment)]
    Export {
        /// E-mail address of the user
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Erase the comments and reactions of a user, and mentions of them
    ///
    /// Examples:
    ///   field-notes user erase ada@example.com
    ///   field-notes user erase ada@example.com --yes
    ///
    /// Without --yes, prints what would be erased and changes nothing. Comments with replies stay as placeholders, without text
    /// and author. The user and their stories, projects and pages stay.
    #[command(verbatim_doc_comment)]
    Erase {
        /// E-mail address of the user
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Erase
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(verb: Verb, config: Config) -> Result<Output, CliError> {
    let access =
        if matches!(verb, Verb::Erase { yes: true, .. }) { AccessMode::Write } else { AccessMode::Read };
    let work = Context::with(config, access, false, async |context| {
        let (Verb::Export { email } | Verb::Erase { email, .. }) = &verb;
        let engagement =
            startup::services(&context.config, &context.database, Arc::new(SystemClock)).engagement;
        let Some((user, contributions)) = engagement.contributions(email).await? else {
            return Err(CliError::failed(format!("no user has the e-mail address {email}")));
        };
        let Contributions { comments, reactions, mentions } = &contributions;
        let counts =
            format!("comments: {}, reactions: {}, mentions: {mentions}", comments.len(), reactions.len());
        Ok(Output::text(match verb {
            Verb::Export { .. } => format!("{:#}\n", export(email, &user, &contributions)),
            Verb::Erase { yes: false, .. } => {
                format!("would erase {counts}\nadd --yes to erase them for good\n")
            }
            Verb::Erase { .. } => {
                engagement.erase(user.id).await?;
                format!("erased {counts}\n")
            }
        }))
    });
    Box::pin(work).await
}

fn export(email: &str, user: &Participant, contributions: &Contributions) -> Value {
    let Contributions { comments, reactions, mentions: _ } = contributions;
    let reactions: Vec<_> = reactions
        .iter()
        .map(|(kind, id, tag)| json!({ "target_type": kind, "target_id": id, "reaction_tag": tag.as_str() }))
        .collect();
    json!({
        "user": { "id": user.id.to_string(), "email": email, "name": user.name, "avatar_url": user.avatar_url },
        "comments": comments.iter().map(comment).collect::<Vec<_>>(),
        "reactions": reactions,
    })
}

fn comment(comment: &Comment) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mention =
        |Person { user_id, user_name }: &Person| json!({ "user_id": user_id, "user_name": user_name });
    json!({
        "id": comment.id.to_string(),
        "target_type": comment.target_type,
        "target_id": comment.target_id,
        "parent_id": comment.parent_id,
        "content": comment.content,
        "mentions": comment.mentions.iter().map(mention).collect::<Vec<_>>(),
        "created_at": time(comment.created),
        "updated_at": time(comment.updated),
        "deleted_at": comment.deleted.map(time),
        "status": comment.status.as_str(),
    })
}
