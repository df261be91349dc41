use bson::{Document, RawDocument, doc};
use chrono::{DateTime, Utc};
use docstore::{Filter, Index};

use crate::domain::{Participant, Person, ReactionTag, Target};
use crate::repository::Error;
use crate::repository::entities::engagement_counts::of_target;
use crate::repository::row::{instant, read_row, text, word};

/// The collection of reactions.
pub(in crate::repository) const COLLECTION: &str = "reactions";
/// The index that keeps a user from giving a reaction twice.
pub(in crate::repository) const UNIQUE: &str = "unique_user_reaction";
pub(in crate::repository) const TAG: &str = "reaction_tag";

/// Returns the indexes of the collection.
pub(in crate::repository) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["target_type", "target_id"]),
        Index::on(["target_type", "target_id", "user_id", TAG]).named(UNIQUE).unique(),
        Index::on(["user_id"]),
    ]
}

/// Returns a new document.
pub(in crate::repository) fn document(
    target: Target,
    user: &Participant,
    tag: ReactionTag,
    now: DateTime<Utc>,
) -> Document {
    doc! {
        "target_type": target.kind.as_str(), "target_id": target.id.to_string(), "user_id": user.id.to_string(),
        "user_name": &user.name, TAG: tag.as_str(), "created_at": instant(now),
    }
}

/// Selects the reaction of a user with a tag.
pub(in crate::repository) fn own(target: Target, user_id: &str, tag: ReactionTag) -> Filter {
    of_target(target).also(Filter::eq("user_id", user_id)).also(Filter::eq(TAG, tag.as_str()))
}

/// Reads a reaction.
pub(in crate::repository) fn read(document: &RawDocument) -> Result<(ReactionTag, Person), Error> {
    read_row(COLLECTION, document, |row| {
        let person = Person {
            user_id: row.read("user_id", text)?,
            user_name: row.read("user_name", |value| Some(text(value).unwrap_or_default()))?,
        };
        Ok((row.read(TAG, word)?, person))
    })
}
