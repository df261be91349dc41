use docstore::Database;
use serde_json::{Value, json};

use crate::support::{Answer, App};

pub(crate) const SAID: &str = "x-content-sanitized";
pub(crate) const DIRTY: &str =
    "<p onclick=\"x()\">a<script>alert(1)</script></p><img src=x onerror=alert(1)>";
pub(crate) const CLEAN: &str = "<p>a</p><img src=\"x\">";

pub(crate) fn with(base: &Value, content: &str) -> Value {
    let mut body = base.clone();
    body["content"] = json!(content);
    body
}

pub(crate) fn content_of(answer: &Answer) -> String {
    answer.json()["content"].as_str().expect("content").to_owned()
}

testkit::stores! {
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
        let created = app.create("author", "/stories", &json!({ "title": title, "content": "c", "is_published": true })).await;
        assert_eq!(created["title"], title);
    }
}
