use chrono::TimeDelta;
use docstore::Database;
use field_notes::config::Comments;
use serde_json::{Value, json};

use super::{comment, comment_path, comments, counted, reactions, story, texts, unlimited};
use crate::support::App;

const ALL: &str = "/api/engagement/comments";

async fn with_comments(db: &Database, rule: Comments) -> App {
    App::on_with(db, |config| {
        config.comments = rule;
        config.middleware.unlimited = true;
    })
    .await
}

fn states(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| (text(&item["content"]), text(&item["status"]))).collect()
}

testkit::stores! {
    async fn moderated_comments_are_shown_after_approval(db: Database) {
        let app = with_comments(&db, Comments::Moderated).await;
        let story = story(&app, true).await;
        let pending = comment(&app, "commenter", &story, "pending", None).await;
        let shown = comment(&app, "admin", &story, "of the administrator", None).await;
        let path = comments("story", &story);
        assert_eq!(texts(&app.get(&path).await.json()).len(), 1);
        assert_eq!(texts(&app.get_as("author", &path).await.json()).len(), 1);
        // Its author sees that it arrived.
        assert_eq!(texts(&app.get_as("commenter", &path).await.json()).len(), 2);
        assert_eq!(counted(&app, &story).await, (1, 0));
        let reply = json!({ "content": "c", "parent_id": pending["id"] });
        assert_eq!(app.post("admin", &path, &reply).await.status, 404);
        let list = app.get_as("admin", &format!("{ALL}?status=pending")).await.json();
        assert_eq!(states(&list), [("pending".to_owned(), "pending".to_owned())]);
        let approved = app.post("admin", &format!("{}/restore", comment_path(&pending)), &json!({})).await;
        assert_eq!((approved.status.as_u16(), &approved.json()["status"]), (200, &json!("visible")));
        assert_eq!(texts(&app.get(&path).await.json()).len(), 2);
        assert_eq!(counted(&app, &story).await, (2, 0));
        // An edit awaits approval again.
        let edited = app.put("commenter", &comment_path(&pending), &json!({ "content": "other" })).await;
        assert_eq!(edited.status, 200);
        assert_eq!(counted(&app, &story).await, (1, 0));
        let hidden = app.post("admin", &format!("{}/hide", comment_path(&shown)), &json!({})).await;
        assert_eq!(hidden.json()["status"], "hidden");
        assert_eq!(app.get(&path).await.json(), json!({ "comments": [] }));
        assert_eq!(counted(&app, &story).await, (0, 0));
    }

    async fn hidden_comments_keep_their_place_while_they_have_replies(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let root = comment(&app, "commenter", &story, "root", None).await;
        comment(&app, "author", &story, "reply", Some(&root)).await;
        let hide = format!("{}/hide", comment_path(&root));
        for _ in 0..2 {
            assert_eq!(app.post("admin", &hide, &json!({})).await.status, 200);
        }
        let list = app.get(&comments("story", &story)).await.json();
        assert_eq!(texts(&list), [(String::new(), vec!["reply".to_owned()])]);
        assert!(list["comments"][0]["deleted_at"].is_string());
        assert_eq!(counted(&app, &story).await, (1, 0));
        assert_eq!(app.post("commenter", &hide, &json!({})).await.status, 403);
        let restore = format!("{}/restore", comment_path(&root));
        assert_eq!(app.post("admin", &restore, &json!({})).await.status, 200);
        assert_eq!(texts(&app.get(&comments("story", &story)).await.json())[0].0, "root");
        assert_eq!(app.delete("commenter", &comment_path(&root)).await.status, 204);
        assert_eq!(app.post("admin", &restore, &json!({})).await.status, 404);
    }

    async fn administrators_list_comments_by_state_and_time(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let first = comment(&app, "commenter", &story, "first", None).await;
        let second = comment(&app, "commenter", &story, "second", None).await;
        let third = comment(&app, "author", &story, "third", None).await;
        app.delete("commenter", &comment_path(&first)).await;
        let list = async |query: &str| app.get_as("admin", &format!("{ALL}{query}")).await.json();
        let pair = |text: &str, status: &str| (text.to_owned(), status.to_owned());
        let all = [pair("third", "visible"), pair("second", "visible"), pair("first", "deleted")];
        assert_eq!(states(&list("").await), all);
        assert_eq!(states(&list("?status=visible").await), all[..2]);
        assert_eq!(states(&list("?status=deleted").await), all[2..]);
        assert_eq!(states(&list("?limit=1&offset=1").await), all[1..2]);
        let since = second["created_at"].as_str().unwrap();
        assert_eq!(states(&list(&format!("?since={since}")).await), all[..2]);
        let since = third["created_at"].as_str().unwrap();
        assert_eq!(list(&format!("?since={since}&status=visible")).await["total"], 1);
        for bad in ["?status=x", "?since=yesterday", "?limit=0", "?limit=101", "?since=2026-01-02"] {
            assert_eq!(app.get_as("admin", &format!("{ALL}{bad}")).await.status, 422, "{bad}");
        }
        assert_eq!(app.get_as("author", ALL).await.status, 403);
        assert_eq!(app.get(ALL).await.status, 401);
    }

    async fn closed_comments_take_nothing_new_and_stay_readable(db: Database) {
        let open = unlimited(&db).await;
        let story = story(&open, true).await;
        let before = comment(&open, "commenter", &story, "before", None).await;
        let app = with_comments(&db, Comments::Closed).await;
        let refused = app.post("commenter", &comments("story", &story), &json!({ "content": "c" })).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["detail"]["error"]), (403, &json!("comments_closed")));
        let edit = app.put("commenter", &comment_path(&before), &json!({ "content": "c" })).await;
        assert_eq!(edit.status, 403);
        assert_eq!(texts(&app.get(&comments("story", &story)).await.json()).len(), 1);
        let toggle = json!({ "reaction_tag": "heart" });
        assert_eq!(app.post("commenter", &reactions("story", &story), &toggle).await.status, 200);
        assert_eq!(app.delete("commenter", &comment_path(&before)).await.status, 204);
    }

    async fn authors_edit_their_comments_for_fifteen_minutes(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let written = comment(&app, "commenter", &story, "first", None).await;
        let path = comment_path(&written);
        app.clock.advance(TimeDelta::minutes(15));
        let body = json!({ "content": "<i>second</i>" });
        let edited = app.put("commenter", &path, &body).await;
        assert_eq!(edited.status, 200);
        let edited = edited.json();
        assert_eq!((&edited["content"], &edited["created_at"]), (&json!("<i>second</i>"), &written["created_at"]));
        assert_ne!(edited["updated_at"], written["updated_at"]);
        assert_eq!(app.get(&comments("story", &story)).await.json()["comments"][0], edited);
        // Not even an administrator changes the words of another.
        for who in ["admin", "author"] {
            let refused = app.put(who, &path, &body).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["detail"]["error"]), (403, &json!("forbidden")));
        }
        assert_eq!(app.put("commenter", &path, &json!({ "content": "c".repeat(5001) })).await.status, 422);
        app.clock.advance(TimeDelta::milliseconds(1));
        let late = app.put("commenter", &path, &body).await;
        assert_eq!((late.status.as_u16(), &late.json()["detail"]["error"]), (403, &json!("edit_closed")));
    }

    async fn the_same_comment_within_a_minute_is_409(db: Database) {
        let app = unlimited(&db).await;
        let (story, other) = (story(&app, true).await, story(&app, true).await);
        let body = json!({ "content": "again" });
        let post = async |who: &str, story: &str| app.post(who, &comments("story", story), &body).await.status.as_u16();
        assert_eq!(post("commenter", &story).await, 201);
        assert_eq!(post("commenter", &story).await, 409);
        assert_eq!((post("author", &story).await, post("commenter", &other).await), (201, 201));
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(post("commenter", &story).await, 201);
    }

    async fn comments_are_limited_by_address_and_by_user(db: Database) {
        let app = App::on(&db).await;
        let story_id = story(&app, true).await;
        let path = comments("story", &story_id);
        for n in 0..3 {
            let body = json!({ "content": format!("{n}") });
            assert_eq!(app.post("commenter", &path, &body).await.status, 201);
        }
        // The limit is for the address, not for the user.
        let refused = app.post("author", &path, &json!({ "content": "c" })).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("ratelimit-policy"), "\"writes\";q=3;w=60");
        app.clock.advance(TimeDelta::minutes(1));
        let mut stories = Vec::new();
        for _ in 0..4 {
            stories.push(story(&app, true).await);
        }
        let mut statuses = Vec::new();
        for n in 0..12 {
            let body = json!({ "content": format!("to {n}") });
            statuses.push(app.post("commenter", &comments("story", &stories[n / 3]), &body).await.status.as_u16());
        }
        // Ten by one user, wherever.
        assert_eq!(statuses, [[201; 10].as_slice(), &[429; 2]].concat());
        assert_eq!(app.post("author", &comments("story", &stories[0]), &json!({ "content": "c" })).await.status, 429);
        let fresh = story(&app, true).await;
        assert_eq!(app.post("author", &comments("story", &fresh), &json!({ "content": "c" })).await.status, 201);
    }
}
