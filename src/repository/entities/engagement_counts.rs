use bson::{Bson, Document, RawDocument, doc};
use docstore::{Filter, Update};

use crate::domain::{EngagementCounts, ReactionTag, Target};
use crate::repository::Error;
use crate::repository::row::{integer_or_zero, read_row};

/// The collection of counts: one document for each target, whose id is its type and its id.
pub(in crate::repository) const COLLECTION: &str = "engagement_counts";
/// The field that grows with each change of the target's reactions and comments.
pub(in crate::repository) const VERSION: &str = "version";

/// One of the counts of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::repository) enum Count {
    /// Reactions with a tag.
    Reactions(ReactionTag),
    /// Visible comments.
    Comments,
}

impl Count {
    /// Returns the field that holds it.
    pub(in crate::repository) fn field(self) -> &'static str {
        match self {
            Self::Reactions(ReactionTag::ThumbUp) => "reactions.thumbup",
            Self::Reactions(ReactionTag::Heart) => "reactions.heart",
            Self::Reactions(ReactionTag::Surprise) => "reactions.surprise",
            Self::Reactions(ReactionTag::Celebrate) => "reactions.celebrate",
            Self::Reactions(ReactionTag::Insightful) => "reactions.insightful",
            Self::Comments => "comment_count",
        }
    }

    /// Returns the update after `by` were added.
    pub(in crate::repository) fn change(self, by: i64) -> Update {
        let update = Update::new().inc(VERSION, 1_i64);
        if by == 0 { update } else { update.inc(self.field(), by) }
    }
}

/// Selects the documents of a target.
pub(in crate::repository) fn of_target(target: Target) -> Filter {
    Filter::and([
        Filter::eq("target_type", target.kind.as_str()),
        Filter::eq("target_id", target.id.to_string()),
    ])
}

/// Selects the counts of a target.
pub(in crate::repository) fn by_target(target: Target) -> Filter {
    Filter::id(target.to_string())
}

/// Returns the document of counts.
pub(in crate::repository) fn document(target: Target, counts: &EngagementCounts) -> Document {
    let EngagementCounts { reactions, comments } = counts;
    let reactions: Document =
        reactions.iter().map(|(tag, count)| (tag.as_str().to_owned(), Bson::Int64(*count))).collect();
    doc! { "_id": target.to_string(), "reactions": reactions, "comment_count": *comments, VERSION: 0_i64 }
}

/// Reads counts. Negative counts, which only a manual change can cause, are read as zero.
pub(in crate::repository) fn read(document: &RawDocument) -> Result<EngagementCounts, Error> {
    let reactions = document.get_document("reactions").ok();
    let count = |tag: &ReactionTag| {
        let stored = reactions.and_then(|reactions| reactions.get(tag.as_str()).ok().flatten());
        let count = integer_or_zero(stored).filter(|count| *count > 0)?;
        Some((*tag, count))
    };
    let comments = read_row(COLLECTION, document, |row| row.read("comment_count", integer_or_zero))?;
    Ok(EngagementCounts {
        reactions: ReactionTag::ALL.iter().filter_map(count).collect(),
        comments: comments.max(0),
    })
}
