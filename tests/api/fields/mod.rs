/// Navigation links.
mod navlinks;
/// Pages.
mod pages;
/// Projects.
mod projects;
/// Sections.
mod sections;
/// Stories.
mod stories;

use axum::http::Method;
use chrono::TimeDelta;
use docstore::{Database, Filter};
use serde_json::{Value, json};

use crate::support::App;

/// A type of content: the path that creates items, the path that updates an existing one, and the minimal body of both.
struct Kind {
    makes: Option<&'static str>,
    changes: String,
    minimal: Value,
}

impl Kind {
    /// Creates one item to update.
    async fn new(app: &App, makes: &'static str, minimal: Value) -> Self {
        let created = app.create("admin", makes, &minimal).await;
        let changes = format!("{makes}/{}", created["id"].as_str().expect("an id"));
        Self { makes: Some(makes), changes, minimal }
    }

    /// Returns the minimal body with one field changed.
    fn with(&self, field: &str, value: Value) -> Value {
        let mut body = self.minimal.clone();
        body[field] = value;
        body
    }

    fn without(&self, field: &str) -> Value {
        let mut body = self.minimal.clone();
        body.as_object_mut().expect("an object").remove(field).expect("a field of it");
        body
    }

    /// Creates an item from a body that must be accepted.
    async fn create(&self, app: &App, body: &Value) -> Value {
        app.clock.advance(TimeDelta::minutes(1));
        app.create("admin", self.makes.expect("it is created by POST"), body).await
    }

    /// Updates the existing item with a body that must be accepted.
    async fn update(&self, app: &App, body: &Value) -> Value {
        app.clock.advance(TimeDelta::minutes(1));
        let answer = app.put("admin", &self.changes, body).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    /// Returns the types of the errors of a field's value, in creates and updates; none if it is accepted.
    async fn wrong(&self, app: &App, field: &str, value: &Value) -> Vec<String> {
        let body = self.with(field, value.clone());
        let mut wrong = Vec::new();
        let requests = self.makes.map(|path| (Method::POST, path, 201));
        for (method, path, fine) in requests.into_iter().chain([(Method::PUT, &*self.changes, 200)]) {
            // So that no request exceeds the rate limit.
            app.clock.advance(TimeDelta::minutes(1));
            let answer = app.write("admin", method, path, &[], body.to_string()).await;
            if answer.status != fine {
                for (loc, kind) in answer.errors() {
                    assert_eq!(loc, json!(["body", field]));
                    wrong.push(kind);
                }
            }
        }
        let shown = wrong.len();
        assert!(shown == 0 || shown == usize::from(self.makes.is_some()) + 1, "{field}: {wrong:?}");
        wrong.dedup();
        wrong
    }

    /// Checks that a text has 1 to `most` characters.
    async fn text(&self, app: &App, field: &str, most: usize) {
        for (length, expected) in
            [(0, Some("string_too_short")), (1, None), (most, None), (most + 1, Some("string_too_long"))]
        {
            let wrong = self.wrong(app, field, &json!("t".repeat(length))).await;
            assert_eq!(wrong, expected.as_slice(), "{field} of {length}");
        }
    }

    /// Checks that a field accepts exactly these words.
    async fn word(&self, app: &App, field: &str, accepted: &[&str]) {
        for word in accepted {
            assert!(self.wrong(app, field, &json!(word)).await.is_empty(), "{field}: {word}");
            assert_eq!(self.update(app, &json!({ field: word })).await[field], json!(word));
        }
        for other in ["", "other", &accepted[0].to_uppercase()] {
            assert_eq!(self.wrong(app, field, &json!(other)).await, ["literal_error"], "{field}: {other}");
        }
    }

    /// Checks that each of these fields is required.
    async fn needed(&self, app: &App, fields: &[&str]) {
        for field in fields {
            let answer =
                app.post("admin", self.makes.expect("it is created by POST"), &self.without(field)).await;
            assert_eq!(answer.errors(), [(json!(["body", field]), "missing".to_owned())]);
        }
    }
}

/// Deletes all sections, so that new items have none.
async fn no_sections(db: &Database) {
    db.collection("sections").delete_many(&Filter::All).await.expect("the sections are deleted");
}
