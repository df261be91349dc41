//! Reactions and comments. A change of either and of the counts of its target is one transaction, so that reading the
//! counts never reads all reactions and comments.
//!
//! A standalone MongoDB server has no transactions. There the changed count is computed again from the index after the write: the
//! version of the counts grows first, and the new count is stored only if no other request has increased the version,
//! since such a request counts this write too. Targets without counts, such as those of the original, are counted once.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bson::{Document, RawDocumentBuf};
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Field, Filter, Find, Projection, Sort, Update};
use tokio::sync::Mutex;

use super::entities::comment::{self, in_state};
use super::entities::engagement_counts::{self as counts, Count, by_target, of_target};
use super::entities::reaction;
use super::entity::seen;
use super::row::{instant, not_deleted, reference};
use super::{Entity, Error};
use crate::domain::{
    Comment, CommentStatus, EngagementCounts, Id, Listing, Participant, Person, Project, ReactionTag,
    Reactions, Story, Target, TargetType, Visibility, Window, threads,
};

/// The maximum number of reactions, and of comments, that one response contains.
const MAX_SHOWN: u64 = 1000;
/// The number of locks that keep writes of this process to one target from conflicting.
const TURNS: usize = 64;
/// The number of added reactions that are remembered.
const ADDED: usize = 4096;
/// The maximum number of attempts of a write while others conflict with it.
const MAX_ATTEMPTS: u32 = 8;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(5);

/// The reactions and comments of a database. Cheap to clone.
#[derive(Clone)]
pub struct EngagementRecords(Arc<EngagementRecordsParts>);

impl Deref for EngagementRecords {
    type Target = EngagementRecordsParts;

    fn deref(&self) -> &EngagementRecordsParts {
        &self.0
    }
}

/// The contents of [`EngagementRecords`].
pub struct EngagementRecordsParts {
    database: Database,
    reactions: Collection,
    comments: Collection,
    counts: Collection,
    stories: Collection,
    projects: Collection,
    /// True if the server is known to have no transactions.
    no_transactions: AtomicBool,
    hasher: RandomState,
    /// Hashes of reactions that this process added: most toggles need no more than one write of the reaction, because a new
    /// one is expected to be missing, and these to exist. A wrong guess only takes longer.
    added: [AtomicU64; ADDED],
    turns: [Mutex<()>; TURNS],
}

/// Everything that a user added to content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contributions {
    /// Comments, also deleted ones.
    pub comments: Vec<Comment>,
    /// Reactions.
    pub reactions: Vec<(String, String, ReactionTag)>,
    /// The number of comments of others that mention the user.
    pub mentions: u64,
}

/// A change of the reactions or comments of a target.
#[derive(Clone)]
enum TargetWrite {
    /// Removes the reaction, or adds it if there is none. `exists` says which of the two is tried first.
    Toggle { user_id: String, tag: ReactionTag, document: Document, exists: bool },
    /// Removes a reaction.
    RemoveReaction { user_id: String, tag: ReactionTag },
    /// Adds a comment.
    AddComment { document: Document, counted: bool },
    /// Changes a comment. `by` is the change of the number of visible ones.
    UpdateComment { filter: Filter, update: Update, by: i64 },
    /// Removes a comment.
    RemoveComment { filter: Filter, by: i64 },
}

/// The effect of a [`TargetWrite`].
struct Applied {
    /// False if a toggle removed the reaction.
    added: bool,
    count: Count,
    by: i64,
}

