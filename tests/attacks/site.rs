use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Method;
use docstore::Database;
use field_notes::http::Route;
use serde_json::{Value, json};

use crate::support::{Answer, App};
use crate::writing::ANONYMOUS;

/// The types of content that have a list.
pub(crate) const KINDS: [&str; 4] = ["stories", "projects", "sections", "navlinks"];
/// An id that no item has.
pub(crate) const NO_ID: &str = "65a0b1c2d3e4f50617283940";

/// Starts the application without rate limits.
pub(crate) async fn unlimited(db: &Database) -> App {
    App::on_with(db, |config| config.middleware.unlimited = true).await
}

/// Returns a valid body of an item.
pub(crate) fn item(kind: &str, title: &str, is_published: bool) -> Value {
    match kind {
        "stories" | "pages" => {
            json!({ "title": title, "content": "<p>text</p>", "is_published": is_published })
        }
        "projects" => {
            json!({ "title": title, "summary": "s", "content": "<p>text</p>", "is_published": is_published })
        }
        "sections" => json!({
            "title": title, "display_type": "feed", "content_type": "story", "is_published": is_published,
        }),
        "api" => json!({ "content": title, "reaction_tag": "heart", "targets": [] }),
        "media" => json!({ "alt_text": title }),
        "navlinks" => json!({ "label": title, "url": "/a", "is_published": is_published }),
        "video-processing" => json!({
            "original_file": format!("uploads/{title}.mp4"), "update_data": { "error_message": title },
            "thumbnail_id": "thumb_0",
            "metadata": {
                "duration_seconds": 1.5, "width": 64, "height": 36, "file_size": 1000, "content_type": "video/mp4",
                "upload_time": "2026-01-02T03:04:05Z",
            },
        }),
        other => panic!("{other}: say here what it is created of"),
    }
}

/// Returns the path of an item that was created.
pub(crate) fn path(kind: &str, created: &Value) -> String {
    format!("/{kind}/{}", created["id"].as_str().expect("an id"))
}

/// Uploads the smallest picture; returns the id in the names of its files.
pub(crate) async fn upload(app: &App, who: &str) -> String {
    const GIF: &[u8] =
        b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let head = b"--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.gif\"\r\n\r\n";
    let body = [head, GIF, b"\r\n--x--"].concat();
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    let answer = app.write(who, Method::POST, "/uploads", &headers, body).await.json();
    let url = answer["urls"][0].as_str().expect("a path");
    url.trim_start_matches("/uploads/images/originals/").trim_end_matches(".webp").to_owned()
}

/// One published item of each type with the slug `public`, the page `about`, a picture, and a deleted story.
pub(crate) struct Site {
    ids: BTreeMap<&'static str, String>,
    deleted: String,
}

impl Site {
    /// Creates the items as the development author.
    pub(crate) async fn create(app: &App) -> Self {
        let id = |created: &Value| created["id"].as_str().expect("an id").to_owned();
        let mut ids = BTreeMap::new();
        for kind in KINDS {
            let created = app.create("author", &format!("/{kind}"), &item(kind, "Public", true)).await;
            ids.insert(kind, id(&created));
        }
        assert_eq!(app.put("author", "/pages/about", &item("pages", "Public", true)).await.status, 200);
        let deleted = app.create("author", "/stories", &item("stories", "Deleted", true)).await;
        assert_eq!(app.delete("author", &path("stories", &deleted)).await.status, 204);
        let about = format!("/api/engagement/story/{}/comments", ids["stories"]);
        ids.insert("api", id(&app.create("author", &about, &item("api", "Public", true)).await));
        let job = app
            .post("author", "/video-processing/jobs", &item("video-processing", "Public", true))
            .await
            .json();
        ids.insert("video-processing", job["job_id"].as_str().expect("an id").to_owned());
        ids.insert("media", upload(app, "author").await);
        Self { ids, deleted: id(&deleted) }
    }

    /// Returns the path of a route for the items of the site.
    pub(crate) fn path(&self, route: &Route) -> String {
        let kind = route.path.split('/').nth(1).expect("a path has a first part");
        let id = self.ids.get(kind).unwrap_or(&self.deleted);
        let path = route
            .path
            .replace("{id}", id)
            .replace("{job_id}", id)
            .replace("{slug}", "public")
            .replace("{page_type}", "about")
            .replace("{section_id}", &self.ids["sections"]);
        let path = path.replace("{target_type}", "story").replace("{target_id}", &self.ids["stories"]);
        path.replace("{type}", "stories")
    }
}

/// Returns a body that a route accepts.
pub(crate) fn fields(route: &Route) -> Body {
    match route.method {
        Method::PUT if route.path == "/sections/order" => Body::from("[]"),
        Method::POST | Method::PATCH if route.path.starts_with("/video-processing/") => {
            Body::from(item("video-processing", "Changed", true).to_string())
        }
        Method::POST | Method::PUT => {
            let mut body = item("sections", "Changed", true);
            for kind in ["projects", "navlinks", "api"] {
                let more = item(kind, "Changed", true);
                body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            }
            Body::from(body.to_string())
        }
        _ => Body::empty(),
    }
}

/// Returns the body of a response without the members that differ with each request.
pub(crate) fn comparable(answer: &Answer) -> Value {
    let mut body = if answer.bytes.is_empty() { Value::Null } else { answer.json() };
    if let Some(members) = body.as_object_mut() {
        for name in ["instance", "request_id", "timestamp"] {
            members.remove(name);
        }
    }
    body
}

impl App {
    /// Sends a GET request as a caller, or as none.
    pub(crate) async fn read(&self, who: &str, path: &str) -> Answer {
        self.write(who, Method::GET, path, &[], Body::empty()).await
    }

    /// Sends a GET request without credentials.
    pub(crate) async fn anonymous(&self, path: &str) -> Answer {
        self.read(ANONYMOUS, path).await
    }

    /// Changes an item as the development author.
    pub(crate) async fn change(&self, path: &str, fields: &Value) -> Answer {
        let answer = self.put("author", path, fields).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        answer
    }
}
