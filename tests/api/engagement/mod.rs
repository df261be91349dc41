//! Reactions and comments.

/// Comments, replies and their deletion.
mod comments;
/// Counts of many targets.
mod counts;
/// Moderation, edits and limits.
mod moderation;
/// Reactions.
mod reactions;

use bson::{doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Find};
use serde_json::{Value, json};

use crate::support::{App, NOW_MS};

/// An id that nothing has.
const NO_ID: &str = "65a0b1c2d3e4f50617283940";

/// Creates an app without rate limits.
async fn unlimited(db: &Database) -> App {
    App::on_with(db, |config| config.middleware.unlimited = true).await
}

/// Creates a story of the author, which is published or not, and returns its id.
async fn story(app: &App, is_published: bool) -> String {
    let body = json!({ "title": "Tides", "content": "<p>t</p>", "is_published": is_published });
    let story = app.create("author", "/stories", &body).await;
    story["id"].as_str().expect("an id").to_owned()
}

/// Creates a published project of the author, and returns its id.
async fn project(app: &App) -> String {
    let body = json!({ "title": "Tide table", "summary": "s", "content": "<p>t</p>" });
    let project = app.create("author", "/projects", &body).await;
    project["id"].as_str().expect("an id").to_owned()
}

fn reactions(kind: &str, id: &str) -> String {
    format!("/api/engagement/{kind}/{id}/reactions")
}

fn comments(kind: &str, id: &str) -> String {
    format!("/api/engagement/{kind}/{id}/comments")
}

fn comment_path(comment: &Value) -> String {
    format!("/api/engagement/comments/{}", comment["id"].as_str().expect("an id"))
}

/// Adds a comment that must be accepted, after the time in which it might be a repetition.
async fn comment(app: &App, who: &str, story: &str, content: &str, parent: Option<&Value>) -> Value {
    app.clock.advance(TimeDelta::seconds(61));
    let parent = parent.map(|parent| parent["id"].clone());
    app.create(who, &comments("story", story), &json!({ "content": content, "parent_id": parent })).await
}

/// Returns what a list of comments shows: texts, each with its replies.
fn texts(body: &Value) -> Vec<(String, Vec<String>)> {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let text = |comment: &Value| comment["content"].as_str().expect("a text").to_owned();
    let thread = |comment: &Value| (text(comment), list(&comment["replies"]).iter().map(text).collect());
    list(&body["comments"]).iter().map(thread).collect()
}

/// Returns the number of comments and of reactions with `heart` that the counts of a story say.
async fn counted(app: &App, story: &str) -> (i64, i64) {
    let body = json!({ "targets": [{ "type": "story", "id": story }] });
    let counts = app.post("", "/api/engagement/bulk/counts", &body).await.json();
    let counts = &counts["counts"][format!("story:{story}")];
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    (number(&counts["comment_count"]), number(&counts["reactions"]["heart"]))
}

/// Inserts a comment as the original stores it.
async fn original_comment(db: &Database, story: &str, content: &str) -> String {
    let id = ObjectId::new();
    let at = bson::DateTime::from_millis(NOW_MS);
    let comment = doc! {
        "_id": id, "target_type": "story", "target_id": story, "parent_id": null, "user_id": NO_ID,
        "user_name": "Eve", "user_avatar": null, "content": content, "mentions": [], "created_at": at,
        "updated_at": at, "deleted_at": null,
    };
    db.collection("comments").insert_one(comment).await.expect("a comment is inserted");
    id.to_hex()
}

async fn stored_counts(db: &Database, story: &str) -> Option<bson::Document> {
    let find = Find::new(Filter::id(format!("story:{story}")));
    db.collection("engagement_counts").find_one(find).await.expect("counts are read")
}