impl TargetWrite {
    /// Executes the write; `None` if the document to change does not exist, or if the target of a toggle is not public. Then a
    /// transaction must be aborted.
    async fn apply(
        self,
        target: Target,
        reactions: &Collection,
        comments: &Collection,
        is_public: impl Future<Output = docstore::Result<bool>>,
    ) -> docstore::Result<Option<Applied>> {
        let comments_changed =
            |done: u64, by| (done > 0).then_some(Applied { added: true, count: Count::Comments, by });
        Ok(match self {
            Self::Toggle { user_id, tag, document, exists } => {
                let own = reaction::own(target, &user_id, tag);
                let first = async {
                    if exists {
                        return Ok(reactions.delete_one(&own).await? > 0);
                    }
                    reactions.insert_one(document.clone()).await.map(|_| false)
                };
                // Side by side, which saves a round trip.
                let (removed, is_public) = tokio::try_join!(first, is_public)?;
                if !is_public {
                    return Ok(None);
                }
                if exists && !removed {
                    reactions.insert_one(document).await?;
                }
                let by = if removed { -1 } else { 1 };
                Some(Applied { added: !removed, count: Count::Reactions(tag), by })
            }
            Self::RemoveReaction { user_id, tag } => {
                let removed = reactions.delete_one(&reaction::own(target, &user_id, tag)).await?;
                (removed > 0).then_some(Applied { added: false, count: Count::Reactions(tag), by: -1 })
            }
            Self::AddComment { document, counted } => {
                comments.insert_one(document).await?;
                comments_changed(1, i64::from(counted))
            }
            Self::UpdateComment { filter, update, by } => {
                comments_changed(comments.update_one(&filter, &update).await?.matched, by)
            }
            Self::RemoveComment { filter, by } => comments_changed(comments.delete_one(&filter).await?, by),
        })
    }
}

impl EngagementRecords {
    /// Opens the reactions and comments of a database.
    pub fn new(database: &Database) -> Self {
        let versions = database.versions();
        // A write about a target does not invalidate reads about other targets.
        versions.split_by(reaction::COLLECTION, "target_id");
        versions.split_by(comment::COLLECTION, "target_id");
        for collection in [counts::COLLECTION, Story::COLLECTION, Project::COLLECTION] {
            versions.split_by(collection, Field::ID);
        }
        Self(Arc::new(EngagementRecordsParts {
            database: database.clone(),
            reactions: database.collection(reaction::COLLECTION),
            comments: database.collection(comment::COLLECTION),
            counts: database.collection(counts::COLLECTION),
            stories: database.collection(Story::COLLECTION),
            projects: database.collection(Project::COLLECTION),
            no_transactions: AtomicBool::default(),
            hasher: RandomState::new(),
            added: std::array::from_fn(|_| AtomicU64::default()),
            turns: std::array::from_fn(|_| Mutex::default()),
        }))
    }

    /// Returns an id that no comment has.
    pub fn unused_comment_id() -> Id {
        Id::from(bson::oid::ObjectId::new())
    }

    /// Returns the targets that everyone sees, among these.
    pub async fn published(&self, targets: &[Target]) -> Result<HashSet<Target>, Error> {
        let (stories, projects) = tokio::try_join!(
            published::<Story>(&self.stories, TargetType::Story, targets),
            published::<Project>(&self.projects, TargetType::Project, targets),
        )?;
        Ok(stories.into_iter().chain(projects).collect())
    }

    async fn is_public(&self, target: Target) -> docstore::Result<bool> {
        let found = match target.kind {
            TargetType::Story => published::<Story>(&self.stories, target.kind, &[target]).await?,
            TargetType::Project => published::<Project>(&self.projects, target.kind, &[target]).await?,
        };
        Ok(!found.is_empty())
    }

    /// Returns the id of the user who owns a target; `None` if the target does not exist or has no owner.
    pub async fn owner(&self, target: Target) -> Result<Option<String>, Error> {
        let collection = match target.kind {
            TargetType::Story => &self.stories,
            TargetType::Project => &self.projects,
        };
        let find = Find::new(Filter::id(target.id.object_id()).also(not_deleted()));
        let found = collection.find_one_raw(find.projection(Projection::include(["user_id"]))).await?;
        let owner = found.as_ref().and_then(|document| document.get("user_id").ok().flatten());
        Ok(reference(owner).flatten())
    }

