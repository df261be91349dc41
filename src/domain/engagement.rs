//! Reactions and comments, which readers add to content.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::Id;
use super::resource::string_enum;

/// The maximum length of a comment, in characters.
pub const MAX_COMMENT_LENGTH: u64 = 5000;
/// The maximum number of links in a comment.
pub const MAX_COMMENT_LINKS: usize = 3;
/// The maximum number of people that a comment mentions.
pub const MAX_MENTIONS: usize = 50;
/// The maximum number of targets whose counts one request returns.
pub const MAX_COUNTED_TARGETS: usize = 200;
/// The time within which the author of a comment may change it.
pub const EDIT_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// The time within which an author may not repeat a comment.
pub const REPEAT_WINDOW: TimeDelta = TimeDelta::minutes(1);

string_enum! {
    /// A type of content that takes reactions.
    #[derive(PartialOrd, Ord)]
    TargetType {
        /// Stories.
        Story = "story",
        /// Projects.
        Project = "project",
    }
}

impl TargetType {
    /// Reports whether content of this type takes comments.
    pub fn takes_comments(self) -> bool {
        self == Self::Story
    }
}

string_enum! {
    /// A reaction.
    #[derive(PartialOrd, Ord)]
    ReactionTag {
        /// Approval.
        ThumbUp = "thumbup",
        /// Love.
        Heart = "heart",
        /// Surprise.
        Surprise = "surprise",
        /// Celebration.
        Celebrate = "celebrate",
        /// Gained insight.
        Insightful = "insightful",
    }
}

string_enum! {
    /// The state of a comment.
    CommentStatus {
        /// Everyone sees it.
        Visible = "visible",
        /// An administrator has to approve it.
        Pending = "pending",
        /// An administrator hid it.
        Hidden = "hidden",
        /// Its author, the owner of the content or an administrator deleted it.
        Deleted = "deleted",
    }
}

/// The rule for new comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Commenting {
    /// They are visible at once.
    #[default]
    Open,
    /// An administrator approves them.
    Moderated,
    /// There are none.
    Closed,
}

/// An item that takes reactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Its type.
    pub kind: TargetType,
    /// Its id.
    pub id: Id,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id.
    pub user_id: String,
    /// Display name.
    pub user_name: String,
}

/// A user who reacts or comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Id.
    pub id: Id,
    /// Display name.
    pub name: String,
    /// Picture.
    pub avatar_url: Option<String>,
}

/// The number of reactions and comments of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngagementCounts {
    /// Reactions by tag. Tags without reactions are absent.
    pub reactions: BTreeMap<ReactionTag, i64>,
    /// Visible comments and replies.
    pub comments: i64,
}

/// The reactions to a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reactions {
    /// Number by tag.
    pub counts: BTreeMap<ReactionTag, i64>,
    /// The caller's own.
    pub own: Vec<ReactionTag>,
    /// The people who reacted, by tag.
    pub people: BTreeMap<ReactionTag, Vec<Person>>,
}

/// A comment that someone writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentDraft {
    /// Plain text.
    pub content: String,
    /// The comment that this one replies to.
    pub parent_id: Option<String>,
    /// The people that it mentions.
    pub mentions: Vec<Person>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: Id,
    /// The type of its target.
    pub target_type: String,
    /// The id of its target.
    pub target_id: String,
    /// The comment that it replies to.
    pub parent_id: Option<String>,
    /// The id of its author.
    pub user_id: String,
    /// The name of its author.
    pub user_name: String,
    /// The picture of its author.
    pub user_avatar: Option<String>,
    /// Plain text.
    pub content: String,
    /// The people that it mentions.
    pub mentions: Vec<Person>,
    /// Time of creation.
    pub created: DateTime<Utc>,
    /// Time of the last change.
    pub updated: DateTime<Utc>,
    /// Time of the deletion.
    pub deleted: Option<DateTime<Utc>>,
    /// Its state.
    pub status: CommentStatus,
    /// Replies to it, oldest first.
    pub replies: Vec<Self>,
}

