//! Reactions and comments.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::{
    Caller, Comment, CommentDraft, CommentStatus, EngagementCounts, Listing, MAX_COMMENT_LENGTH,
    MAX_COUNTED_TARGETS, MAX_MENTIONS, Participant, Person, ReactionTag, Reactions, Role, Window,
};
use crate::http::extract::{
    Auth, Authorized, FieldValue, MAX_SAFE_INTEGER, PathParam, Question, RawValue, Signed, TargetParams,
    ValidQuery, default, invalid, optional, optional_id, query, request, required,
};
use crate::http::openapi::operation::{Operation, Output};
use crate::http::openapi::schema::ValueSchema;
use crate::http::respond::{Deleted, List, ResponseBody, format_timestamp};
use crate::http::{ApiError, FieldError, LocPart};
use crate::identity::Profile;
use crate::service::Services;

/// The maximum length of a name or an id in a mention, in characters.
const MAX_MENTION_LENGTH: usize = 200;

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = Person, examples(json!({ "user_id": "65a1b2c3d4e5f60718293a00", "user_name": "Ada" })))]
struct PersonBody {
    user_id: String,
    user_name: String,
}

impl From<Person> for PersonBody {
    fn from(person: Person) -> Self {
        let Person { user_id, user_name } = person;
        Self { user_id, user_name }
    }
}

/// The reactions to a target.
#[derive(Serialize, ToSchema)]
#[schema(as = Reactions, examples(json!({
    "counts": { "heart": 1 }, "user_reactions": ["heart"],
    "details": { "heart": [{ "user_id": "65a1b2c3d4e5f60718293a00", "user_name": "Ada" }] },
})))]
pub(crate) struct ReactionsBody {
    /// Number by tag; a tag without reactions is absent.
    counts: BTreeMap<&'static str, i64>,
    /// Those of the caller; none without a token.
    user_reactions: Vec<&'static str>,
    /// The people who reacted, by tag.
    details: BTreeMap<&'static str, Vec<PersonBody>>,
}

/// The outcome of a toggle.
#[derive(Serialize, ToSchema)]
#[schema(as = Toggled, examples(json!({ "added": true, "reaction_tag": "heart" })))]
pub(crate) struct ToggledBody {
    /// False if the reaction was removed.
    added: bool,
    reaction_tag: &'static str,
}

/// A comment.
#[derive(Serialize, ToSchema)]
#[schema(as = Comment, examples(json!({
    "id": "65a1b2c3d4e5f60718293b00", "target_type": "story", "target_id": "65a0b1c2d3e4f50617283940",
    "parent_id": null, "user_id": "65a1b2c3d4e5f60718293a00", "user_name": "Ada", "user_avatar": null,
    "content": "Well said", "mentions": [], "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z", "deleted_at": null, "replies": [],
})))]
pub(crate) struct CommentBody {
    id: String,
    target_type: String,
    target_id: String,
    /// The comment that it replies to.
    #[schema(required)]
    parent_id: Option<String>,
    /// Empty if the comment is deleted.
    user_id: String,
    /// Empty if the comment is deleted.
    user_name: String,
    /// The picture of the author.
    #[schema(required)]
    user_avatar: Option<String>,
    /// Plain text, never HTML; empty if the comment is deleted.
    content: String,
    mentions: Vec<PersonBody>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Set if this is the placeholder of a comment that was deleted and has replies.
    #[schema(required, format = DateTime)]
    deleted_at: Option<String>,
    /// Oldest first. Replies have no replies.
    #[schema(no_recursion)]
    replies: Vec<Self>,
}

impl From<Comment> for CommentBody {
    fn from(comment: Comment) -> Self {
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
            // The contract does not have it.
            status: _,
            replies,
        } = comment;
        Self {
            id: id.to_string(),
            target_type,
            target_id,
            parent_id,
            user_id,
            user_name,
            user_avatar,
            content,
            mentions: mentions.into_iter().map(PersonBody::from).collect(),
            created_at: format_timestamp(created),
            updated_at: format_timestamp(updated),
            deleted_at: deleted.map(format_timestamp),
            replies: replies.into_iter().map(Self::from).collect(),
        }
    }
}

/// The comments on a target.
#[derive(Serialize, ToSchema)]
#[schema(as = Comments, examples(json!({ "comments": [] })))]
pub(crate) struct CommentsBody {
    comments: Vec<CommentBody>,
}

