use bson::{Bson, doc, oid::ObjectId};
use docstore::Update;

use super::*;
use crate::writing::stored;

async fn stories(app: &App) -> Kind {
    Kind::new(app, "/stories", json!({ "title": "Tide", "content": "<p>c</p>", "is_published": true })).await
}

testkit::stores! {
    async fn title_content_and_whether_it_is_published_make_a_story(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        let created = stories.create(&app, &stories.minimal).await;
        for (field, value) in stories.minimal.as_object().unwrap() {
            assert_eq!(&created[field], value);
        }
        stories.needed(&app, &["title", "content", "is_published"]).await;
    }

    async fn a_change_may_name_no_field_or_one(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        let mut expected = app.get_as("admin", &stories.changes).await.json();
        for (field, value) in [("content", json!("<p>new</p>")), ("is_published", json!(false)), ("title", json!("tide"))] {
            expected[field] = value.clone();
            for body in [json!({ field: value }), json!({ field: null }), json!({})] {
                let changed = stories.update(&app, &body).await;
                expected["updatedDate"] = changed["updatedDate"].clone();
                assert_eq!(changed, expected, "{body}");
            }
        }
    }

    async fn a_title_has_1_to_200_characters(db: Database) {
        let app = App::on(&db).await;
        stories(&app).await.text(&app, "title", 200).await;
    }

    async fn content_has_1_to_100_000_characters(db: Database) {
        let app = App::on(&db).await;
        stories(&app).await.text(&app, "content", 100_000).await;
    }

    async fn section_id_is_returned_and_null_without_a_section(db: Database) {
        let app = App::on(&db).await;
        let blog = app.get("/sections/slug/blog").await.json()["id"].clone();
        let stories = stories(&app).await;
        assert_eq!(stories.create(&app, &stories.with("section_id", blog.clone())).await["section_id"], blog);
        no_sections(&db).await;
        let created = stories.create(&app, &stories.minimal).await;
        assert_eq!(created.get("section_id"), Some(&Value::Null));
        assert_eq!(app.get("/stories").await.json()["items"][0].get("section_id"), Some(&Value::Null));
    }

    async fn dates_are_returned_in_utc(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        // The store holds instants; of the zone that they were written in nothing is left.
        for (written, shown) in [
            ("2025-06-01T12:00:00Z", "2025-06-01T12:00:00Z"),
            ("2025-06-01T12:00:00.120+02:00", "2025-06-01T10:00:00.120000Z"),
            ("2025-06-01T12:00:00-05:30", "2025-06-01T17:30:00Z"),
        ] {
            let at = bson::DateTime::parse_rfc3339_str(written).unwrap();
            let dates = Update::new().set("date", at).set("createdDate", at).set("updatedDate", at);
            db.collection("stories").update_many(&Filter::All, &dates).await.unwrap();
            let story = app.get_as("admin", &stories.changes).await.json();
            for date in ["date", "createdDate", "updatedDate"] {
                assert_eq!(story[date], shown, "{date}: {written}");
            }
        }
    }

    async fn a_body_takes_no_dates(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        let now = "2026-01-02T03:04:05.678000Z";
        for (date, value) in [("date", "2020-01-01T00:00:00"), ("createdDate", "2020-01-01T00:00:00+02:00"), ("updatedDate", "never")] {
            let created = app.create("admin", "/stories", &stories.with(date, json!(value))).await;
            assert_eq!((&created["date"], &created["createdDate"], &created["updatedDate"]), (&json!(now), &json!(now), &json!(now)));
            let changed = app.put("admin", &stories.changes, &stories.with(date, json!(value))).await.json();
            assert_eq!((&changed["date"], &changed["createdDate"], &changed["updatedDate"]), (&json!(now), &json!(now), &json!(now)));
        }
    }

    async fn the_store_s_id_is_a_text_called_id(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("admin", "/stories", &stories(&app).await.minimal).await;
        let stored = stored(&db, "stories", &created["id"]).await;
        assert_eq!(created["id"], json!(stored.get_object_id("_id").unwrap().to_hex()));
        assert_eq!(created.get("_id"), None);
        // A stored document has more fields than the response.
        let more = Update::new().set("notes", doc! { "a": 1 });
        db.collection("stories").update_many(&Filter::All, &more).await.unwrap();
        assert_eq!(app.get(&format!("/stories/slug/{}", created["slug"].as_str().unwrap())).await.json(), created);
    }

    async fn references_are_returned_as_text(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        let (section, owner) = (ObjectId::new(), ObjectId::new());
        for (section_id, user_id) in [(Bson::from(section), Bson::from(owner)), (section.to_hex().into(), owner.to_hex().into())] {
            let references = Update::new().set("section_id", section_id).set("user_id", user_id);
            db.collection("stories").update_many(&Filter::All, &references).await.unwrap();
            let story = app.get_as("admin", &stories.changes).await.json();
            assert_eq!((&story["section_id"], &story["user_id"]), (&json!(section.to_hex()), &json!(owner.to_hex())));
        }
    }

    async fn a_title_that_gives_no_slug_gives_the_id(db: Database) {
        let app = App::on(&db).await;
        let stories = stories(&app).await;
        for title in ["!!!", "🦀"] {
            let created = stories.create(&app, &stories.with("title", json!(title))).await;
            assert_eq!(created["slug"], created["id"], "{title}");
            let path = format!("/stories/slug/{}", created["id"].as_str().unwrap());
            assert_eq!(app.get(&path).await.json(), created, "{title}");
        }
    }
}
