/// The work of look-ups.
mod effort;
/// Addresses of pages, which follow their sections.
mod pages;
/// Random histories of stories by several authors.
mod random;

use axum::http::Method;
use bson::{Document, doc};
use docstore::{Database, Filter, Find, Update};
use field_notes::domain::TrashType::Stories;
use field_notes::startup;
use serde_json::{Value, json};

use crate::stories::{insert_story, path, story};
use crate::support::App;

impl App {
    /// Returns the status of a story's address to an anonymous caller, and where it leads.
    async fn leads(&self, slug: &str) -> (u16, String) {
        let answer = self.get(&format!("/stories/slug/{slug}")).await;
        (answer.status.as_u16(), answer.header("location").to_owned())
    }

    /// Changes fields of an item; returns it.
    async fn change(&self, path: &str, fields: &Value) -> Value {
        let answer = self.put("admin", path, fields).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    async fn remove(&self, path: &str) {
        assert_eq!(self.delete("admin", path).await.status, 204, "{path}");
    }

    /// Restores an item and returns its slug.
    async fn restored(&self, kind: &str, item: &Value) -> String {
        let path = format!("/trash/{kind}/{}/restore", item["id"].as_str().expect("an id"));
        let answer = self.write("admin", Method::POST, &path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        answer.json()["slug"].as_str().expect("a slug").to_owned()
    }
}

fn to(slug: &str) -> (u16, String) {
    (301, format!("/stories/slug/{slug}"))
}

fn found() -> (u16, String) {
    (200, String::new())
}

fn missing() -> (u16, String) {
    (404, String::new())
}

async fn history(db: &Database, slug: &str) -> Option<Document> {
    let find = Find::new(Filter::eq("slug", slug));
    db.collection("slug_history").find_one(find).await.expect("the history is read")
}

testkit::stores! {
    async fn a_draft_never_shadows_a_public_address(db: Database) {
        let app = App::on(&db).await;
        let first = app.create("author", "/stories", &story("A", true)).await;
        app.change(&path(&first), &json!({ "title": "B" })).await;
        assert_eq!(app.leads("a").await, to("b"));
        let draft = app.create("author", "/stories", &story("A", false)).await;
        assert_eq!((draft["slug"].as_str(), app.leads("a").await), (Some("a"), to("b")));
        // Those who may see the draft find it there; others are led on like everybody.
        for (who, status) in [("author", 200), ("admin", 200), ("commenter", 301)] {
            assert_eq!(app.get_as(who, "/stories/slug/a").await.status, status, "{who}");
        }
        // Once it is public, it has the address; while it is not, the address leads to the other again.
        for (public, leads) in [(true, found()), (false, to("b")), (true, found())] {
            app.change(&path(&draft), &json!({ "is_published": public })).await;
            assert_eq!(app.leads("a").await, leads);
        }
        // A draft that had an address does not show that it had.
        app.change(&path(&draft), &json!({ "is_published": false, "title": "C" })).await;
        assert_eq!((app.leads("a").await, app.leads("c").await), (to("b"), missing()));
    }

    async fn every_former_holder_of_an_address_is_remembered(db: Database) {
        let app = App::on(&db).await;
        let trash = startup::services(&app.config, &db, std::sync::Arc::new(app.clock.clone())).trash;
        let first = app.create("author", "/stories", &story("A", true)).await;
        app.change(&path(&first), &json!({ "title": "B" })).await;
        let second = app.create("author", "/stories", &story("A", true)).await;
        app.change(&path(&second), &json!({ "title": "C" })).await;
        assert_eq!(app.leads("a").await, to("c"));
        // The last one that is public counts.
        app.change(&path(&second), &json!({ "is_published": false })).await;
        assert_eq!(app.leads("a").await, to("b"));
        app.change(&path(&second), &json!({ "is_published": true })).await;
        app.remove(&path(&second)).await;
        assert_eq!(app.leads("a").await, to("b"));
        assert_eq!((app.restored("stories", &second).await, app.leads("a").await), ("c".to_owned(), to("c")));
        app.remove(&path(&second)).await;
        assert_eq!(trash.purge_older(Stories, chrono::TimeDelta::zero()).await.unwrap(), 1);
        assert_eq!(app.leads("a").await, to("b"));
        let history = history(&db, "a").await.unwrap();
        assert_eq!((history.get_str("item").unwrap(), history.get("earlier")), (first["id"].as_str().unwrap(), None));
    }

    async fn a_restored_story_is_found_under_the_address_that_it_lost_while_deleted(db: Database) {
        let app = App::on(&db).await;
        let first = app.create("author", "/stories", &story("A", true)).await;
        app.remove(&path(&first)).await;
        let second = app.create("author", "/stories", &story("A", true)).await;
        assert_eq!(app.restored("stories", &first).await, "a-2");
        assert_eq!(app.leads("a").await, found());
        app.remove(&path(&second)).await;
        assert_eq!(app.leads("a").await, to("a-2"));
    }

    async fn histories_of_earlier_versions_are_read_and_continued(db: Database) {
        let app = App::on(&db).await;
        let first = insert_story(&db, "b", doc! { "title": "B" }).await;
        let at = bson::DateTime::from_millis(crate::support::NOW_MS);
        let former = doc! { "collection": "stories", "slug": "a", "item": &first, "createdDate": at };
        db.collection("slug_history").insert_one(former).await.unwrap();
        assert_eq!(app.leads("a").await, to("b"));
        let second = app.create("author", "/stories", &story("A", true)).await;
        app.change(&path(&second), &json!({ "title": "C" })).await;
        assert_eq!(app.leads("a").await, to("c"));
        let both = history(&db, "a").await.unwrap();
        // An earlier version that runs beside this one reads and writes the last holder only.
        assert_eq!(both.get_str("item").unwrap(), second["id"].as_str().unwrap());
        app.change(&path(&second), &json!({ "is_published": false })).await;
        assert_eq!(app.leads("a").await, to("b"));
        let overwritten = Update::new().set("item", first.as_str());
        let of_a = Filter::and([Filter::eq("collection", "stories"), Filter::eq("slug", "a")]);
        db.collection("slug_history").update_one(&of_a, &overwritten).await.unwrap();
        assert_eq!(app.leads("a").await, to("b"));
        // It set this one aside without a trace; the trash still knows its address.
        let aside = insert_story(&db, "~aside", doc! { "title": "D", "slug_before": "d", "deleted": true }).await;
        app.create("author", "/stories", &story("D", false)).await;
        assert_eq!(app.restored("stories", &json!({ "id": aside })).await, "d-2");
        assert_eq!(app.leads("d").await, to("d-2"));
    }

    async fn sections_and_projects_keep_their_addresses_as_stories_do(db: Database) {
        let app = App::on(&db).await;
        let section = json!({ "title": "A", "display_type": "feed", "content_type": "story" });
        for (kind, body) in [("projects", json!({ "title": "A", "summary": "s", "content": "c" })), ("sections", section)] {
            let first = app.create("admin", &format!("/{kind}"), &body).await;
            app.change(&format!("/{kind}/{}", first["id"].as_str().unwrap()), &json!({ "title": "B" })).await;
            let mut draft = body.clone();
            draft["is_published"] = json!(false);
            let draft = app.create("admin", &format!("/{kind}"), &draft).await;
            assert_eq!(draft["slug"], "a");
            let led = app.get(&format!("/{kind}/slug/a")).await;
            assert_eq!((led.status.as_u16(), led.header("location")), (301, &*format!("/{kind}/slug/b")));
        }
    }
}
