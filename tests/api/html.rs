use axum::http::StatusCode;
use docstore::Database;
use serde_json::{Value, json};

use crate::support::{Answer, App};

const SAID: &str = "x-content-sanitized";
const DIRTY: &str = "<p onclick=\"x()\">a<script>alert(1)</script></p><img src=x onerror=alert(1)>";
const CLEAN: &str = "<p>a</p><img src=\"x\">";

fn with(base: &Value, content: &str) -> Value {
    let mut body = base.clone();
    body["content"] = json!(content);
    body
}

fn content_of(answer: &Answer) -> String {
    answer.json()["content"].as_str().expect("content").to_owned()
}

testkit::stores! {
    async fn weak_spot_7_content_is_cleaned_on_every_way_in(db: Database) {
        let app = App::on(&db).await;
        let story = json!({ "title": "S", "is_published": true });
        let project = json!({ "title": "P", "summary": "s" });
        for (collection, base) in [("/stories", &story), ("/projects", &project)] {
            let made = app.post("author", collection, &with(base, DIRTY)).await;
            assert_eq!((made.status, content_of(&made).as_str()), (StatusCode::CREATED, CLEAN), "{collection}");
            assert_eq!(made.header(SAID), "script;1, onclick;1, onerror;1");
            let path = format!("{collection}/{}", made.json()["id"].as_str().unwrap());
            assert_eq!(content_of(&app.get_as("author", &path).await), CLEAN);
            let clean = app.put("author", &path, &with(base, CLEAN)).await;
            assert_eq!((clean.status, content_of(&clean).as_str()), (StatusCode::OK, CLEAN));
            assert!(!clean.headers.contains_key(SAID));
            let dirty = app.put("author", &path, &with(base, "<b onclick=x>b</b>")).await;
            assert_eq!((content_of(&dirty).as_str(), dirty.header(SAID)), ("<b>b</b>", "onclick;1"));
        }
        let page = json!({ "title": "About" });
        for turn in ["made", "changed"] {
            let put = app.put("author", "/pages/about", &with(&page, DIRTY)).await;
            assert_eq!(put.status, 200, "{turn}");
            assert_eq!((content_of(&put).as_str(), put.header(SAID)), (CLEAN, "script;1, onclick;1, onerror;1"), "{turn}");
        }
        assert_eq!(content_of(&app.get("/pages/about").await), CLEAN);
    }

    async fn content_of_which_nothing_may_stay_is_no_content(db: Database) {
        let app = App::on(&db).await;
        let nothing = "<script>alert(1)</script>";
        let expected = [(json!(["body", "content"]), "value_error".to_owned())];
        let story = json!({ "title": "S", "is_published": true, "content": nothing });
        assert_eq!(app.post("author", "/stories", &story).await.errors(), expected);
        assert_eq!(app.put("author", "/pages/about", &json!({ "title": "A", "content": nothing })).await.errors(), expected);
        assert_eq!(app.get("/stories").await.json()["total"], 0);
        assert_eq!(app.get("/pages/about").await.status, 404);
    }

    async fn titles_are_text_and_stay_as_they_are(db: Database) {
        let app = App::on(&db).await;
        let title = "a < b & <script>c</script>";
        let made = app.made("author", "/stories", &json!({ "title": title, "content": "c", "is_published": true })).await;
        assert_eq!(made["title"], title);
    }
}