    /// Returns the reactions to a target, with those of a user.
    pub async fn reactions(&self, target: Target, user: Option<Id>) -> Result<Reactions, Error> {
        self.record_read(target);
        let find = Find::new(of_target(target))
            .sort(Sort::ascending("user_id").then_ascending(reaction::TAG))
            .projection(Projection::include(["user_id", "user_name", reaction::TAG]))
            .limit(MAX_SHOWN);
        let documents = self.reactions.find(find).await?.raw_documents().await?;
        let is_whole = (documents.len() as u64) < MAX_SHOWN;
        let mut reactions = Reactions::default();
        let user = user.map(|user| user.to_string());
        for (tag, person) in readable(&documents, reaction::read) {
            *reactions.counts.entry(tag).or_default() += 1;
            if Some(&person.user_id) == user.as_ref() {
                reactions.own.push(tag);
            }
            reactions.people.entry(tag).or_default().push(person);
        }
        if !is_whole {
            let counted = self.counts_or_count(&[target]).await?;
            reactions.counts =
                counted.get(&target).map(|counts| counts.reactions.clone()).unwrap_or_default();
            if let Some(user) = user {
                let own = Find::new(of_target(target).also(Filter::eq("user_id", user)));
                let own = self.reactions.find(own).await?.raw_documents().await?;
                reactions.own = readable(&own, reaction::read).map(|(tag, _)| tag).collect();
            }
        }
        reactions.own.sort_unstable();
        Ok(reactions)
    }

    /// Records that something about a target is read. Every write about it changes its counts, by which the change stream
    /// names it.
    fn record_read(&self, target: Target) {
        self.database.versions().record_part_read(counts::COLLECTION, &target.to_string());
    }

    /// Returns the comments on a target as threads: the visible ones, and those of a user that await approval.
    pub async fn threads(&self, target: Target, user: Option<Id>) -> Result<Vec<Comment>, Error> {
        self.record_read(target);
        let visible = in_state(CommentStatus::Visible);
        let shown = match user {
            None => visible,
            Some(user) => {
                let own = in_state(CommentStatus::Pending).also(Filter::eq("user_id", user.to_string()));
                Filter::or([visible, own])
            }
        };
        let find = Find::new(Filter::and([of_target(target), shown]));
        let find = find.sort(Sort::ascending(comment::CREATED).then_ascending("_id")).limit(MAX_SHOWN);
        let documents = self.comments.find(find).await?.raw_documents().await?;
        let shown: Vec<_> = readable(&documents, comment::read).collect();
        let known: HashSet<_> = shown.iter().map(|comment| comment.id).collect();
        let parents = shown.iter().filter_map(|comment| Id::parse(comment.parent_id.as_deref()?).ok());
        let missing: HashSet<_> = parents.filter(|parent| !known.contains(parent)).collect();
        let withdrawn = if missing.is_empty() {
            Vec::new()
        } else {
            let ids = Filter::is_in("_id", missing.iter().map(|id| id.object_id()));
            let find = Find::new(Filter::and([ids, of_target(target)]));
            let documents = self.comments.find(find).await?.raw_documents().await?;
            let is_root =
                |comment: &Comment| comment.parent_id.is_none() && comment.status != CommentStatus::Visible;
            readable(&documents, comment::read).filter(is_root).collect()
        };
        Ok(threads(shown, withdrawn))
    }

    /// Returns the counts of targets. Those that have none are counted, and the counts are stored.
    pub async fn counts_or_count(
        &self,
        targets: &[Target],
    ) -> Result<HashMap<Target, EngagementCounts>, Error> {
        let mut known = self.counts(targets).await?;
        let missing: Vec<_> = targets.iter().filter(|target| !known.contains_key(target)).copied().collect();
        known.extend(self.count(&missing).await?);
        Ok(known)
    }

    /// Returns the counts of targets that are stored.
    pub async fn counts(&self, targets: &[Target]) -> Result<HashMap<Target, EngagementCounts>, Error> {
        if targets.is_empty() {
            return Ok(HashMap::new());
        }
        let by_key: HashMap<_, _> = targets.iter().map(|target| (target.to_string(), *target)).collect();
        let find = Find::new(Filter::is_in("_id", by_key.keys().map(String::as_str)));
        let documents = self.counts.find(find).await?.raw_documents().await?;
        let read = |document: &RawDocumentBuf| {
            let target = by_key.get(document.get_str("_id").ok()?)?;
            Some(counts::read(document).map(|counts| (*target, counts)))
        };
        documents.iter().filter_map(read).collect()
    }

