use super::*;

async fn navlinks(app: &App) -> Kind {
    Kind::new(app, "/navlinks", json!({ "label": "Source", "url": "https://example.com" })).await
}

testkit::stores! {
    async fn label_and_address_make_a_link(db: Database) {
        let app = App::on(&db).await;
        let navlinks = navlinks(&app).await;
        let created = navlinks.create(&app, &navlinks.minimal).await;
        assert_eq!((&created["label"], &created["url"]), (&navlinks.minimal["label"], &navlinks.minimal["url"]));
        assert_eq!((&created["sort_order"], &created["is_published"]), (&json!(0), &json!(true)));
        navlinks.needed(&app, &["label", "url"]).await;
    }

    async fn a_label_has_1_to_100_characters(db: Database) {
        let app = App::on(&db).await;
        navlinks(&app).await.text(&app, "label", 100).await;
    }

    async fn an_address_has_1_to_500_characters(db: Database) {
        let app = App::on(&db).await;
        let navlinks = navlinks(&app).await;
        navlinks.text(&app, "url", 500).await;
        for address in ["/blog", "mailto:a@example.com", "#top"] {
            assert_eq!(navlinks.update(&app, &json!({ "url": address })).await["url"], address);
        }
    }

    async fn an_order_is_not_negative(db: Database) {
        let app = App::on(&db).await;
        let navlinks = navlinks(&app).await;
        assert_eq!(navlinks.wrong(&app, "sort_order", &json!(-1)).await, ["greater_than_equal"]);
        assert!(navlinks.wrong(&app, "sort_order", &json!(0)).await.is_empty());
    }

    async fn a_change_may_name_no_field_or_one(db: Database) {
        let app = App::on(&db).await;
        let navlinks = navlinks(&app).await;
        let mut expected = app.get(&navlinks.changes).await.json();
        for (field, value) in [("label", json!("New")), ("url", json!("/new")), ("sort_order", json!(4)), ("is_published", json!(false))] {
            expected[field] = value.clone();
            for body in [json!({ field: value }), json!({})] {
                let changed = navlinks.update(&app, &body).await;
                expected["updatedDate"] = changed["updatedDate"].clone();
                assert_eq!(changed, expected, "{body}");
            }
        }
    }
}
