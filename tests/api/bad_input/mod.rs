//! Bad input, and what it gets: the same for everything that can be written, with the store as it was.

/// Paths, methods and queries.
mod addresses;
/// Much of the same at once.
mod at_once;
/// Bodies that are no JSON object, or too much of one.
mod bodies;
/// Objects with wrong members.
mod members;

use std::collections::BTreeMap;

use axum::http::Method;
use bson::Document;
use chrono::TimeDelta;
use docstore::Database;
use serde_json::{Value, json};

use crate::support::{Answer, App};

/// A way to write something.
struct Way {
    method: Method,
    path: String,
    /// A body that is accepted, with all of its members.
    good: Value,
    /// The member that is its title.
    title: &'static str,
    /// The status of the response to the valid body.
    success: u16,
}

impl Way {
    /// True if it updates an existing item.
    fn changes(&self) -> bool {
        self.method == Method::PUT && self.path != "/pages/contact"
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The good body with another member.
    fn with(&self, member: &str, value: Value) -> Value {
        let mut body = self.good.clone();
        body[member] = value;
        body
    }

    /// Sends a body as somebody who may write. Each is sent in a minute of its own, lest the limits be in the way.
    async fn send(&self, app: &App, headers: &[(&str, &str)], body: impl Into<axum::body::Body>) -> Answer {
        app.clock.advance(TimeDelta::minutes(1));
        app.write("admin", self.method.clone(), &self.path, headers, body).await
    }
}

/// A body of each kind of content, with all of its members but references.
fn good(kind: &str) -> (Value, &'static str) {
    match kind {
        "stories" | "pages" => {
            (json!({ "title": "A", "content": "<p>a</p>", "is_published": true }), "title")
        }
        "projects" => (
            json!({
                "title": "A", "summary": "a", "content": "<p>a</p>", "technologies": ["Rust"],
                "github_url": "https://example.com/", "live_url": null, "image_url": null, "is_published": true,
                "is_featured": false, "sort_order": 3,
            }),
            "title",
        ),
        "sections" => (
            json!({
                "title": "A", "display_type": "feed", "content_type": "story", "nav_visibility": "main",
                "sort_order": 3, "is_published": true,
            }),
            "title",
        ),
        "navlinks" => (json!({ "label": "A", "url": "/a", "sort_order": 3, "is_published": true }), "label"),
        other => panic!("{other}: say here what it is created of"),
    }
}

/// Returns all documents but those of users: a sign-in is recorded even if the body is refused.
async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.remove("users");
    all
}

const KINDS: [&str; 5] = ["stories", "projects", "pages", "sections", "navlinks"];

/// Makes an item of each kind, and returns every way to write one: to make it and to change it.
async fn ways(app: &App) -> Vec<Way> {
    let mut ways = Vec::new();
    for kind in KINDS {
        let (good, title) = good(kind);
        let (make, change) = if kind == "pages" {
            assert_eq!(app.put("admin", "/pages/about", &good).await.status, 200);
            let put = |path: &str| (Method::PUT, path.to_owned(), 200);
            (put("/pages/contact"), put("/pages/about"))
        } else {
            let created = app.create("admin", &format!("/{kind}"), &good).await;
            let path = format!("/{kind}/{}", created["id"].as_str().expect("an id"));
            ((Method::POST, format!("/{kind}"), 201), (Method::PUT, path, 200))
        };
        for (method, path, success) in [make, change] {
            ways.push(Way { method, path, good: good.clone(), title, success });
        }
    }
    ways
}
