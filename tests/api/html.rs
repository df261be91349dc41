use std::collections::BTreeMap;

use chrono::TimeDelta;
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

/// Returns what `tests/editor/render.mjs` rendered with the editor's official extensions, by name.
fn editor_output() -> BTreeMap<String, String> {
    serde_json::from_str(include_str!("../editor/output.json")).expect("texts by name")
}

/// Texts that are changed when they are written, or that were once.
fn corpus() -> Vec<String> {
    let copied = format!("<p><a href=\"{}\">{}", "A".repeat(5000), "<p>a".repeat(250));
    let mut texts = vec![
        "&".repeat(3000),
        "&".repeat(100_000),
        "\u{a0}".repeat(100_000),
        "1 < 2 > 0 & &nbsp; &amp; &copy; \u{a0}".to_owned(),
        "<p>a<p>b".repeat(100),
        "<a target=_blank href=/x>x</a>".to_owned(),
        "<iframe src=https://player.vimeo.com/video/1></iframe>".to_owned(),
        "<b><i>x</b>y</i><table>z<td>".to_owned(),
        "<img srcset='/w:400,h:300/a 400w,'>".to_owned(),
        "a\r\nb<pre>\n\nc</pre>".to_owned(),
        "<link>".repeat(200) + "<b>x</b>",
        copied,
    ];
    texts.extend(editor_output().into_values());
    texts
}

testkit::stores! {
    async fn output_of_tiptap_extensions_is_stored_byte_for_byte(db: Database) {
        let app = App::on(&db).await;
        for (name, html) in editor_output() {
            app.clock.advance(TimeDelta::minutes(1));
            let body = json!({ "title": name, "content": html, "is_published": true });
            let created = app.post("author", "/stories", &body).await;
            assert_eq!((created.status.as_u16(), created.header(SAID)), (201, ""), "{name}");
            let path = format!("/stories/slug/{}", created.json()["slug"].as_str().unwrap());
            assert_eq!(content_of(&app.get(&path).await), html, "{name}");
        }
    }

    async fn content_is_accepted_again_as_it_was_returned(db: Database) {
        let app = App::on(&db).await;
        let story = json!({ "title": "S", "is_published": true, "content": "c" });
        let project = json!({ "title": "P", "summary": "s", "is_published": true, "content": "c" });
        let made = |path: &str, created: &Value| format!("{path}/{}", created["id"].as_str().unwrap());
        let items = [
            (made("/stories", &app.create("author", "/stories", &story).await), story),
            (made("/projects", &app.create("author", "/projects", &project).await), project),
            ("/pages/about".to_owned(), json!({ "title": "A" })),
        ];
        for (path, base) in items {
            for text in corpus() {
                app.clock.advance(TimeDelta::minutes(1));
                let written = app.put("author", &path, &with(&base, &text)).await;
                assert!(written.status.is_success(), "{path}: {}", String::from_utf8_lossy(&written.bytes));
                let returned = content_of(&app.get_as("author", &path).await);
                assert_eq!(content_of(&written), returned);
                let submitted = text.chars().count();
                assert!(returned.chars().count() <= (submitted + (submitted / 5).max(2000)).min(100_000));
                let again = app.put("author", &path, &with(&base, &returned)).await;
                assert_eq!((again.status.as_u16(), content_of(&again), again.header(SAID)), (200, returned, ""));
            }
        }
    }

    async fn content_that_sanitizing_makes_too_long_is_refused(db: Database) {
        let app = App::on(&db).await;
        let text = "<p>a".repeat(25_000);
        let expected = [(json!(["body", "content"]), "value_error".to_owned())];
        let story = json!({ "title": "S", "is_published": true, "content": text });
        assert_eq!(app.post("author", "/stories", &story).await.errors(), expected);
        let project = json!({ "title": "P", "summary": "s", "is_published": true, "content": text });
        assert_eq!(app.post("author", "/projects", &project).await.errors(), expected);
        assert_eq!(app.put("author", "/pages/about", &json!({ "title": "A", "content": text })).await.errors(), expected);
        assert_eq!(app.get("/stories").await.json()["total"], 0);
    }

    /// Content of which nothing may stay is an error of its own, but a caller who may not write it gets another.
    async fn callers_are_authorized_before_content_is_sanitized(db: Database) {
        let app = App::on(&db).await;
        let nothing = "<script>alert(1)</script>";
        let story = json!({ "title": "S", "is_published": true, "content": "c" });
        let project = json!({ "title": "P", "summary": "s", "is_published": true, "content": "c" });
        let page = json!({ "title": "A", "content": "c" });
        assert_eq!(app.put("commenter", "/pages/contact", &with(&page, nothing)).await.status, 403);
        app.put("author", "/pages/about", &page).await;
        assert_eq!(app.put("commenter", "/pages/about", &with(&page, nothing)).await.status, 403);
        for (collection, body) in [("/stories", story), ("/projects", project)] {
            assert_eq!(app.post("commenter", collection, &with(&body, nothing)).await.status, 403);
            let created = app.post("author", collection, &body).await;
            let path = format!("{collection}/{}", created.json()["id"].as_str().unwrap());
            assert_eq!(app.put("commenter", &path, &with(&body, nothing)).await.status, 403);
            assert_eq!(app.put("author", &path, &with(&body, "d")).await.status, 200);
            let stale = app.put_if("author", &path, created.header("etag"), &with(&body, nothing)).await;
            assert_eq!(stale.status, 412);
            let missing = format!("{collection}/{}", bson::oid::ObjectId::new().to_hex());
            assert_eq!(app.put("author", &missing, &with(&body, nothing)).await.status, 404);
        }
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
        let created = app.create("author", "/stories", &json!({ "title": title, "content": "c", "is_published": true })).await;
        assert_eq!(created["title"], title);
    }
}
