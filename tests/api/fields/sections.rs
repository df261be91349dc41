use super::*;

async fn sections(app: &App) -> Kind {
    let minimal = json!({ "title": "Notes", "display_type": "feed", "content_type": "story" });
    Kind::new(app, "/sections", minimal).await
}

testkit::stores! {
    async fn title_display_and_content_make_a_section(db: Database) {
        let app = App::on(&db).await;
        let sections = sections(&app).await;
        let created = sections.create(&app, &sections.minimal).await;
        let rest = json!({ "parent_id": null, "nav_visibility": "main", "sort_order": 0, "is_published": true });
        for (field, value) in sections.minimal.as_object().unwrap().iter().chain(rest.as_object().unwrap()) {
            assert_eq!(created.get(field), Some(value), "{field}");
        }
        sections.needed(&app, &["title", "display_type", "content_type"]).await;
    }

    async fn all_of_a_section_can_be_given(db: Database) {
        let app = App::on(&db).await;
        let sections = sections(&app).await;
        let blog = app.get("/sections/slug/blog").await.json()["id"].clone();
        let all = json!({
            "title": "All", "parent_id": blog, "display_type": "gallery", "content_type": "image",
            "nav_visibility": "secondary", "sort_order": 12, "is_published": false,
        });
        for shown in [sections.create(&app, &all).await, sections.update(&app, &all).await] {
            for (field, value) in all.as_object().unwrap() {
                assert_eq!(&shown[field], value, "{field}");
            }
        }
    }

    async fn titles_and_slugs_have_1_to_200_characters(db: Database) {
        let app = App::on(&db).await;
        let sections = sections(&app).await;
        // Titles last: by then no section is called by the slug that is tried.
        sections.text(&app, "slug", 200).await;
        sections.text(&app, "title", 200).await;
    }

    async fn it_is_displayed_in_one_of_four_ways(db: Database) {
        let app = App::on(&db).await;
        sections(&app).await.word(&app, "display_type", &["feed", "card-grid", "static-page", "gallery"]).await;
    }

    async fn it_holds_one_kind_of_content(db: Database) {
        let app = App::on(&db).await;
        let kinds = ["story", "project", "page", "image", "photo_essay"];
        sections(&app).await.word(&app, "content_type", &kinds).await;
    }

    async fn it_is_linked_in_one_of_three_places(db: Database) {
        let app = App::on(&db).await;
        sections(&app).await.word(&app, "nav_visibility", &["main", "secondary", "hidden"]).await;
    }

    async fn an_order_is_not_negative(db: Database) {
        let app = App::on(&db).await;
        let sections = sections(&app).await;
        assert_eq!(sections.wrong(&app, "sort_order", &json!(-1)).await, ["greater_than_equal"]);
        assert!(sections.wrong(&app, "sort_order", &json!(0)).await.is_empty());
    }

    async fn a_change_may_name_no_field_or_one(db: Database) {
        let app = App::on(&db).await;
        let sections = sections(&app).await;
        let mut expected = app.get(&sections.changes).await.json();
        for (field, value) in [
            ("display_type", json!("gallery")), ("nav_visibility", json!("hidden")), ("sort_order", json!(3)),
            ("is_published", json!(false)),
        ] {
            expected[field] = value.clone();
            for body in [json!({ field: value }), json!({})] {
                let changed = sections.update(&app, &body).await;
                expected["updatedDate"] = changed["updatedDate"].clone();
                assert_eq!(changed, expected, "{body}");
            }
        }
    }
}