/// The counts of targets.
#[derive(Serialize, ToSchema)]
#[schema(as = EngagementCounts, examples(json!({
    "counts": { "story:65a0b1c2d3e4f50617283940": { "reactions": { "heart": 1 }, "comment_count": 2 } },
})))]
pub(crate) struct CountsBody {
    /// Counts by type and id, as in `story:65a0b1c2d3e4f50617283940`.
    counts: BTreeMap<String, TargetCountsBody>,
}

/// The counts of a target.
#[derive(Serialize, ToSchema)]
#[schema(as = TargetCounts, examples(json!({ "reactions": { "heart": 1 }, "comment_count": 2 })))]
struct TargetCountsBody {
    /// Number by tag; a tag without reactions is absent.
    reactions: BTreeMap<&'static str, i64>,
    /// Number of comments and replies.
    comment_count: i64,
}

/// A comment with its state, for administrators.
#[derive(Serialize, ToSchema)]
#[schema(as = ModeratedComment, examples(json!({
    "id": "65a1b2c3d4e5f60718293b00", "target_type": "story", "target_id": "65a0b1c2d3e4f50617283940",
    "parent_id": null, "user_id": "65a1b2c3d4e5f60718293a00", "user_name": "Ada", "user_avatar": null,
    "content": "Well said", "mentions": [], "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z", "deleted_at": null, "replies": [], "status": "pending",
})))]
pub(crate) struct ModeratedBody {
    #[serde(flatten)]
    comment: CommentBody,
    /// `visible`, `pending`, `hidden` or `deleted`.
    status: &'static str,
}

impl From<Comment> for ModeratedBody {
    fn from(comment: Comment) -> Self {
        Self { status: comment.status.as_str(), comment: comment.into() }
    }
}

impl ResponseBody for ModeratedBody {
    const NAME: &'static str = "ModeratedComment";

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn schema() -> Value {
        json!({})
    }

    fn describe(operation: &mut Operation) -> Value {
        operation.derived::<Self>()
    }
}

/// A new comment.
pub(crate) struct NewComment(CommentBody);

impl IntoResponse for NewComment {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl Output for NewComment {
    fn describe(operation: &mut Operation) {
        let schema = operation.derived::<CommentBody>();
        operation.json(StatusCode::CREATED, "The new comment", schema);
    }
}

/// A reaction to add or remove.
pub(crate) struct Toggle {
    reaction_tag: ReactionTag,
}

request! {
    /// The reaction to add or remove.
    Toggle as "ReactionToggle" {
        reaction_tag: required(),
    }
    example { "reaction_tag": "heart" }
}

request! {
    /// A new comment.
    CommentDraft as "CommentCreate" {
        /// Plain text with up to 3 links.
        content: required().length(1..=MAX_COMMENT_LENGTH).visible(),
        /// The comment to reply to, which is no reply itself.
        parent_id: optional_id(),
        /// The people that the comment mentions.
        mentions: mentions(),
    }
    example { "content": "Well said" }
}

fn mentions() -> crate::http::extract::Field<Mentions, Vec<Person>> {
    crate::http::extract::optional_as(Vec::new(), |Mentions(people)| people)
}

/// The people that a comment mentions.
pub(crate) struct Mentions(Vec<Person>);

impl ValueSchema for Mentions {
    fn schema() -> Value {
        let text = json!({ "type": "string", "minLength": 1, "maxLength": MAX_MENTION_LENGTH });
        json!({
            "type": "array", "maxItems": MAX_MENTIONS,
            "items": {
                "type": "object", "required": ["user_id", "user_name"],
                "properties": { "user_id": text, "user_name": text },
            },
        })
    }
}

impl FieldValue for Mentions {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let mention = |mut members: serde_json::Map<String, Value>| {
            let mut member = |name: &'static str| {
                let error = |error: FieldError| error.within([name.into()]);
                let Some(value) = members.remove(name) else {
                    return Err(error(invalid("missing", "field required")));
                };
                let text =
                    String::parse(RawValue::Json(value)).map_err(|mut errors| error(errors.remove(0)))?;
                match text.chars().count() {
                    0 => Err(error(invalid("string_too_short", "must contain at least 1 character"))),
                    length if length > MAX_MENTION_LENGTH => {
                        let msg = format!("must contain at most {MAX_MENTION_LENGTH} characters");
                        Err(error(invalid("string_too_long", msg)))
                    }
                    _ => Ok(text),
                }
            };
            match (member("user_id"), member("user_name")) {
                (Ok(user_id), Ok(user_name)) => Ok(Person { user_id, user_name }),
                (user_id, user_name) => Err([user_id.err(), user_name.err()].into_iter().flatten().collect()),
            }
        };
        objects(input, MAX_MENTIONS, mention).map(Self)
    }
}

