use axum::http::Method;
use docstore::Database;
use serde_json::{Value, json};

use crate::counting::Counting;
use crate::stories::story;
use crate::support::App;

/// Requests that write several documents.
#[derive(Debug, Clone, Copy)]
enum Case {
    RenameSection,
    DeleteSection,
    ReorderSections,
    RestoreStory,
}

impl Case {
    /// Creates what the request is about. Returns its method, path and body.
    async fn prepare(self, app: &App, n: usize) -> (Method, String, String) {
        let section = |title: &str, content_type: &str| {
            let title = format!("{title} {n}");
            json!({ "title": title, "display_type": "feed", "content_type": content_type })
        };
        let id = |item: &Value| item["id"].as_str().expect("an id").to_owned();
        match self {
            Self::RenameSection => {
                let section = app.create("admin", "/sections", &section("Pages", "page")).await;
                let page = json!({ "title": "T", "content": "<p>c</p>" });
                let path = format!("/pages/{}", section["slug"].as_str().expect("a slug"));
                assert_eq!(app.put("admin", &path, &page).await.status, 200);
                let body = json!({ "title": format!("Renamed {n}") });
                (Method::PUT, format!("/sections/{}", id(&section)), body.to_string())
            }
            Self::DeleteSection | Self::RestoreStory => {
                let section = id(&app.create("admin", "/sections", &section("Stories", "story")).await);
                let mut story = story("Moved", true);
                story["section_id"] = json!(section);
                let story = id(&app.create("admin", "/stories", &story).await);
                if matches!(self, Self::DeleteSection) {
                    return (Method::DELETE, format!("/sections/{section}?force=true"), String::new());
                }
                assert_eq!(app.delete("admin", &format!("/stories/{story}")).await.status, 204);
                assert_eq!(app.delete("admin", &format!("/sections/{section}")).await.status, 204);
                (Method::POST, format!("/trash/stories/{story}/restore"), String::new())
            }
            Self::ReorderSections => {
                let mut places = Vec::new();
                for (at, title) in ["First", "Second", "Third"].into_iter().enumerate() {
                    let section = app.create("admin", "/sections", &section(title, "story")).await;
                    places.push(json!({ "id": id(&section), "sort_order": 100 + at }));
                }
                (Method::PUT, "/sections/order".to_owned(), Value::from(places).to_string())
            }
        }
    }
}

/// Returns what clients see of the store.
async fn content(db: &Database) -> Vec<(String, Vec<bson::Document>)> {
    let mut all: Vec<_> = testkit::dump!(db).into_iter().collect();
    all.retain(|(name, _)| ["stories", "projects", "pages", "sections"].contains(&name.as_str()));
    all
}

testkit::stores! {
    async fn failure_without_unknown_outcome_has_written_nothing(db: Database) {
        let (store, counts) = Counting::around(&db);
        let app = App::on_with(&store, |config| config.middleware.unlimited = true).await;
        counts.refuse_transactions();
        let (mut n, mut unknown) = (0, 0);
        for case in [Case::RenameSection, Case::DeleteSection, Case::ReorderSections, Case::RestoreStory] {
            for collection in ["sections", "stories", "pages"] {
                // The store fails one operation later each time, until the request needs no more of them.
                for operations in 0.. {
                    n += 1;
                    let (method, path, body) = case.prepare(&app, n).await;
                    let before = content(&db).await;
                    counts.fail_after(collection, operations);
                    let headers = [("content-type", "application/json")];
                    let answer = app.write("admin", method, &path, &headers, body).await;
                    counts.heal();
                    if answer.status.is_success() {
                        break;
                    }
                    assert_eq!(answer.status, 503, "{case:?}, {collection} {operations}");
                    if answer.json()["outcome"] == "unknown" {
                        unknown += 1;
                    } else {
                        assert_eq!(content(&db).await, before, "{case:?}, {collection} {operations}");
                    }
                }
            }
        }
        assert!(unknown > 0);
    }
}
