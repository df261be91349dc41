use bson::{doc, oid::ObjectId};
use docstore::{Database, Filter, Index};
use serde_json::json;

use super::{NO_ID, comments, counted, reactions, stored_counts, story, unlimited};
use crate::support::{Answer, App, NOW_MS};
use crate::writing::ANONYMOUS;

testkit::stores! {
    async fn a_reaction_is_added_and_removed_by_turns(db: Database) {
        let app = App::on(&db).await;
        let path = reactions("story", &story(&app, true).await);
        let none = json!({ "counts": {}, "user_reactions": [], "details": {} });
        assert_eq!(app.get(&path).await.json(), none);
        let toggle = |tag: &str| json!({ "reaction_tag": tag });
        let added = app.post("commenter", &path, &toggle("heart")).await;
        assert_eq!((added.status.as_u16(), added.json()), (200, json!({ "added": true, "reaction_tag": "heart" })));
        app.post("admin", &path, &toggle("heart")).await;
        app.post("admin", &path, &toggle("surprise")).await;
        let body = app.get(&path).await.json();
        assert_eq!(body["counts"], json!({ "heart": 2, "surprise": 1 }));
        assert_eq!(body["details"]["surprise"].as_array().map(Vec::len), Some(1));
        assert_eq!(body["user_reactions"], json!([]));
        // The same without the prefix, as the original's own mock server has it.
        assert_eq!(app.get(path.strip_prefix("/api").unwrap()).await.json(), body);
        let removed = app.post("commenter", &path, &toggle("heart")).await;
        assert_eq!(removed.json(), json!({ "added": false, "reaction_tag": "heart" }));
        assert_eq!(app.get(&path).await.json()["counts"], json!({ "heart": 1, "surprise": 1 }));
        assert_eq!(app.post(ANONYMOUS, &path, &toggle("heart")).await.status, 401);
        for bad in [json!({}), json!({ "reaction_tag": "love" }), json!({ "reaction_tag": null })] {
            assert_eq!(app.post("admin", &path, &bad).await.status, 422, "{bad}");
        }
    }

    async fn toggles_take_turns_across_processes(db: Database) {
        let (one, other) = (App::on(&db).await, App::on(&db).await);
        let path = reactions("story", &story(&one, true).await);
        for (app, added) in [(&one, true), (&other, false), (&one, true), (&one, false), (&other, true), (&one, false)] {
            let answer = app.post("commenter", &path, &json!({ "reaction_tag": "heart" })).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["added"]), (200, &json!(added)));
            let expected = if added { json!({ "heart": 1 }) } else { json!({}) };
            assert_eq!(app.get(&path).await.json()["counts"], expected);
        }
    }

    async fn own_reactions_are_in_private_responses_only(db: Database) {
        let app = App::on(&db).await;
        let path = reactions("story", &story(&app, true).await);
        app.post("commenter", &path, &json!({ "reaction_tag": "heart" })).await;
        app.post("commenter", &path, &json!({ "reaction_tag": "celebrate" })).await;
        let own = app.get_as("commenter", &path).await;
        assert_eq!(own.json()["user_reactions"], json!(["heart", "celebrate"]));
        assert_eq!(own.header("cache-control"), "private, no-store");
        for tag in ["thumbup", "heart", "surprise", "celebrate", "insightful"] {
            assert_eq!(app.post("admin", &path, &json!({ "reaction_tag": tag })).await.status, 200, "{tag}");
        }
        assert_eq!(app.get_as("admin", &path).await.json()["user_reactions"].as_array().map(Vec::len), Some(5));
        assert_eq!(app.get_as("author", &path).await.json()["user_reactions"], json!([]));
        // An invalid token counts as none.
        assert_eq!(app.get_as("stranger", &path).await.json()["user_reactions"], json!([]));
        let anonymous = app.get(&path).await;
        assert_eq!(anonymous.json()["user_reactions"], json!([]));
        assert!(anonymous.header("cache-control").starts_with("public"));
    }

    async fn fifty_parallel_toggles_end_in_a_consistent_state(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let path = reactions("story", &story);
        app.get_as("commenter", "/me").await;
        let toggles = (0..50).map(|_| {
            let (app, path) = (app.clone(), path.clone());
            async move { app.post("commenter", &path, &json!({ "reaction_tag": "heart" })).await }
        });
        let answers = app.at_once(toggles).await;
        let added = |answer: &Answer| {
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
            answer.json()["added"] == true
        };
        // Toggles of one reaction come one after the other, so every second one adds it.
        assert_eq!(answers.iter().filter(|answer| added(answer)).count(), 25);
        assert_eq!(db.collection("reactions").count(&Filter::All).await.unwrap(), 0);
        assert_eq!(counted(&app, &story).await, (0, 0));
        app.post("commenter", &path, &json!({ "reaction_tag": "heart" })).await;
        assert_eq!(counted(&app, &story).await, (0, 1));
        assert!(stored_counts(&db, &story).await.is_some());
    }

    async fn targets_that_are_not_public_take_no_reactions_and_reveal_nothing(db: Database) {
        let app = unlimited(&db).await;
        let (draft, live) = (story(&app, false).await, story(&app, true).await);
        let toggle = json!({ "reaction_tag": "heart" });
        assert_eq!(app.post("admin", &reactions("story", &live), &toggle).await.status, 200);
        assert_eq!(app.delete("author", &format!("/stories/{live}")).await.status, 204);
        let unknown = app.post("admin", &reactions("story", NO_ID), &toggle).await;
        let detail = json!({ "error": "target_not_found", "message": "story not found or not published" });
        assert_eq!((unknown.status.as_u16(), &unknown.json()["detail"]), (404, &detail));
        for target in [&draft, &live] {
            // Neither to its owner.
            for who in ["commenter", "author", "admin"] {
                let refused = app.post(who, &reactions("story", target), &toggle).await;
                assert_eq!((refused.status.as_u16(), &refused.json()["detail"]), (404, &detail));
            }
            let shown = app.get(&reactions("story", target)).await;
            assert_eq!(shown.json(), app.get(&reactions("story", NO_ID)).await.json());
            assert_eq!(counted(&app, target).await, (0, 0));
        }
        // A restored story has its reactions again, a purged one takes them with it.
        assert_eq!(app.post("admin", &format!("/trash/stories/{live}/restore"), &json!({})).await.status, 200);
        assert_eq!(app.get(&reactions("story", &live)).await.json()["counts"], json!({ "heart": 1 }));
        assert_eq!(counted(&app, &live).await, (0, 1));
    }

    async fn unknown_targets_have_the_errors_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let toggle = json!({ "reaction_tag": "heart" });
        for (path, status, detail) in [
            (reactions("page", NO_ID), 422, json!({ "error": "invalid_target_type", "message": "Unknown target type: page" })),
            (reactions("$where", "x"), 422, json!({ "error": "invalid_target_type", "message": "Unknown target type: $where" })),
            (reactions("story", "zzz"), 400, json!("Invalid target ID format")),
            (reactions("story", "%2e%2e"), 400, json!("Invalid target ID format")),
            (comments("project", NO_ID), 422, json!({ "error": "feature_disabled", "message": "comments disabled for project" })),
        ] {
            let read = app.get(&path).await;
            assert_eq!((read.status.as_u16(), &read.json()["detail"]), (status, &detail), "{path}");
            let body = json!({ "reaction_tag": "heart", "content": "c" });
            let written = app.post("commenter", &path, &body).await;
            assert_eq!((written.status.as_u16(), &written.json()["detail"]), (status, &detail), "{path}");
        }
        // The body comes before the target, the caller before the body.
        let path = reactions("page", NO_ID);
        assert_eq!(app.post("commenter", &path, &json!({})).await.errors()[0].1, "missing");
        assert_eq!(app.post(ANONYMOUS, &path, &toggle).await.status, 401);
    }

    async fn a_write_about_one_target_keeps_the_cached_responses_of_others(db: Database) {
        let app = App::on_with(&db, |config| {
            config.middleware.unlimited = true;
            config.cache.max_bytes = std::num::NonZeroU64::new(16 * 1024 * 1024);
        })
        .await;
        let (one, other) = (story(&app, true).await, story(&app, true).await);
        let hit = async |path: &str| app.get(path).await.header("cache-status") == "field-notes; hit";
        let paths = |id: &str| [reactions("story", id), comments("story", id)];
        let [ours, theirs] = [paths(&one), paths(&other)];
        for path in ours.iter().chain(&theirs) {
            app.get(path).await;
            assert!(hit(path).await, "{path}");
        }
        let toggle = json!({ "reaction_tag": "heart" });
        for (path, body) in [(&ours[0], &toggle), (&ours[1], &json!({ "content": "c" })), (&ours[0], &toggle)] {
            assert!(app.post("commenter", path, body).await.status.is_success(), "{path}");
            for path in &ours {
                assert!(!hit(path).await, "{path}");
            }
            for path in &theirs {
                assert!(hit(path).await, "{path}");
            }
        }
        // Nor does a change of another story.
        let change = json!({ "title": "Other", "content": "c", "is_published": false });
        assert_eq!(app.put("author", &format!("/stories/{one}"), &change).await.status, 200);
        assert!(hit(&theirs[0]).await && !hit(&ours[0]).await);
        assert_eq!(app.get(&ours[1]).await.json(), json!({ "comments": [] }));
    }

    async fn reactions_of_the_original_are_served_and_counted(db: Database) {
        let app = unlimited(&db).await;
        let story = story(&app, true).await;
        let documents = (0..1200).map(|n| doc! {
            "target_type": "story", "target_id": &story, "user_id": format!("{n:024}"), "user_name": "N",
            "reaction_tag": if n % 3 == 0 { "heart" } else { "thumbup" },
            "created_at": bson::DateTime::from_millis(NOW_MS),
        });
        db.collection("reactions").insert_many(documents.collect()).await.unwrap();
        let broken = doc! { "_id": ObjectId::new(), "target_type": "story", "target_id": &story, "user_id": 5 };
        db.collection("reactions").insert_one(broken).await.unwrap();
        let body = app.get(&reactions("story", &story)).await.json();
        assert_eq!(body["counts"], json!({ "heart": 400, "thumbup": 800 }));
        let people = body["details"].as_object().unwrap().values();
        let shown: usize = people.map(|people| people.as_array().unwrap().len()).sum();
        assert!(shown <= 1000, "{shown}");
        assert_eq!(counted(&app, &story).await, (0, 400));
        app.post("commenter", &reactions("story", &story), &json!({ "reaction_tag": "heart" })).await;
        assert_eq!(counted(&app, &story).await, (0, 401));
        let own = app.get_as("commenter", &reactions("story", &story)).await.json();
        assert_eq!(own["user_reactions"], json!(["heart"]));
        let indexes = db.list_indexes("reactions").await.unwrap();
        assert!(indexes.iter().any(Index::is_unique));
    }
}