/// The targets to count, each a type and an id.
pub(crate) struct CountedTargets {
    targets: Targets,
}

request! {
    /// The targets to count.
    CountedTargets as "CountsQuery" {
        targets: required(),
    }
    example { "targets": [{ "type": "story", "id": "65a0b1c2d3e4f50617283940" }] }
}

/// A list of types and ids.
pub(crate) struct Targets(Vec<(String, String)>);

impl ValueSchema for Targets {
    fn schema() -> Value {
        json!({
            "type": "array", "maxItems": MAX_COUNTED_TARGETS,
            "items": {
                "type": "object", "additionalProperties": { "type": "string" },
                "properties": { "type": { "type": "string" }, "id": { "type": "string" } },
            },
        })
    }
}

impl FieldValue for Targets {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let target = |members: serde_json::Map<String, Value>| {
            let (mut kind, mut id) = (None, None);
            for (name, value) in members {
                let error = |errors: Vec<FieldError>| -> Vec<_> {
                    // The name comes from the client and is not repeated.
                    let name = match name.as_str() {
                        "type" => "type",
                        "id" => "id",
                        _ => "*",
                    };
                    errors.into_iter().map(|error| error.within([name.into()])).collect()
                };
                let text = String::parse(RawValue::Json(value)).map_err(error)?;
                match name.as_str() {
                    "type" => kind = Some(text),
                    "id" => id = Some(text),
                    _ => {}
                }
            }
            Ok(kind.zip(id))
        };
        let targets = objects(input, MAX_COUNTED_TARGETS, target)?;
        Ok(Self(
            targets.into_iter().flatten().filter(|(kind, id)| !kind.is_empty() && !id.is_empty()).collect(),
        ))
    }
}