impl Comment {
    /// Returns the target, unless it is of a type that takes none.
    pub fn target(&self) -> Option<Target> {
        let kind = self.target_type.parse().ok()?;
        Some(Target { kind, id: Id::parse(&self.target_id).ok()? })
    }

    /// Reports whether its author may still change it.
    pub fn is_editable(&self, now: DateTime<Utc>) -> bool {
        now - self.created <= EDIT_WINDOW
    }

    /// Removes what its author wrote and who they are. A placeholder stays in the place of a comment that has replies.
    #[must_use]
    fn into_placeholder(self) -> Self {
        Self {
            deleted: Some(self.deleted.unwrap_or(self.updated)),
            user_id: String::new(),
            user_name: String::new(),
            user_avatar: None,
            content: String::new(),
            mentions: Vec::new(),
            ..self
        }
    }
}

/// Arranges comments as threads, oldest first: replies below the comments that they reply to. `withdrawn` holds comments that
/// are not shown but may have replies; placeholders take their places. Replies to a comment that does not exist are left out.
pub fn threads(shown: Vec<Comment>, withdrawn: Vec<Comment>) -> Vec<Comment> {
    let (replies, mut roots): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|comment| comment.parent_id.is_some());
    roots.extend(withdrawn.into_iter().map(Comment::into_placeholder));
    roots.sort_by_key(|comment| (comment.created, comment.id));
    let places: HashMap<_, _> =
        roots.iter().enumerate().map(|(place, root)| (root.id.to_string(), place)).collect();
    for reply in replies {
        let place = reply.parent_id.as_deref().and_then(|parent| places.get(parent));
        if let Some(&place) = place {
            roots[place].replies.push(reply);
        }
    }
    roots
}

/// Returns the number of links in a plain text.
pub fn count_links(text: &str) -> usize {
    let text = text.to_ascii_lowercase();
    let schemes = text.matches("://").count();
    // `www.` after a scheme belongs to the same link.
    let bare = text.match_indices("www.").filter(|(at, _)| !text[..*at].ends_with("://")).count();
    schemes + bare
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(n: u32, parent: Option<u32>) -> Comment {
        let id = |n: u32| Id::parse(&format!("{n:024x}")).unwrap();
        let at = DateTime::from_timestamp(i64::from(n), 0).unwrap();
        Comment {
            id: id(n),
            target_type: "story".to_owned(),
            target_id: id(0).to_string(),
            parent_id: parent.map(|parent| id(parent).to_string()),
            user_id: "u".to_owned(),
            user_name: "Name".to_owned(),
            user_avatar: Some("a".to_owned()),
            content: format!("{n}"),
            mentions: Vec::new(),
            created: at,
            updated: at,
            deleted: None,
            status: CommentStatus::Visible,
            replies: Vec::new(),
        }
    }

    #[test]
    fn replies_are_below_their_comments_and_placeholders_keep_their_place() {
        let shown = vec![comment(1, None), comment(3, None), comment(4, Some(2)), comment(5, Some(1))];
        let orphan = comment(6, Some(9));
        let threads = threads(shown.into_iter().chain([orphan]).collect(), vec![comment(2, None)]);
        let texts = |comments: &[Comment]| -> Vec<_> {
            comments.iter().map(|comment| comment.content.clone()).collect()
        };
        assert_eq!(texts(&threads), ["1", "", "3"]);
        assert_eq!(texts(&threads[0].replies), ["5"]);
        assert_eq!(texts(&threads[1].replies), ["4"]);
        let placeholder = &threads[1];
        assert!(placeholder.deleted.is_some() && placeholder.user_avatar.is_none());
        assert_eq!((&*placeholder.user_id, &*placeholder.user_name), ("", ""));
    }

    #[test]
    fn links_are_counted_once_each() {
        for (text, links) in [
            ("no links", 0),
            ("http://a.example and HTTPS://b.example", 2),
            ("https://www.a.example", 1),
            ("WWW.a.example, www.b.example", 2),
            ("www", 0),
        ] {
            assert_eq!(count_links(text), links, "{text}");
        }
    }
}
