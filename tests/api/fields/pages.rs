use super::*;

async fn pages(app: &App) -> Kind {
    let minimal = json!({ "title": "About", "content": "<p>c</p>" });
    let pages = Kind { makes: None, changes: "/pages/about".to_owned(), minimal };
    pages.update(app, &pages.minimal).await;
    pages
}

testkit::stores! {
    async fn title_and_content_make_a_page(db: Database) {
        let app = App::on(&db).await;
        let pages = pages(&app).await;
        let about = app.get("/pages/about").await.json();
        assert_eq!((&about["title"], &about["content"]), (&pages.minimal["title"], &pages.minimal["content"]));
        assert_eq!((&about["page_type"], &about["is_published"]), (&json!("about"), &json!(true)));
        let hidden = app.put("admin", "/pages/contact", &pages.with("is_published", json!(false))).await.json();
        assert_eq!((&hidden["page_type"], &hidden["is_published"]), (&json!("contact"), &json!(false)));
    }

    async fn a_title_has_1_to_200_characters(db: Database) {
        let app = App::on(&db).await;
        pages(&app).await.text(&app, "title", 200).await;
    }

    async fn content_has_1_to_100_000_characters(db: Database) {
        let app = App::on(&db).await;
        pages(&app).await.text(&app, "content", 100_000).await;
    }

    async fn a_change_may_name_no_field_or_one(db: Database) {
        let app = App::on(&db).await;
        let pages = pages(&app).await;
        let mut expected = app.get("/pages/about").await.json();
        for (field, value) in [("title", "New"), ("content", "<p>new</p>")] {
            expected[field] = json!(value);
            for body in [json!({ field: value }), json!({})] {
                let changed = pages.update(&app, &body).await;
                expected["updatedDate"] = changed["updatedDate"].clone();
                assert_eq!(changed, expected, "{body}");
            }
        }
    }

    async fn section_id_is_returned_and_null_without_a_section(db: Database) {
        let app = App::on(&db).await;
        let section = app.get("/sections/slug/about").await.json()["id"].clone();
        let pages = pages(&app).await;
        assert_eq!(app.get("/pages/about").await.json()["section_id"], section);
        no_sections(&db).await;
        let created = app.put("admin", "/pages/contact", &pages.minimal).await.json();
        assert_eq!(created.get("section_id"), Some(&Value::Null));
    }
}