/// Parses a list of up to `max` objects.
fn objects<T>(
    input: RawValue<'_>,
    max: usize,
    parse: impl Fn(serde_json::Map<String, Value>) -> Result<T, Vec<FieldError>>,
) -> Result<Vec<T>, Vec<FieldError>> {
    let RawValue::Json(Value::Array(elements)) = input else {
        return Err(vec![invalid("list_type", "must be a list")]);
    };
    if elements.len() > max {
        return Err(vec![invalid("too_long", format!("must contain at most {max} elements"))]);
    }
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (index, element) in elements.into_iter().enumerate() {
        let parsed = match element {
            Value::Object(members) => parse(members),
            _ => Err(vec![invalid("dict_type", "must be an object")]),
        };
        match parsed {
            Ok(value) => values.push(value),
            Err(invalid) => {
                errors.extend(invalid.into_iter().map(|error| error.within([LocPart::Index(index)])));
            }
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// The new text of a comment.
pub(crate) struct CommentPatch {
    content: String,
}

request! {
    /// The new text of a comment.
    CommentPatch as "CommentUpdate" {
        /// As in a new comment.
        content: required().length(1..=MAX_COMMENT_LENGTH).visible(),
    }
    example { "content": "Well said." }
}

query! {
    /// The parameters of the list of all comments.
    CommentsQuery {
        /// Only comments in this state.
        status: Option<CommentStatus> = optional(),
        /// Only comments that were written at this time or later.
        since: Option<DateTime<Utc>> = optional(),
        /// Maximum number of items to return.
        limit: i64 = default(50).range(1..=100),
        /// Number of items to skip.
        offset: i64 = default(0).range(0..=MAX_SAFE_INTEGER),
    }
}

fn by_tag<T>(counts: BTreeMap<ReactionTag, T>) -> BTreeMap<&'static str, T> {
    counts.into_iter().map(|(tag, value)| (tag.as_str(), value)).collect()
}

fn participant(profile: Profile) -> (Participant, Role) {
    let Profile { caller: Caller { id, role }, name, avatar_url, email: _ } = profile;
    (Participant { id, name, avatar_url }, role)
}

pub(crate) async fn reactions(
    services: Arc<Services>,
    TargetParams(kind, id): TargetParams,
    auth: Auth,
) -> Result<Json<ReactionsBody>, ApiError> {
    let caller = auth.optional().await?;
    let Reactions { counts, own, people } =
        services.engagement.reactions(caller.as_ref(), &kind, &id).await?;
    let bodies = |people: Vec<Person>| people.into_iter().map(PersonBody::from).collect();
    Ok(Json(ReactionsBody {
        counts: by_tag(counts),
        user_reactions: own.into_iter().map(ReactionTag::as_str).collect(),
        details: by_tag(people).into_iter().map(|(tag, people)| (tag, bodies(people))).collect(),
    }))
}

pub(crate) async fn toggle(
    services: Arc<Services>,
    TargetParams(kind, id): TargetParams,
    Signed(profile, Toggle { reaction_tag }): Signed<Toggle>,
) -> Result<Json<ToggledBody>, ApiError> {
    let (user, _) = participant(profile);
    let added = services.engagement.toggle(&user, &kind, &id, reaction_tag).await?;
    Ok(Json(ToggledBody { added, reaction_tag: reaction_tag.as_str() }))
}

pub(crate) async fn comments(
    services: Arc<Services>,
    TargetParams(kind, id): TargetParams,
    auth: Auth,
) -> Result<Json<CommentsBody>, ApiError> {
    let caller = auth.optional().await?;
    let comments = services.engagement.comments(caller.as_ref(), &kind, &id).await?;
    Ok(Json(CommentsBody { comments: comments.into_iter().map(CommentBody::from).collect() }))
}

pub(crate) async fn create(
    services: Arc<Services>,
    TargetParams(kind, id): TargetParams,
    Signed(profile, draft): Signed<CommentDraft>,
) -> Result<NewComment, ApiError> {
    let (user, role) = participant(profile);
    let comment = services.engagement.add_comment(&user, role, &kind, &id, draft).await?;
    Ok(NewComment(comment.into()))
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(CommentsQuery { status, since, limit, offset }): ValidQuery<CommentsQuery>,
    caller: Caller,
    uri: Uri,
) -> Result<List<ModeratedBody>, ApiError> {
    let window = Window { limit: limit.unsigned_abs(), offset: offset.unsigned_abs() };
    let listing: Listing<Comment> = services.engagement.list_comments(&caller, status, since, window).await?;
    Ok(List::new(&uri, listing))
}

pub(crate) async fn update(
    services: Arc<Services>,
    PathParam(id): PathParam,
    Authorized(caller, CommentPatch { content }): Authorized<CommentPatch>,
) -> Result<Json<CommentBody>, ApiError> {
    Ok(Json(services.engagement.edit_comment(&caller, &id, &content).await?.into()))
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(id): PathParam,
    caller: Caller,
) -> Result<Deleted, ApiError> {
    services.engagement.delete_comment(&caller, &id).await?;
    Ok(Deleted)
}

pub(crate) async fn hide(
    services: Arc<Services>,
    PathParam(id): PathParam,
    caller: Caller,
) -> Result<Json<ModeratedBody>, ApiError> {
    Ok(Json(services.engagement.moderate(&caller, &id, CommentStatus::Hidden).await?.into()))
}

pub(crate) async fn restore(
    services: Arc<Services>,
    PathParam(id): PathParam,
    caller: Caller,
) -> Result<Json<ModeratedBody>, ApiError> {
    Ok(Json(services.engagement.moderate(&caller, &id, CommentStatus::Visible).await?.into()))
}

pub(crate) async fn counts(
    services: Arc<Services>,
    Question(CountedTargets { targets: Targets(targets) }): Question<CountedTargets>,
) -> Result<Json<CountsBody>, ApiError> {
    let counts = services.engagement.counts(targets).await?;
    let body = |((kind, id), counts): ((String, String), EngagementCounts)| {
        let EngagementCounts { reactions, comments } = counts;
        let counts = TargetCountsBody { reactions: by_tag(reactions), comment_count: comments };
        (format!("{kind}:{id}"), counts)
    };
    Ok(Json(CountsBody { counts: counts.into_iter().map(body).collect() }))
}
