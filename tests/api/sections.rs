use bson::{doc, oid::ObjectId};
use docstore::Database;
use serde_json::json;

use crate::support::{App, insert, section, user_id};

testkit::stores! {
    async fn the_first_answer_is_the_four_seeded_sections(db: Database) {
        let app = App::on(&db).await;
        let answer = app.get("/sections").await;
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(answer.slugs(), ["blog", "about", "projects", "contact"]);
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(4), &json!(20), &json!(0)));
        let text = String::from_utf8(answer.bytes.clone()).unwrap();
        let id = body["items"][0]["id"].as_str().unwrap();
        let first = format!(
            "{{\"items\":[{{\"title\":\"Blog\",\"slug\":\"blog\",\"parent_id\":null,\"display_type\":\"feed\",\
             \"content_type\":\"story\",\"nav_visibility\":\"main\",\"sort_order\":0,\"is_published\":true,\"id\":\"{id}\",\
             \"createdDate\":\"2026-01-02T03:04:05.678000Z\",\"updatedDate\":\"2026-01-02T03:04:05.678000Z\",\"user_id\":null}},"
        );
        assert!(text.starts_with(&first), "{text}");
        assert!(text.ends_with("],\"total\":4,\"limit\":20,\"offset\":0}"), "{text}");
    }

    async fn where_there_are_none_the_list_is_empty(db: Database) {
        let app = App::on(&db).await;
        db.collection("sections").delete_many(&docstore::Filter::All).await.unwrap();
        let none = app.get("/sections").await;
        assert_eq!((none.status.as_u16(), none.json()), (200, json!({ "items": [], "total": 0, "limit": 20, "offset": 0 })));
    }

    async fn one_section_has_three_addresses(db: Database) {
        let app = App::on(&db).await;
        let by_slug = app.get("/sections/slug/blog").await;
        assert_eq!(by_slug.status, 200);
        let body = by_slug.json();
        assert_eq!(app.get("/sections/by-slug/blog").await.json(), body);
        let id = body["id"].as_str().unwrap();
        assert_eq!(app.get(&format!("/sections/{id}")).await.json(), body);
        assert_eq!(app.get(&format!("/sections/{}", id.to_uppercase())).await.json(), body);
    }

    async fn windows_move_over_the_list(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get("/sections?limit=2").await.slugs(), ["blog", "about"]);
        let second = app.get("/sections?limit=2.0&offset=2").await;
        assert_eq!(second.slugs(), ["projects", "contact"]);
        let body = second.json();
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(4), &json!(2), &json!(2)));
        assert_eq!(second.header("link"), "</sections?limit=2&offset=0>; rel=\"first\", </sections?limit=2&offset=0>; rel=\"prev\"");
        let beyond = app.get("/sections?offset=9007199254740991").await;
        assert_eq!((beyond.slugs().len(), &beyond.json()["total"]), (0, &json!(4)));
    }

    async fn bad_windows_are_422(db: Database) {
        let app = App::on(&db).await;
        for (query, name, kind) in [
            ("limit=0", "limit", "greater_than_equal"),
            ("limit=-1", "limit", "greater_than_equal"),
            ("limit=101", "limit", "less_than_equal"),
            ("limit=abc", "limit", "int_parsing"),
            ("limit=1.5", "limit", "int_parsing"),
            ("limit=", "limit", "int_parsing"),
            ("limit=9223372036854775808", "limit", "less_than_equal"),
            ("offset=-1", "offset", "greater_than_equal"),
            ("include_unpublished=maybe", "include_unpublished", "bool_parsing"),
        ] {
            let answer = app.get(&format!("/sections?{query}")).await;
            assert_eq!(answer.status, 422, "{query}");
            let body = answer.json();
            assert_eq!(body["detail"], "Validation Error");
            let errors = body["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{query}");
            assert_eq!((&errors[0]["loc"], &errors[0]["type"]), (&json!(["query", name]), &json!(kind)), "{query}");
        }
    }

    async fn checks_come_in_the_order_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let all = "limit=0&include_unpublished=true&parent_id=zzz&nav_visibility=foo";
        assert_eq!(app.get(&format!("/sections?{all}")).await.status, 422);
        let no_token = app.get("/sections?include_unpublished=true&parent_id=zzz").await;
        assert_eq!((no_token.status.as_u16(), no_token.header("www-authenticate")), (401, "Bearer"));
        assert!(no_token.json()["detail"].as_str().unwrap().contains("authorization"));
        let bad = app.get_as("admin", "/sections?include_unpublished=true&parent_id=zzz").await;
        assert_eq!(bad.status, 400);
    }

    async fn meaningless_filters_are_400(db: Database) {
        let app = App::on(&db).await;
        for query in ["parent_id=zzz", "parent_id=%00", "nav_visibility=foo", "nav_visibility=Main"] {
            let answer = app.get(&format!("/sections?{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.json()["detail"].as_str().unwrap().to_lowercase().contains("invalid"), "{query}");
        }
    }

    async fn filters_choose(db: Database) {
        let app = App::on(&db).await;
        let parent = ObjectId::new();
        insert(&db, section("by-text", doc! { "parent_id": parent.to_hex(), "sort_order": 1 })).await;
        insert(&db, section("by-object-id", doc! { "parent_id": parent, "sort_order": 2_i64 })).await;
        insert(&db, section("aside", doc! { "nav_visibility": "secondary", "sort_order": 3.0 })).await;
        let children = app.get(&format!("/sections?parent_id={}", parent.to_hex().to_uppercase())).await;
        assert_eq!(children.slugs(), ["by-text", "by-object-id"]);
        assert_eq!(children.json()["items"][1]["parent_id"], json!(parent.to_hex()));
        assert_eq!(app.get("/sections?parent_id=null").await.slugs(), ["blog", "about", "projects", "contact", "aside"]);
        assert_eq!(app.get("/sections?nav_visibility=secondary").await.slugs(), ["aside"]);
        assert_eq!(app.get("/sections?nav_visibility=hidden").await.json()["total"], 0);
    }

    async fn deleted_ones_are_gone_by_either_mark(db: Database) {
        let app = App::on(&db).await;
        for (slug, mark) in [("one", doc! { "deleted": true }), ("two", doc! { "is_deleted": true, "deleted": false })] {
            let id = insert(&db, section(slug, mark)).await;
            assert_eq!(app.get(&format!("/sections/{id}")).await.status, 404);
            assert_eq!(app.get_as("admin", &format!("/sections/slug/{slug}")).await.status, 404);
        }
        assert_eq!(app.get_as("admin", "/sections?include_unpublished=true").await.json()["total"], 4);
    }

    async fn unpublished_ones_are_for_their_owner_and_for_administrators(db: Database) {
        let app = App::on(&db).await;
        let owner = user_id(&app, &db, "author", "dev-author@dev.example.com").await;
        let mine = insert(&db, section("mine", doc! { "is_published": false, "user_id": &owner })).await;
        insert(&db, section("nobodys", doc! { "is_published": false })).await;
        let totals = [("admin", 6), ("author", 5), ("commenter", 4)];
        for (who, total) in totals {
            assert_eq!(app.get_as(who, "/sections?include_unpublished=true").await.json()["total"], total, "{who}");
            assert_eq!(app.get_as(who, "/sections").await.json()["total"], 4, "{who}");
        }
        for path in [format!("/sections/{mine}"), "/sections/slug/mine".to_owned()] {
            assert_eq!(app.get(&path).await.status, 404);
            assert_eq!(app.get_as("commenter", &path).await.status, 404);
            assert_eq!(app.get_as("stranger", &path).await.status, 404);
            assert_eq!(app.get_as("author", &path).await.status, 200);
            assert_eq!(app.get_as("admin", &path).await.status, 200);
        }
    }

    async fn a_wrong_token_is_401_only_where_one_is_needed(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get_as("stranger", "/sections").await.status, 200);
        assert_eq!(app.get_as("stranger", "/sections/slug/blog").await.status, 200);
        let refused = app.get_as("stranger", "/sections?include_unpublished=yes").await;
        assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (401, "Bearer"));
    }

    async fn many_first_requests_make_one_user(db: Database) {
        let app = App::on(&db).await;
        let requests = (0..16).map(|_| app.get_as("commenter", "/sections?include_unpublished=1"));
        for answer in futures_util::future::join_all(requests).await {
            assert_eq!(answer.status, 200);
        }
        let commenters = docstore::Filter::eq("email", "dev-commenter@dev.example.com");
        assert_eq!(db.collection("users").count(&commenters).await.unwrap(), 1);
    }

    async fn malformed_ids_are_400_and_unknown_ones_404(db: Database) {
        let app = App::on(&db).await;
        for bad in ["zzz", "by-slug", "65a0b1c2d3e4f5061728394", "%00", "%F0%9F%8E%89"] {
            let answer = app.get(&format!("/sections/{bad}")).await;
            assert_eq!(answer.status, 400, "{bad}");
            assert!(answer.json()["detail"].as_str().unwrap().to_lowercase().contains("invalid"));
        }
        for missing in ["/sections/65a0b1c2d3e4f50617283940", "/sections/slug/nothing", "/sections/by-slug/%00"] {
            let answer = app.get(missing).await;
            assert_eq!(answer.status, 404, "{missing}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("not found"));
        }
    }

    async fn corrupt_documents_are_passed_over_in_lists_and_500_alone(db: Database) {
        let app = App::on(&db).await;
        let mut ids = Vec::new();
        for (slug, field) in [
            ("a", doc! { "title": 7 }),
            ("b", doc! { "display_type": "carousel" }),
            ("c", doc! { "createdDate": "yesterday" }),
            ("d", doc! { "sort_order": 1.5 }),
            ("e", doc! { "parent_id": { "id": 1 } }),
        ] {
            ids.push(insert(&db, section(slug, field)).await);
        }
        let list = app.get("/sections").await;
        assert_eq!(list.slugs(), ["blog", "about", "projects", "contact"]);
        for id in ids {
            let alone = app.get(&format!("/sections/{id}")).await;
            assert_eq!(alone.status, 500);
            let body = alone.json();
            assert_eq!(body["detail"], "Internal Server Error");
            assert_eq!(body["request_id"], alone.header("x-request-id"));
            assert!(!String::from_utf8_lossy(&alone.bytes).contains(&format!("document {id}")));
        }
    }

    async fn ties_are_broken_by_id(db: Database) {
        let app = App::on(&db).await;
        for n in 0..12 {
            insert(&db, section(&format!("tie-{n}"), doc! {})).await;
        }
        let mut seen = Vec::new();
        for offset in 0..16 {
            seen.extend(app.get(&format!("/sections?limit=1&offset={offset}")).await.slugs());
        }
        assert_eq!(seen, app.get("/sections").await.slugs());
    }
}
