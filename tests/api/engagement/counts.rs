use docstore::Database;
use serde_json::{Value, json};

use super::{NO_ID, comment, counted, original_comment, project, reactions, story, unlimited};
use crate::counting::Counting;
use crate::support::App;
use crate::writing::ANONYMOUS;

const PATH: &str = "/api/engagement/bulk/counts";

testkit::stores! {
    async fn counts_have_an_entry_for_each_target_that_was_named(db: Database) {
        let app = unlimited(&db).await;
        let (one, other, project) = (story(&app, true).await, story(&app, true).await, project(&app).await);
        comment(&app, "commenter", &one, "c", None).await;
        original_comment(&db, &other, "from before").await;
        for tag in ["heart", "thumbup"] {
            app.post("commenter", &reactions("project", &project), &json!({ "reaction_tag": tag })).await;
        }
        let target = |kind: &str, id: &str| json!({ "type": kind, "id": id });
        let upper = one.to_uppercase();
        let body = json!({ "targets": [
            target("story", &one), target("story", &one), target("story", &upper), target("story", &other),
            target("project", &project), target("story", NO_ID), target("page", "x"), {}, { "type": "story" },
            { "id": "x", "more": "text" }, target("", "x"),
        ]});
        let answer = app.post(ANONYMOUS, PATH, &body).await;
        assert_eq!(answer.status, 200);
        let counts = |comments: i64| json!({ "reactions": {}, "comment_count": comments });
        let expected = json!({ "counts": {
            format!("story:{one}"): counts(1), format!("story:{upper}"): counts(1), format!("story:{other}"): counts(1),
            format!("project:{project}"): { "reactions": { "heart": 1, "thumbup": 1 }, "comment_count": 0 },
            format!("story:{NO_ID}"): counts(0), "page:x": counts(0),
        }});
        assert_eq!(answer.json(), expected);
        assert_eq!(app.post("admin", "/engagement/bulk/counts", &body).await.json(), expected);
    }

    async fn bad_targets_are_422_and_more_than_200_too(db: Database) {
        let app = unlimited(&db).await;
        let target = json!({ "type": "story", "id": NO_ID });
        assert_eq!(app.post(ANONYMOUS, PATH, &json!({ "targets": vec![target.clone(); 200] })).await.status, 200);
        for (body, loc, kind) in [
            (json!({}), json!(["body", "targets"]), "missing"),
            (json!({ "targets": null }), json!(["body", "targets"]), "list_type"),
            (json!({ "targets": [5] }), json!(["body", "targets", 0]), "dict_type"),
            (json!({ "targets": [{ "type": 5 }] }), json!(["body", "targets", 0, "type"]), "string_type"),
            (json!({ "targets": [{ "id": { "$ne": 1 } }] }), json!(["body", "targets", 0, "id"]), "string_type"),
            (json!({ "targets": [{ "more": 1 }] }), json!(["body", "targets", 0, "*"]), "string_type"),
            (json!({ "targets": vec![target; 201] }), json!(["body", "targets"]), "too_long"),
        ] {
            assert_eq!(app.post(ANONYMOUS, PATH, &body).await.errors(), [(loc, kind.to_owned())], "{body}");
        }
    }

    async fn counts_of_fifty_targets_take_two_reads_and_no_write(db: Database) {
        let (store, counts) = Counting::around(&db);
        let app = unlimited(&store).await;
        let mut targets = Vec::new();
        for n in 0..50 {
            let body = json!({ "title": format!("Story {n}"), "content": "c", "is_published": true });
            let story = app.create("author", "/stories", &body).await;
            targets.push(json!({ "type": "story", "id": story["id"] }));
        }
        let body = json!({ "targets": targets });
        let first = app.post(ANONYMOUS, PATH, &body).await;
        // The first request counts what was never counted.
        assert_eq!(first.json()["counts"].as_object().map(serde_json::Map::len), Some(50));
        let (reads, writes) = (counts.reads(), counts.writes());
        let second = app.post(ANONYMOUS, PATH, &body).await;
        assert_eq!(second.json(), first.json());
        assert_eq!((counts.reads() - reads, counts.writes() - writes), (2, 0));
    }

    async fn counts_follow_writes_on_a_store_without_transactions(db: Database) {
        let (store, counts) = Counting::around(&db);
        let app = unlimited(&store).await;
        let story = story(&app, true).await;
        original_comment(&db, &story, "from before").await;
        counts.refuse_transactions();
        let other = App::on_with(&store, |config| config.middleware.unlimited = true).await;
        let path = reactions("story", &story);
        for who in ["commenter", "author", "admin"] {
            app.get_as(who, "/me").await;
        }
        let toggles = (0..30).map(|n| {
            let (app, path) = (if n % 2 == 0 { app.clone() } else { other.clone() }, path.clone());
            let who = ["commenter", "author", "admin"][n % 3];
            async move { app.post(who, &path, &json!({ "reaction_tag": "heart" })).await }
        });
        for answer in app.at_once(toggles).await {
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        }
        // Ten toggles by each of them.
        assert_eq!(counted(&app, &story).await, (1, 0));
        app.post("admin", &path, &json!({ "reaction_tag": "heart" })).await;
        comment(&app, "commenter", &story, "c", None).await;
        assert_eq!(counted(&app, &story).await, (2, 1));
    }

    async fn counting_takes_no_limit_of_writes(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..310 {
            let answer = app.post(ANONYMOUS, PATH, &json!({ "targets": [] })).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "counts": {} })));
        }
        let limits: Value = json!(app.post(ANONYMOUS, PATH, &json!({ "targets": [] })).await.header("ratelimit"));
        assert_eq!(limits, "");
    }
}
