use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Error;
use crate::clock::Clock;
use crate::domain::{
    Caller, Comment, CommentDraft, CommentStatus, Commenting, EngagementCounts, Id, Listing,
    MAX_COMMENT_LINKS, Participant, REPEAT_WINDOW, ReactionTag, Reactions, Role, Target, TargetType, Window,
    count_links,
};
use crate::repository::{Contributions, EngagementRecords, Users};

/// The maximum number of characters of an unknown type that an error repeats.
const MAX_REPEATED: usize = 40;

/// A part of the engagement with content, which a type of content may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Reactions,
    Comments,
}

/// Reactions and comments. Cheap to clone.
#[derive(Clone)]
pub struct Engagement {
    records: EngagementRecords,
    users: Users,
    commenting: Commenting,
    clock: Arc<dyn Clock>,
}

impl Engagement {
    /// Stores reactions and comments in `records`.
    pub fn new(
        records: EngagementRecords,
        users: Users,
        commenting: Commenting,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { records, users, commenting, clock }
    }

    /// Returns the reactions to a target, and which of them are the caller's. A target that is not public has none.
    pub async fn reactions(&self, caller: Option<&Caller>, kind: &str, id: &str) -> Result<Reactions, Error> {
        let target = parse(kind, id, Feature::Reactions)?;
        if !self.is_public(target).await? {
            return Ok(Reactions::default());
        }
        Ok(self.records.reactions(target, caller.map(|caller| caller.id)).await?)
    }

    /// Adds the reaction of a user to a target, or removes it. Returns true if it was added.
    pub async fn toggle(
        &self,
        user: &Participant,
        kind: &str,
        id: &str,
        tag: ReactionTag,
    ) -> Result<bool, Error> {
        let target = parse(kind, id, Feature::Reactions)?;
        let added = self.records.toggle(target, user, tag, self.clock.now()).await?;
        added.ok_or(Error::TargetNotFound(target.kind))
    }

    /// Returns the comments on a target, oldest first, and those of the caller that await approval. A target that is not
    /// public has none.
    pub async fn comments(
        &self,
        caller: Option<&Caller>,
        kind: &str,
        id: &str,
    ) -> Result<Vec<Comment>, Error> {
        let target = parse(kind, id, Feature::Comments)?;
        if !self.is_public(target).await? {
            return Ok(Vec::new());
        }
        Ok(self.records.threads(target, caller.map(|caller| caller.id)).await?)
    }

    /// Adds a comment on a target.
    pub async fn add_comment(
        &self,
        user: &Participant,
        role: Role,
        kind: &str,
        id: &str,
        draft: CommentDraft,
    ) -> Result<Comment, Error> {
        let target = parse(kind, id, Feature::Comments)?;
        if self.commenting == Commenting::Closed {
            return Err(Error::CommentsClosed);
        }
        check_links(&draft.content)?;
        self.require_public(target).await?;
        let CommentDraft { content, parent_id, mentions } = draft;
        let parent_id = match parent_id {
            None => None,
            Some(parent) => Some(self.parent(target, &parent).await?.to_string()),
        };
        let now = self.clock.now();
        let comment = Comment {
            id: EngagementRecords::unused_comment_id(),
            target_type: target.kind.as_str().to_owned(),
            target_id: target.id.to_string(),
            parent_id,
            user_id: user.id.to_string(),
            user_name: user.name.clone(),
            user_avatar: user.avatar_url.clone(),
            content,
            mentions,
            created: now,
            updated: now,
            deleted: None,
            status: self.status_of_new(role),
            replies: Vec::new(),
        };
        if self.records.is_repetition(&comment, now - REPEAT_WINDOW).await? {
            return Err(Error::CommentRepeated);
        }
        self.records.add_comment(target, &comment).await?;
        Ok(comment)
    }

    /// Replaces the text of the caller's own comment, while it is new.
    pub async fn edit_comment(&self, caller: &Caller, id: &str, content: &str) -> Result<Comment, Error> {
        let id = parse_comment(id)?;
        loop {
            let mut comment = self.find_comment(id).await?;
            if comment.user_id != caller.id.to_string() {
                return Err(Error::NotOwnComment { action: "edit" });
            }
            let now = self.clock.now();
            if !comment.is_editable(now) || self.commenting == Commenting::Closed {
                return Err(Error::EditClosed);
            }
            check_links(content)?;
            if let Some(target) = comment.target() {
                self.require_public(target).await?;
            }
            let status = match comment.status {
                CommentStatus::Visible => self.status_of_new(caller.role),
                other => other,
            };
            if self.records.set_content(&comment, content, status, now).await? {
                content.clone_into(&mut comment.content);
                (comment.updated, comment.status) = (now, status);
                return Ok(comment);
            }
        }
    }

    /// Deletes a comment: its author, the owner of the content and administrators may.
    pub async fn delete_comment(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let id = parse_comment(id)?;
        loop {
            let comment = self.find_comment(id).await?;
            if !self.may_delete(caller, &comment).await? {
                return Err(Error::NotOwnComment { action: "delete" });
            }
            if self.records.set_status(&comment, CommentStatus::Deleted, self.clock.now()).await? {
                return Ok(());
            }
        }
    }

