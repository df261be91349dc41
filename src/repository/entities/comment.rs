use bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use chrono::{DateTime, Utc};
use docstore::{
    Direction::{Ascending, Descending},
    Filter, Index, Update,
};

use super::engagement_counts::of_target;
use crate::domain::{Comment, CommentStatus, Person};
use crate::repository::Error;
use crate::repository::row::{
    Value, date, instant, object_id, optional_date, read_row, reference, text, text_or_empty, word,
};

/// The collection of comments.
pub(in crate::repository) const COLLECTION: &str = "comments";
pub(in crate::repository) const CREATED: &str = "created_at";
const UPDATED: &str = "updated_at";
const DELETED: &str = "deleted_at";
/// The field with `pending` or `hidden`. Visible comments of the original do not have it.
const STATUS: &str = "status";

/// Returns the indexes of the collection.
pub(in crate::repository) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["target_type", "target_id"]),
        Index::on(["parent_id"]),
        Index::on(["user_id"]),
        Index::by([(CREATED, Descending), ("_id", Ascending)]),
        Index::by([(STATUS, Ascending), (CREATED, Descending), ("_id", Ascending)]),
    ]
}

/// Returns the document of a comment.
pub(in crate::repository) fn document(comment: &Comment) -> Document {
    let Comment {
        id,
        target_type,
        target_id,
        parent_id,
        user_id,
        user_name,
        user_avatar,
        content,
        mentions,
        created,
        updated,
        deleted,
        status,
        replies: _,
    } = comment;
    doc! {
        "_id": id.object_id(), "target_type": target_type, "target_id": target_id, "parent_id": parent_id.clone(),
        "user_id": user_id, "user_name": user_name, "user_avatar": user_avatar.clone(), "content": content,
        "mentions": mentions_document(mentions), CREATED: instant(*created), UPDATED: instant(*updated),
        DELETED: deleted.map_or(Bson::Null, instant), STATUS: status.as_str(),
    }
}

/// Returns the stored form of mentions.
pub(in crate::repository) fn mentions_document(mentions: &[Person]) -> Vec<Bson> {
    let mention =
        |person: &Person| Bson::Document(doc! { "user_id": &person.user_id, "user_name": &person.user_name });
    mentions.iter().map(mention).collect()
}

/// Reads a comment.
pub(in crate::repository) fn read(document: &RawDocument) -> Result<Comment, Error> {
    read_row(COLLECTION, document, |row| {
        let deleted = row.read(DELETED, optional_date)?;
        let stored = row.read(STATUS, |value| Some(word(value).unwrap_or(CommentStatus::Visible)))?;
        let created = row.read(CREATED, date)?;
        Ok(Comment {
            id: row.read("_id", object_id)?,
            target_type: row.read("target_type", text)?,
            target_id: row.read("target_id", text)?,
            parent_id: row.read("parent_id", reference)?,
            user_id: row.read("user_id", text_or_empty)?,
            user_name: row.read("user_name", text_or_empty)?,
            user_avatar: row.read("user_avatar", |value| Some(text(value)))?,
            content: row.read("content", text_or_empty)?,
            mentions: row.read("mentions", mentions)?,
            created,
            updated: row.read(UPDATED, optional_date)?.unwrap_or(created),
            deleted,
            status: if deleted.is_some() { CommentStatus::Deleted } else { stored },
            replies: Vec::new(),
        })
    })
}

/// Reads the people that a comment mentions.
fn mentions(value: Value<'_>) -> Option<Vec<Person>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let mention = |element: RawBsonRef<'_>| {
        let document = element.as_document()?;
        let field = |name| document.get_str(name).ok().map(str::to_owned);
        Some(Person { user_id: field("user_id")?, user_name: field("user_name")? })
    };
    value.as_array()?.into_iter().map(|element| mention(element.ok()?)).collect()
}

/// Selects the comments in a state.
pub(in crate::repository) fn in_state(status: CommentStatus) -> Filter {
    let not_deleted = Filter::eq(DELETED, Bson::Null);
    match status {
        CommentStatus::Visible => Filter::and([
            not_deleted,
            Filter::ne(STATUS, CommentStatus::Pending.as_str()),
            Filter::ne(STATUS, CommentStatus::Hidden.as_str()),
        ]),
        CommentStatus::Pending | CommentStatus::Hidden => {
            Filter::and([Filter::eq(STATUS, status.as_str()), not_deleted])
        }
        CommentStatus::Deleted => Filter::ne(DELETED, Bson::Null),
    }
}

/// Selects a comment unless it was changed since it was read.
pub(in crate::repository) fn unchanged(comment: &Comment) -> Filter {
    let id = Filter::id(comment.id.object_id());
    // The target names the shard, and the part of the collection that the write invalidates.
    let place =
        comment.target().map_or_else(|| Filter::eq("target_id", comment.target_id.as_str()), of_target);
    Filter::and([id, place, in_state(comment.status), Filter::eq("content", comment.content.as_str())])
}

/// Returns the update that puts a comment into a state.
pub(in crate::repository) fn set_status(status: CommentStatus, now: DateTime<Utc>) -> Update {
    match status {
        CommentStatus::Deleted => Update::new().set(DELETED, instant(now)),
        other => Update::new().set(STATUS, other.as_str()),
    }
}

/// Returns the update that replaces the text of a comment.
pub(in crate::repository) fn set_content(content: &str, status: CommentStatus, now: DateTime<Utc>) -> Update {
    Update::new().set("content", content).set(UPDATED, instant(now)).set(STATUS, status.as_str())
}

/// Returns the update that removes what identifies the author of a comment, and what they wrote.
pub(in crate::repository) fn anonymize(now: DateTime<Utc>) -> Update {
    Update::new()
        .set("content", "")
        .set("user_id", "")
        .set("user_name", "")
        .set("user_avatar", Bson::Null)
        .set("mentions", Vec::<Bson>::new())
        .set(DELETED, instant(now))
}
