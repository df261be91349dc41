use bson::doc;
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};

use super::{
    NO_ID, comment, comment_path, comments, counted, original_comment, project, story, texts, unlimited,
};
use crate::support::App;
use crate::writing::{ANONYMOUS, stored};

testkit::stores! {
    async fn a_comment_has_the_fields_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let story = story(&app, true).await;
        let body = json!({
            "content": "<b>Well</b> said & done", "mentions": [{ "user_id": "u", "user_name": "Ada" }],
        });
        let created = app.post("commenter", &comments("story", &story), &body).await;
        assert_eq!(created.status, 201);
        let created = created.json();
        let user = app.get_as("commenter", "/me").await.json();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "id": created["id"], "target_type": "story", "target_id": story, "parent_id": null,
            "user_id": user["id"], "user_name": user["name"], "user_avatar": null,
            "content": "<b>Well</b> said & done", "mentions": [{ "user_id": "u", "user_name": "Ada" }],
            "created_at": now, "updated_at": now, "deleted_at": null, "replies": [],
        });
        assert_eq!(created, expected);
        let reply = comment(&app, "author", &story, "Thanks", Some(&created)).await;
        assert_eq!(reply["parent_id"], created["id"]);
        let list = app.get(&comments("story", &story)).await.json();
        assert_eq!(texts(&list), [("<b>Well</b> said & done".to_owned(), vec!["Thanks".to_owned()])]);
        assert_eq!(list["comments"][0]["replies"][0], reply);
        assert_eq!(app.get(&format!("/engagement/story/{story}/comments")).await.json(), list);
        assert_eq!(counted(&app, &story).await, (2, 0));
        assert_eq!(app.post(ANONYMOUS, &comments("story", &story), &body).await.status, 401);
    }

    async fn the_picture_of_the_author_is_real(db: Database) {
        let app = App::on(&db).await;
        let story = story(&app, true).await;
        app.get_as("admin", "/me").await;
        // Users are read when they sign in, so the picture is there before another process asks.
        let picture = Update::new().set("avatar_url", "https://example.com/a.png");
        db.collection("users").update_many(&Filter::eq("email", "admin@example.com"), &picture).await.unwrap();
        let other = App::on(&db).await;
        let created = comment(&other, "admin", &story, "Mine", None).await;
        assert_eq!(created["user_avatar"], "https://example.com/a.png");
    }

    async fn replies_need_a_visible_comment_of_the_same_target(db: Database) {
        let app = unlimited(&db).await;
        let (one, other) = (story(&app, true).await, story(&app, true).await);
        let root = comment(&app, "commenter", &one, "root", None).await;
        let reply = comment(&app, "commenter", &one, "reply", Some(&root)).await;
        let foreign = comment(&app, "commenter", &other, "foreign", None).await;
        let gone = comment(&app, "commenter", &one, "gone", None).await;
        assert_eq!(app.delete("commenter", &comment_path(&gone)).await.status, 204);
        let answer = async |parent: Value| {
            let body = json!({ "content": "c", "parent_id": parent });
            let answer = app.post("author", &comments("story", &one), &body).await;
            (answer.status.as_u16(), answer.json()["detail"].clone())
        };
        let missing = (404, json!("Parent comment not found"));
        for parent in [&reply["id"], &foreign["id"], &gone["id"], &json!(NO_ID)] {
            assert_eq!(answer(parent.clone()).await, missing, "{parent}");
        }
        assert_eq!(answer(json!("zzz")).await, (400, json!("Invalid parent ID format")));
    }

    async fn a_deleted_comment_stays_as_placeholder_while_it_has_replies(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let root = comment(&app, "commenter", &story, "root", None).await;
        let reply = comment(&app, "author", &story, "reply", Some(&root)).await;
        let last = comment(&app, "commenter", &story, "last", None).await;
        assert_eq!(counted(&app, &story).await, (3, 0));
        assert_eq!(app.delete("commenter", &comment_path(&root)).await.status, 204);
        let list = app.get(&comments("story", &story)).await.json();
        let thread = |text: &str, replies: &[&str]| {
            (text.to_owned(), replies.iter().map(|reply| (*reply).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(texts(&list), [thread("", &["reply"]), thread("last", &[])]);
        let placeholder = &list["comments"][0];
        assert_eq!((&placeholder["id"], &placeholder["user_name"]), (&root["id"], &json!("")));
        assert!(placeholder["deleted_at"].is_string());
        assert_eq!(counted(&app, &story).await, (2, 0));
        assert_eq!(app.delete("author", &comment_path(&reply)).await.status, 204);
        assert_eq!(texts(&app.get(&comments("story", &story)).await.json()), [thread("last", &[])]);
        assert_eq!(app.delete("commenter", &comment_path(&last)).await.status, 204);
        assert_eq!(app.delete("commenter", &comment_path(&last)).await.status, 404);
        assert_eq!(counted(&app, &story).await, (0, 0));
    }

    async fn authors_owners_of_the_content_and_administrators_delete_comments(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let of_admin = comment(&app, "admin", &story, "of the administrator", None).await;
        let refused = app.delete("commenter", &comment_path(&of_admin)).await;
        let detail = json!({ "error": "forbidden", "message": "You can only delete your own comments" });
        assert_eq!((refused.status.as_u16(), &refused.json()["detail"]), (403, &detail));
        assert_eq!(app.delete(ANONYMOUS, &comment_path(&of_admin)).await.status, 401);
        // The author owns the story.
        assert_eq!(app.delete("author", &comment_path(&of_admin)).await.status, 204);
        let own = comment(&app, "commenter", &story, "own", None).await;
        assert_eq!(app.delete("commenter", &comment_path(&own)).await.status, 204);
        let other = comment(&app, "commenter", &story, "other", None).await;
        assert_eq!(app.delete("admin", &comment_path(&other)).await.status, 204);
        let path = |id: &str| format!("/api/engagement/comments/{id}");
        let missing = app.delete("admin", &path(NO_ID)).await;
        assert_eq!((missing.status.as_u16(), &missing.json()["detail"]), (404, &json!("Comment not found")));
        let bad = app.delete("admin", &path("zzz")).await;
        assert_eq!((bad.status.as_u16(), &bad.json()["detail"]), (400, &json!("Invalid comment ID format")));
    }

    async fn bad_comments_are_422(db: Database) {
        let app = unlimited(&db).await;
        let path = comments("story", &story(&app, true).await);
        let links = "http://a.example https://b.example www.c.example http://d.example";
        let mention = |name: &str| json!({ "user_id": "u", "user_name": name });
        for (body, field, kind) in [
            (json!({}), json!(["body", "content"]), "missing"),
            (json!({ "content": "" }), json!(["body", "content"]), "string_too_short"),
            (json!({ "content": "c".repeat(5001) }), json!(["body", "content"]), "string_too_long"),
            (json!({ "content": " \u{200b}\n" }), json!(["body", "content"]), "value_error"),
            (json!({ "content": "a\0b" }), json!(["body", "content"]), "value_error"),
            (json!({ "content": ["c"] }), json!(["body", "content"]), "string_type"),
            (json!({ "content": links }), json!(["body", "content"]), "value_error"),
            (json!({ "content": "c", "parent_id": 5 }), json!(["body", "parent_id"]), "string_type"),
            (json!({ "content": "c", "mentions": "x" }), json!(["body", "mentions"]), "list_type"),
            (json!({ "content": "c", "mentions": [5] }), json!(["body", "mentions", 0]), "dict_type"),
            (json!({ "content": "c", "mentions": [{ "user_id": "u" }] }), json!(["body", "mentions", 0, "user_name"]), "missing"),
            (json!({ "content": "c", "mentions": [mention(&"n".repeat(201))] }), json!(["body", "mentions", 0, "user_name"]), "string_too_long"),
            (json!({ "content": "c", "mentions": vec![mention("n"); 51] }), json!(["body", "mentions"]), "too_long"),
        ] {
            let errors = app.post("commenter", &path, &body).await.errors();
            assert_eq!(errors, [(field, kind.to_owned())], "{body}");
        }
        let longest = json!({ "content": "é".repeat(5000), "mentions": vec![mention("n"); 50] });
        assert_eq!(app.post("commenter", &path, &longest).await.status, 201);
        assert_eq!(db.collection("comments").count(&Filter::All).await.unwrap(), 1);
    }

    async fn comments_of_hidden_targets_are_not_shown(db: Database) {
        let app = unlimited(&db).await;
        let (draft, live, project) = (story(&app, false).await, story(&app, true).await, project(&app).await);
        comment(&app, "commenter", &live, "seen", None).await;
        original_comment(&db, &draft, "secret").await;
        let body = json!({ "content": "c" });
        assert_eq!(app.post("admin", &comments("project", &project), &body).await.status, 422);
        for target in [&draft, &NO_ID.to_owned()] {
            assert_eq!(app.get(&comments("story", target)).await.json(), json!({ "comments": [] }));
            assert_eq!(app.get_as("admin", &comments("story", target)).await.json(), json!({ "comments": [] }));
            assert_eq!(app.post("author", &comments("story", target), &body).await.status, 404);
        }
        assert_eq!(app.delete("author", &format!("/stories/{live}")).await.status, 204);
        assert_eq!(app.get(&comments("story", &live)).await.json(), json!({ "comments": [] }));
        assert_eq!(app.post("admin", &format!("/trash/stories/{live}/restore"), &json!({})).await.status, 200);
        assert_eq!(texts(&app.get(&comments("story", &live)).await.json()).len(), 1);
    }

    async fn comments_of_the_original_are_served_as_they_are(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let id = original_comment(&db, &story, "from before").await;
        let broken = doc! { "target_type": "story", "target_id": &story, "content": "no date", "deleted_at": null };
        db.collection("comments").insert_one(broken).await.unwrap();
        let list = app.get(&comments("story", &story)).await.json();
        assert_eq!(texts(&list), [("from before".to_owned(), vec![])]);
        let reply = comment(&app, "commenter", &story, "reply", Some(&json!({ "id": id }))).await;
        assert_eq!(reply["parent_id"], json!(id));
        assert_eq!(app.delete("admin", &format!("/api/engagement/comments/{id}")).await.status, 204);
        let document = stored(&db, "comments", &json!(id)).await;
        assert!(document.get_datetime("deleted_at").is_ok());
        app.clock.advance(TimeDelta::days(1));
        assert_eq!(texts(&app.get(&comments("story", &story)).await.json()), [(String::new(), vec!["reply".to_owned()])]);
    }
}