    /// Hides a comment from everyone, or shows one that was hidden or awaits approval; for administrators.
    pub async fn moderate(&self, caller: &Caller, id: &str, status: CommentStatus) -> Result<Comment, Error> {
        authorize(caller)?;
        let id = parse_comment(id)?;
        loop {
            let mut comment = self.find_comment(id).await?;
            if comment.status == status || self.records.set_status(&comment, status, self.clock.now()).await?
            {
                comment.status = status;
                return Ok(comment);
            }
        }
    }

    /// Lists comments in a state since a time, the newest first; for administrators.
    pub async fn list_comments(
        &self,
        caller: &Caller,
        status: Option<CommentStatus>,
        since: Option<DateTime<Utc>>,
        window: Window,
    ) -> Result<Listing<Comment>, Error> {
        authorize(caller)?;
        Ok(self.records.list_comments(status, since, window).await?)
    }

    /// Returns the counts of targets, each a type and an id. Those that are not public have none.
    pub async fn counts(
        &self,
        targets: Vec<(String, String)>,
    ) -> Result<BTreeMap<(String, String), EngagementCounts>, Error> {
        let parsed = |(kind, id): &(String, String)| {
            Some(Target { kind: kind.parse().ok()?, id: Id::parse(id).ok()? })
        };
        let known: Vec<_> = targets.iter().filter_map(parsed).collect();
        let (public, mut counts) =
            tokio::try_join!(self.records.published(&known), self.records.counts(&known))?;
        let missing: Vec<_> = public.iter().filter(|target| !counts.contains_key(target)).copied().collect();
        counts.extend(self.records.count(&missing).await?);
        let with_counts = |name: (String, String)| {
            let target = parsed(&name).filter(|target| public.contains(target));
            let counts = target.and_then(|target| counts.get(&target)).cloned().unwrap_or_default();
            (name, counts)
        };
        Ok(targets.into_iter().map(with_counts).collect())
    }

    /// Returns the user with an e-mail address, and everything that they added.
    pub async fn contributions(&self, email: &str) -> Result<Option<(Participant, Contributions)>, Error> {
        let Some(user) = self.users.find_address(email).await? else { return Ok(None) };
        let contributions = self.records.contributions(user.id).await?;
        Ok(Some((Participant { id: user.id, name: user.name, avatar_url: user.avatar_url }, contributions)))
    }

    /// Removes everything that a user added.
    pub async fn erase(&self, user: Id) -> Result<(), Error> {
        Ok(self.records.erase(user, self.clock.now()).await?)
    }

    fn status_of_new(&self, role: Role) -> CommentStatus {
        if self.commenting == Commenting::Moderated && role != Role::Admin {
            CommentStatus::Pending
        } else {
            CommentStatus::Visible
        }
    }

    /// Returns a comment that is not deleted.
    async fn find_comment(&self, id: Id) -> Result<Comment, Error> {
        let found = self.records.find_comment(id).await?;
        found.filter(|comment| comment.status != CommentStatus::Deleted).ok_or(Error::NotFound("Comment"))
    }

    async fn may_delete(&self, caller: &Caller, comment: &Comment) -> Result<bool, Error> {
        if caller.may_edit(Some(&comment.user_id)) {
            return Ok(true);
        }
        let Some(target) = comment.target() else { return Ok(false) };
        Ok(caller.may_edit(self.records.owner(target).await?.as_deref()))
    }

    /// Returns the id of the comment that a reply names: a visible one on the same target that is no reply itself.
    async fn parent(&self, target: Target, id: &str) -> Result<Id, Error> {
        let id = Id::parse(id).map_err(|_| Error::InvalidReference("parent"))?;
        let parent = self.records.find_comment(id).await?.filter(|parent| {
            parent.target() == Some(target)
                && parent.parent_id.is_none()
                && parent.status == CommentStatus::Visible
        });
        parent.map(|parent| parent.id).ok_or(Error::NotFound("Parent comment"))
    }

    async fn is_public(&self, target: Target) -> Result<bool, Error> {
        Ok(self.records.published(&[target]).await?.contains(&target))
    }

    async fn require_public(&self, target: Target) -> Result<Target, Error> {
        if self.is_public(target).await? { Ok(target) } else { Err(Error::TargetNotFound(target.kind)) }
    }
}

fn parse(kind: &str, id: &str, feature: Feature) -> Result<Target, Error> {
    let unknown = |()| Error::UnknownTargetType(kind.chars().take(MAX_REPEATED).collect());
    let kind: TargetType = kind.parse().map_err(unknown)?;
    if feature == Feature::Comments && !kind.takes_comments() {
        return Err(Error::CommentsDisabled(kind));
    }
    let id = Id::parse(id).map_err(|_| Error::InvalidReference("target"))?;
    Ok(Target { kind, id })
}

fn parse_comment(id: &str) -> Result<Id, Error> {
    Id::parse(id).map_err(|_| Error::InvalidReference("comment"))
}

fn check_links(content: &str) -> Result<(), Error> {
    if count_links(content) <= MAX_COMMENT_LINKS {
        return Ok(());
    }
    let expected = format!("must contain at most {MAX_COMMENT_LINKS} links");
    Err(Error::InvalidField { field: "content", expected })
}

fn authorize(caller: &Caller) -> Result<(), Error> {
    if caller.role == Role::Admin { Ok(()) } else { Err(Error::NotAdmin) }
}
