use super::*;

testkit::stores! {
    async fn weak_spot_14_deletion_has_two_marks(db: Database) {
        let app = App::on(&db).await;
        for (slug, mark) in [("one", "deleted"), ("two", "is_deleted")] {
            let id = left(&db, slug, doc! { mark: true }).await;
            assert_eq!(app.get_as("admin", &format!("/stories/{id}")).await.status, 404);
            assert_eq!(app.get(&format!("/stories/slug/{slug}")).await.status, 404);
            assert_eq!(app.delete("admin", &format!("/stories/{id}")).await.status, 404);
        }
        assert_eq!(app.get("/stories").await.json()["total"], 0);
        let made = app.made("author", "/stories", &story("x", true)).await;
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        let document = stored(&db, "stories", &made["id"]).await;
        assert!(document.get_bool("deleted").unwrap() && document.get_bool("is_deleted").unwrap());
        assert_eq!(document.get("updatedDate"), document.get("createdDate"));
    }

    async fn weak_spot_15_references_are_read_in_both_types(db: Database) {
        let app = App::on(&db).await;
        let (section, owner) = (ObjectId::new(), ObjectId::new());
        let id = left(&db, "typed", doc! { "section_id": section, "user_id": owner }).await;
        left(&db, "text", doc! { "section_id": section.to_hex() }).await;
        let body = app.get_as("admin", &format!("/stories/{id}")).await.json();
        assert_eq!((&body["section_id"], &body["user_id"]), (&json!(section.to_hex()), &json!(owner.to_hex())));
        let list = app.get(&format!("/stories?section_id={}", section.to_hex())).await;
        assert_eq!(list.json()["total"], 2);
        assert_eq!(app.get(&format!("/stories?section_id={NO_ID}")).await.json()["total"], 0);
        assert_eq!(app.get("/stories?section_id=zzz").await.status, 400);
    }

    async fn weak_spot_16_stories_have_a_section(db: Database) {
        let app = App::on(&db).await;
        let id = |slug: &'static str| { let app = &app; async move { app.get(&format!("/sections/slug/{slug}")).await.json()["id"].clone() } };
        let first = insert(&db, section("first", doc! { "sort_order": -1 })).await;
        let with = |section: &Value| json!({ "title": "x", "content": "x", "is_published": true, "section_id": section });
        assert_eq!(app.made("author", "/stories", &with(&json!(null))).await["section_id"], json!(first));
        let made = app.made("author", "/stories", &with(&id("blog").await)).await;
        assert_eq!(made["section_id"], id("blog").await);
        for wrong in [id("projects").await, json!(NO_ID), json!(""), json!("zzz")] {
            let expected = [(json!(["body", "section_id"]), "value_error".to_owned())];
            assert_eq!(app.post("author", "/stories", &with(&wrong)).await.errors(), expected);
            assert_eq!(app.put("author", &path(&made), &with(&wrong)).await.errors(), expected);
        }
        assert_eq!(app.put("author", &path(&made), &story("x", true)).await.json()["section_id"], id("blog").await);
        assert_eq!(app.put("author", &path(&made), &with(&json!(first))).await.json()["section_id"], json!(first));
        // The section is gone; what hangs in it can still be edited by a client that sends all back.
        let gone = Update::new().set("deleted", true);
        db.collection("sections").update_one(&Filter::eq("slug", "first"), &gone).await.unwrap();
        assert_eq!(app.put("author", &path(&made), &with(&json!(first))).await.status, 200);
        db.collection("sections").delete_many(&Filter::All).await.unwrap();
        assert_eq!(app.made("author", "/stories", &story("x", true)).await["section_id"], Value::Null);
    }

    async fn weak_spot_19_the_date_is_that_of_the_first_publication(db: Database) {
        let app = App::on(&db).await;
        let made = app.made("author", "/stories", &story("x", false)).await;
        assert_eq!(made["date"], Value::Null);
        app.clock.advance(TimeDelta::hours(1));
        let published = app.put("author", &path(&made), &story("x", true)).await.json();
        assert_eq!((&published["date"], &published["updatedDate"]), (&json!("2026-01-02T04:04:05.678000Z"), &json!("2026-01-02T04:04:05.678000Z")));
        assert_eq!(published["createdDate"], made["createdDate"]);
        for is_published in [false, true] {
            app.clock.advance(TimeDelta::hours(1));
            let changed = app.put("author", &path(&made), &story("x", is_published)).await.json();
            assert_eq!(changed["date"], published["date"]);
            assert_ne!(changed["updatedDate"], published["updatedDate"]);
        }
        assert_eq!(app.get("/stories").await.json()["items"][0]["date"], published["date"]);
    }

    async fn weak_spot_20_a_bad_document_breaks_no_list(db: Database) {
        let app = App::on(&db).await;
        app.made("author", "/stories", &story("Good", true)).await;
        let bad = left(&db, "bad", doc! { "createdDate": "yesterday" }).await;
        left(&db, "other", doc! { "title": 5 }).await;
        let list = app.get("/stories").await;
        assert_eq!((list.status.as_u16(), list.slugs()), (200, vec!["good".to_owned()]));
        let alone = app.get_as("admin", &format!("/stories/{bad}")).await;
        assert_eq!((alone.status.as_u16(), &alone.json()["detail"]), (500, &json!("Internal Server Error")));
    }

    async fn weak_spot_21_equal_dates_have_an_order(db: Database) {
        let app = App::on(&db).await;
        for n in 0..7 {
            app.made("author", "/stories", &story(&format!("s{n}"), true)).await;
        }
        let all = app.get("/stories").await.slugs();
        let mut windows = Vec::new();
        for offset in 0..7 {
            windows.extend(app.get(&format!("/stories?limit=1&offset={offset}")).await.slugs());
        }
        assert_eq!(windows, all);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 7);
    }
}
