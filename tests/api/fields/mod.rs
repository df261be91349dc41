/// Of links.
mod navlinks;
/// Of pages.
mod pages;
/// Of projects.
mod projects;
/// Of sections.
mod sections;
/// Of stories.
mod stories;

use axum::http::Method;
use chrono::TimeDelta;
use docstore::{Database, Filter};
use serde_json::{Value, json};

use crate::support::App;

/// A kind of content: where it is made, and where one that is there is changed. Both take the least body.
struct Kind {
    makes: Option<&'static str>,
    changes: String,
    least: Value,
}

impl Kind {
    /// With one that is there.
    async fn of(app: &App, makes: &'static str, least: Value) -> Self {
        let made = app.made("admin", makes, &least).await;
        let changes = format!("{makes}/{}", made["id"].as_str().expect("an id"));
        Self { makes: Some(makes), changes, least }
    }

    /// The least body, with one field as it is here.
    fn with(&self, field: &str, value: Value) -> Value {
        let mut body = self.least.clone();
        body[field] = value;
        body
    }

    fn without(&self, field: &str) -> Value {
        let mut body = self.least.clone();
        body.as_object_mut().expect("an object").remove(field).expect("a field of it");
        body
    }

    /// What is made of a body that has to be accepted.
    async fn made(&self, app: &App, body: &Value) -> Value {
        app.clock.advance(TimeDelta::minutes(1));
        app.made("admin", self.makes.expect("it is made by POST"), body).await
    }

    /// What becomes of the one that is there, by a body that has to be accepted.
    async fn changed(&self, app: &App, body: &Value) -> Value {
        app.clock.advance(TimeDelta::minutes(1));
        let answer = app.put("admin", &self.changes, body).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    /// The types of what is wrong with this value of this field, made and changed; nothing where it is accepted.
    async fn wrong(&self, app: &App, field: &str, value: &Value) -> Vec<String> {
        let body = self.with(field, value.clone());
        let mut wrong = Vec::new();
        let requests = self.makes.map(|path| (Method::POST, path, 201));
        for (method, path, fine) in requests.into_iter().chain([(Method::PUT, &*self.changes, 200)]) {
            // So that no request is one too many in its minute.
            app.clock.advance(TimeDelta::minutes(1));
            let answer = app.write("admin", method, path, &[], body.to_string()).await;
            if answer.status != fine {
                for (loc, kind) in answer.errors() {
                    assert_eq!(loc, json!(["body", field]));
                    wrong.push(kind);
                }
            }
        }
        let told = wrong.len();
        assert!(told == 0 || told == usize::from(self.makes.is_some()) + 1, "{field}: {wrong:?}");
        wrong.dedup();
        wrong
    }

    /// A text has at least one character, and at most so many.
    async fn text(&self, app: &App, field: &str, most: usize) {
        for (length, expected) in
            [(0, Some("string_too_short")), (1, None), (most, None), (most + 1, Some("string_too_long"))]
        {
            let wrong = self.wrong(app, field, &json!("t".repeat(length))).await;
            assert_eq!(wrong, expected.as_slice(), "{field} of {length}");
        }
    }

    /// A field is one of these words and no other.
    async fn word(&self, app: &App, field: &str, words: &[&str]) {
        for word in words {
            assert!(self.wrong(app, field, &json!(word)).await.is_empty(), "{field}: {word}");
            assert_eq!(self.changed(app, &json!({ field: word })).await[field], json!(word));
        }
        for other in ["", "other", &words[0].to_uppercase()] {
            assert_eq!(self.wrong(app, field, &json!(other)).await, ["literal_error"], "{field}: {other}");
        }
    }

    /// It cannot be made without any of these.
    async fn needed(&self, app: &App, fields: &[&str]) {
        for field in fields {
            let answer =
                app.post("admin", self.makes.expect("it is made by POST"), &self.without(field)).await;
            assert_eq!(answer.errors(), [(json!(["body", field]), "missing".to_owned())]);
        }
    }
}

/// What is there has no section afterwards, and what is made next has none.
async fn no_sections(db: &Database) {
    db.collection("sections").delete_many(&Filter::All).await.expect("the sections are deleted");
}