    /// Counts the reactions and comments of targets by their indexes, and stores the counts of targets that have none.
    pub async fn count(&self, targets: &[Target]) -> Result<HashMap<Target, EngagementCounts>, Error> {
        if targets.is_empty() {
            return Ok(HashMap::new());
        }
        let by_key: HashMap<_, _> =
            targets.iter().map(|target| ((target.kind.as_str(), target.id.to_string()), *target)).collect();
        let of_targets = Filter::is_in(
            "target_id",
            targets.iter().map(|target| target.id.to_string()).collect::<HashSet<_>>(),
        )
        .also(Filter::is_in("target_type", TargetType::WORDS.iter().copied()));
        let target_of = |document: &RawDocumentBuf| {
            let text = |field| document.get_str(field).ok();
            by_key.get(&(text("target_type")?, text("target_id")?.to_owned())).copied()
        };
        let mut counted: HashMap<_, _> =
            targets.iter().map(|target| (*target, EngagementCounts::default())).collect();
        let fields = Projection::include(["target_type", "target_id", reaction::TAG]);
        let mut reactions = self.reactions.find(Find::new(of_targets.clone()).projection(fields)).await?;
        while let Some(document) = reactions.next_raw().await? {
            let tag = document.get_str(reaction::TAG).ok().and_then(|tag| tag.parse::<ReactionTag>().ok());
            if let (Some(target), Some(tag)) = (target_of(&document), tag) {
                *counted.entry(target).or_default().reactions.entry(tag).or_default() += 1;
            }
        }
        let visible = Filter::and([of_targets, in_state(CommentStatus::Visible)]);
        let fields = Projection::include(["target_type", "target_id"]);
        let mut comments = self.comments.find(Find::new(visible).projection(fields)).await?;
        while let Some(document) = comments.next_raw().await? {
            if let Some(target) = target_of(&document) {
                counted.entry(target).or_default().comments += 1;
            }
        }
        let documents: Vec<_> =
            counted.iter().map(|(target, counts)| counts::document(*target, counts)).collect();
        if let Err(error) = self.counts.insert_many(documents.clone()).await {
            if error.duplicate_index().is_none() {
                // A store that cannot be written answers all the same.
                tracing::debug!(%error, "failed to store counts");
                return Ok(counted);
            }
            for document in documents {
                // Another request has stored those that exist, and changed them since.
                match self.counts.insert_one(document).await {
                    Err(error) if error.duplicate_index().is_none() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(counted)
    }

    /// Adds the reaction of a user, or removes it. Returns true if it was added; `None` if the target is not public.
    pub async fn toggle(
        &self,
        target: Target,
        user: &Participant,
        tag: ReactionTag,
        now: DateTime<Utc>,
    ) -> Result<Option<bool>, Error> {
        let document = reaction::document(target, user, tag, now);
        let hash = self.hasher.hash_one((target, user.id, tag)).max(1);
        let added_last = &self.added[usize::try_from(hash % ADDED as u64).unwrap_or_default()];
        let exists = added_last.load(Ordering::Relaxed) == hash;
        let toggle = TargetWrite::Toggle { user_id: user.id.to_string(), tag, document, exists };
        let added = self.write(target, toggle).await?;
        if added == Some(true) {
            added_last.store(hash, Ordering::Relaxed);
        } else if exists {
            added_last.store(0, Ordering::Relaxed);
        }
        Ok(added)
    }

    /// Returns the comment with this id.
    pub async fn find_comment(&self, id: Id) -> Result<Option<Comment>, Error> {
        let found = self.comments.find_one_raw(Find::new(Filter::id(id.object_id()))).await?;
        found.map(|document| comment::read(&document)).transpose()
    }

    /// Reports whether a user has written the same text about a target since then.
    pub async fn is_repetition(&self, new: &Comment, since: DateTime<Utc>) -> Result<bool, Error> {
        let same = Filter::and([
            Filter::eq("user_id", new.user_id.as_str()),
            Filter::eq("target_id", new.target_id.as_str()),
            Filter::eq("content", new.content.as_str()),
            Filter::gt(comment::CREATED, instant(since)),
            in_state(CommentStatus::Deleted).negated(),
        ]);
        Ok(self.comments.find_one_raw(Find::new(same).projection(Projection::id())).await?.is_some())
    }

    /// Adds a comment on a target.
    pub async fn add_comment(&self, target: Target, new: &Comment) -> Result<(), Error> {
        let counted = new.status == CommentStatus::Visible;
        self.write(target, TargetWrite::AddComment { document: comment::document(new), counted }).await?;
        Ok(())
    }

    /// Puts a comment into a state; false if it was changed since it was read.
    pub async fn set_status(
        &self,
        stored: &Comment,
        status: CommentStatus,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        self.update_comment(stored, comment::set_status(status, now), status).await
    }

    /// Replaces the text of a comment; false if it was changed since it was read.
    pub async fn set_content(
        &self,
        stored: &Comment,
        content: &str,
        status: CommentStatus,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        self.update_comment(stored, comment::set_content(content, status, now), status).await
    }

    async fn update_comment(
        &self,
        stored: &Comment,
        update: Update,
        status: CommentStatus,
    ) -> Result<bool, Error> {
        let by = shown(status) - shown(stored.status);
        let filter = comment::unchanged(stored);
        let Some(target) = stored.target() else {
            return Ok(self.comments.update_one(&filter, &update).await?.matched > 0);
        };
        Ok(self.write(target, TargetWrite::UpdateComment { filter, update, by }).await?.is_some())
    }

    /// Lists comments in a state since a time, the newest first.
    pub async fn list_comments(
        &self,
        status: Option<CommentStatus>,
        since: Option<DateTime<Utc>>,
        window: Window,
    ) -> Result<Listing<Comment>, Error> {
        let state = status.map_or(Filter::All, in_state);
        let filter =
            state.also(since.map_or(Filter::All, |since| Filter::gte(comment::CREATED, instant(since))));
        let find = Find::new(filter.clone())
            .sort(Sort::descending(comment::CREATED).then_ascending("_id"))
            .skip(window.offset)
            .limit(window.limit);
        let read = async { self.comments.find(find).await?.raw_documents().await };
        let (documents, total) = tokio::try_join!(read, self.comments.count(&filter))?;
        let items = readable(&documents, comment::read).collect();
        Ok(Listing { items, total, window, cursor_page: None })
    }

    /// Returns everything that a user added.
    pub async fn contributions(&self, user: Id) -> Result<Contributions, Error> {
        let of_user = || Find::new(Filter::eq("user_id", user.to_string())).sort(Sort::ascending("_id"));
        let comments = self.comments.find(of_user()).await?.raw_documents().await?;
        let comments = readable(&comments, comment::read).collect();
        let documents = self.reactions.find(of_user()).await?.raw_documents().await?;
        let reaction = |document: &RawDocumentBuf| {
            let text = |field| document.get_str(field).map(str::to_owned).ok();
            Some((text("target_type")?, text("target_id")?, text(reaction::TAG)?.parse().ok()?))
        };
        let reactions = documents.iter().filter_map(reaction).collect();
        let mentions = self.comments.count(&Filter::eq("mentions.user_id", user.to_string())).await?;
        Ok(Contributions { comments, reactions, mentions })
    }

    /// Removes everything that a user added. Comments with replies stay as placeholders, without text and author.
    pub async fn erase(&self, user: Id, now: DateTime<Utc>) -> Result<(), Error> {
        let Contributions { comments, reactions, .. } = self.contributions(user).await?;
        let user_id = user.to_string();
        for (kind, id, tag) in reactions {
            if let (Ok(kind), Ok(id)) = (kind.parse(), Id::parse(&id)) {
                let removal = TargetWrite::RemoveReaction { user_id: user_id.clone(), tag };
                self.write(Target { kind, id }, removal).await?;
            }
        }
        // Reactions to unknown targets, and reactions that were added concurrently.
        self.reactions.delete_many(&Filter::eq("user_id", user_id.as_str())).await?;
        // Replies are removed before the comments that they reply to, so that only comments with replies of others stay.
        for comment in comments.iter().rev() {
            self.erase_comment(comment, now).await?;
        }
        let mentioning = Find::new(Filter::eq("mentions.user_id", user_id.as_str()));
        let documents = self.comments.find(mentioning).await?.raw_documents().await?;
        for comment in readable(&documents, comment::read) {
            let others: Vec<Person> =
                comment.mentions.iter().filter(|person| person.user_id != user_id).cloned().collect();
            let update = Update::new().set("mentions", comment::mentions_document(&others));
            self.update_comment(&comment, update, comment.status).await?;
        }
        Ok(())
    }

    async fn erase_comment(&self, stored: &Comment, now: DateTime<Utc>) -> Result<(), Error> {
        let replies = Filter::eq("parent_id", stored.id.to_string());
        let replies = Find::new(replies).projection(Projection::id());
        let has_replies = self.comments.find_one_raw(replies).await?.is_some();
        let mut stored = Some(stored.clone());
        // A concurrent change is read again.
        while let Some(comment) = stored {
            let done = if has_replies {
                self.update_comment(&comment, comment::anonymize(now), CommentStatus::Deleted).await?
            } else {
                self.remove_comment(&comment).await?
            };
            stored = if done { None } else { self.find_comment(comment.id).await? };
        }
        Ok(())
    }

    async fn remove_comment(&self, stored: &Comment) -> Result<bool, Error> {
        let filter = comment::unchanged(stored);
        let Some(target) = stored.target() else {
            return Ok(self.comments.delete_one(&filter).await? > 0);
        };
        let removal = TargetWrite::RemoveComment { filter, by: -shown(stored.status) };
        Ok(self.write(target, removal).await?.is_some())
    }

    /// Removes the reactions, comments and counts of items that were purged.
    pub(super) async fn forget(&self, kind: TargetType, items: &[Id]) -> Result<(), Error> {
        for id in items {
            let target = Target { kind, id: *id };
            self.reactions.delete_many(&of_target(target)).await?;
            self.comments.delete_many(&of_target(target)).await?;
            self.counts.delete_one(&by_target(target)).await?;
        }
        Ok(())
    }

    /// Executes a write of a target together with the change of its counts. Returns whether a reaction or comment was added;
    /// `None` as by [`TargetWrite::apply`].
    async fn write(&self, target: Target, write: TargetWrite) -> Result<Option<bool>, Error> {
        let this = self.clone();
        // Once begun, a transaction ends even if the caller is dropped.
        docstore::run_to_completion(async move { this.write_in_turn(target, write).await }).await?
    }

    async fn write_in_turn(&self, target: Target, mut write: TargetWrite) -> Result<Option<bool>, Error> {
        let turn = usize::try_from(self.hasher.hash_one(target) % TURNS as u64).unwrap_or_default();
        let _turn = self.turns[turn].lock().await;
        let mut delay = FIRST_RETRY_DELAY;
        for _ in 0..MAX_ATTEMPTS {
            let written = if self.no_transactions.load(Ordering::Relaxed) {
                self.write_in_steps(target, write.clone()).await
            } else {
                self.write_in_transaction(target, write.clone()).await
            };
            match written {
                Ok(Written::Applied(added)) => return Ok(added),
                Ok(Written::NotCounted) => {
                    self.count(&[target]).await?;
                    continue;
                }
                Err(Error::Store(error)) if matches!(error.root(), docstore::Error::Unsupported(_)) => {
                    self.no_transactions.store(true, Ordering::Relaxed);
                    continue;
                }
                Err(Error::Unavailable(error)) if is_repeatable(&error) => {}
                // The reaction exists: now it is removed.
                Err(Error::Duplicate { collection, .. }) if collection == reaction::COLLECTION => {
                    if let TargetWrite::Toggle { exists, .. } = &mut write
                        && !std::mem::replace(exists, true)
                    {
                        continue;
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(delay).await;
            delay *= 2;
        }
        Err(Error::unavailable("other writes conflict with this one"))
    }

    async fn write_in_transaction(&self, target: Target, write: TargetWrite) -> Result<Written, Error> {
        let transaction = self.database.begin().await?;
        let work = async {
            let reactions = transaction.collection(reaction::COLLECTION);
            let comments = transaction.collection(comment::COLLECTION);
            let is_public = self.is_public(target);
            let Some(applied) = write.apply(target, &reactions, &comments, is_public).await? else {
                return Ok(None);
            };
            let change = applied.count.change(applied.by);
            let counted =
                transaction.collection(counts::COLLECTION).update_one(&by_target(target), &change).await?;
            Ok(Some((applied.added, counted.matched > 0)))
        };
        match work.await {
            Ok(Some((added, true))) => {
                transaction.commit().await?;
                Ok(Written::Applied(Some(added)))
            }
            ended => {
                // A server that is out of reach aborts it by itself.
                _ = transaction.abort().await;
                let none = ended.map_err(|error: docstore::Error| Error::from(error))?;
                Ok(if none.is_some() { Written::NotCounted } else { Written::Applied(None) })
            }
        }
    }

    async fn write_in_steps(&self, target: Target, write: TargetWrite) -> Result<Written, Error> {
        // Nothing takes a step back.
        if matches!(write, TargetWrite::Toggle { .. }) && !self.is_public(target).await? {
            return Ok(Written::Applied(None));
        }
        let public = std::future::ready(Ok(true));
        let applied = write.apply(target, &self.reactions, &self.comments, public).await?;
        let Some(Applied { added, count, .. }) = applied else { return Ok(Written::Applied(None)) };
        self.recount(target, count).await.map_err(Error::after_write)?;
        Ok(Written::Applied(Some(added)))
    }

    /// Computes one count of a target again.
    async fn recount(&self, target: Target, count: Count) -> Result<(), Error> {
        let next = Update::new().inc(counts::VERSION, 1_i64);
        let mut begun = self.counts.find_one_and_update(by_target(target), next.clone()).await?;
        if begun.is_none() {
            self.count(&[target]).await?;
            begun = self.counts.find_one_and_update(by_target(target), next).await?;
        }
        // The target was purged.
        let Some(begun) = begun else { return Ok(()) };
        let version = begun.get_i64(counts::VERSION).unwrap_or_default();
        let counted = match count {
            Count::Reactions(tag) => {
                self.reactions.count(&of_target(target).also(Filter::eq(reaction::TAG, tag.as_str()))).await?
            }
            Count::Comments => {
                let visible = Filter::and([of_target(target), in_state(CommentStatus::Visible)]);
                self.comments.count(&visible).await?
            }
        };
        let same = by_target(target).also(Filter::eq(counts::VERSION, version));
        let counted = i64::try_from(counted).unwrap_or(i64::MAX);
        self.counts.update_one(&same, &Update::new().set(count.field(), counted)).await?;
        Ok(())
    }
}

/// Removes the counts of all targets, because reactions or comments were replaced. They are counted again when asked for.
pub async fn forget_counts(database: &Database) -> docstore::Result<()> {
    database.collection(counts::COLLECTION).delete_many(&Filter::All).await.map(|_| ())
}

/// The outcome of an attempt to write.
enum Written {
    /// The result of [`EngagementRecords::write`].
    Applied(Option<bool>),
    /// Nothing was written, because the target has no counts yet.
    NotCounted,
}

/// Reports whether a transaction that ended with this error wrote nothing and may be repeated.
fn is_repeatable(error: &docstore::Error) -> bool {
    matches!(error.root(), docstore::Error::WriteConflict | docstore::Error::TransactionEnded(_))
}

/// Returns 1 if comments in a state are counted.
fn shown(status: CommentStatus) -> i64 {
    i64::from(status == CommentStatus::Visible)
}

/// Returns the targets of one type that everyone sees.
async fn published<E: Entity>(
    collection: &Collection,
    kind: TargetType,
    targets: &[Target],
) -> docstore::Result<Vec<Target>> {
    let ids: Vec<_> =
        targets.iter().filter(|target| target.kind == kind).map(|target| target.id.object_id()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let filter = seen::<E>(Filter::is_in("_id", ids), Visibility::Published);
    let documents =
        collection.find(Find::new(filter).projection(Projection::id())).await?.raw_documents().await?;
    let target = |document: &RawDocumentBuf| {
        document.get_object_id("_id").ok().map(|id| Target { kind, id: Id::from(id) })
    };
    Ok(documents.iter().filter_map(target).collect())
}

/// Reads documents, except those that cannot be read.
fn readable<T>(
    documents: &[RawDocumentBuf],
    read: fn(&bson::RawDocument) -> Result<T, Error>,
) -> impl Iterator<Item = T> {
    documents.iter().filter_map(move |document| {
        read(document).inspect_err(|error| tracing::debug!(%error, "a document of a target is skipped")).ok()
    })
}
