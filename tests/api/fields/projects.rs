use super::*;

async fn projects(app: &App) -> Kind {
    Kind::new(app, "/projects", json!({ "title": "Tide table", "summary": "s", "content": "<p>c</p>" })).await
}

const ADDRESSES: [&str; 3] = ["github_url", "live_url", "image_url"];

testkit::stores! {
    async fn title_summary_and_content_make_a_project(db: Database) {
        let app = App::on(&db).await;
        let projects = projects(&app).await;
        let created = projects.create(&app, &projects.minimal).await;
        let rest = json!({
            "technologies": [], "github_url": null, "live_url": null, "image_url": null, "is_published": true,
            "is_featured": false, "sort_order": 0,
        });
        for (field, value) in projects.minimal.as_object().unwrap().iter().chain(rest.as_object().unwrap()) {
            assert_eq!(created.get(field), Some(value), "{field}");
        }
        projects.needed(&app, &["title", "summary", "content"]).await;
    }

    async fn all_of_a_project_can_be_given(db: Database) {
        let app = App::on(&db).await;
        let projects = projects(&app).await;
        let all = json!({
            "title": "All", "summary": "of it", "content": "<p>a</p>", "technologies": ["Rust", "SQL"],
            "github_url": "https://example.com/g", "live_url": "http://example.com", "image_url": "https://example.com/i.webp",
            "is_published": false, "is_featured": true, "sort_order": 12,
        });
        for shown in [projects.create(&app, &all).await, projects.update(&app, &all).await] {
            for (field, value) in all.as_object().unwrap() {
                assert_eq!(&shown[field], value, "{field}");
            }
        }
    }

    async fn a_title_has_1_to_200_characters(db: Database) {
        let app = App::on(&db).await;
        projects(&app).await.text(&app, "title", 200).await;
    }

    async fn a_summary_has_1_to_500_characters(db: Database) {
        let app = App::on(&db).await;
        projects(&app).await.text(&app, "summary", 500).await;
    }

    async fn content_has_1_to_100_000_characters(db: Database) {
        let app = App::on(&db).await;
        projects(&app).await.text(&app, "content", 100_000).await;
    }

    async fn addresses_begin_with_http_or_are_none(db: Database) {
        let app = App::on(&db).await;
        let projects = projects(&app).await;
        for field in ADDRESSES {
            for good in ["http://example.com", "https://example.com/a?b=c#d"] {
                assert!(projects.wrong(&app, field, &json!(good)).await.is_empty(), "{field}: {good}");
            }
            for bad in ["example.com", "ftp://example.com", "javascript:alert(1)", " "] {
                assert_eq!(projects.wrong(&app, field, &json!(bad)).await, ["value_error"], "{field}: {bad}");
            }
            let long = |length: usize| json!(format!("https://example.com/{}", "é".repeat(length - 20)));
            assert!(projects.wrong(&app, field, &long(2_048)).await.is_empty(), "{field}");
            assert_eq!(projects.wrong(&app, field, &long(2_049)).await, ["string_too_long"], "{field}");
            for none in [json!(""), json!(null)] {
                assert_eq!(projects.create(&app, &projects.with(field, none)).await[field], Value::Null);
            }
        }
    }

    async fn an_order_may_be_negative(db: Database) {
        let app = App::on(&db).await;
        let projects = projects(&app).await;
        for order in [-9_007_199_254_740_991_i64, -1, 0, 9_007_199_254_740_991] {
            assert_eq!(projects.create(&app, &projects.with("sort_order", json!(order))).await["sort_order"], order);
        }
    }

    async fn a_change_may_name_no_field_or_one(db: Database) {
        let app = App::on(&db).await;
        let projects = projects(&app).await;
        let mut expected = app.get_as("admin", &projects.changes).await.json();
        for (field, value) in [
            ("technologies", json!(["Rust"])), ("is_featured", json!(true)), ("summary", json!("new")),
            ("live_url", json!("https://example.com")), ("is_published", json!(false)), ("sort_order", json!(-2)),
        ] {
            expected[field] = value.clone();
            for body in [json!({ field: value }), json!({})] {
                let changed = projects.update(&app, &body).await;
                expected["updatedDate"] = changed["updatedDate"].clone();
                assert_eq!(changed, expected, "{body}");
            }
        }
    }

    async fn section_id_is_returned_and_null_without_a_section(db: Database) {
        let app = App::on(&db).await;
        let section = app.get("/sections/slug/projects").await.json()["id"].clone();
        let projects = projects(&app).await;
        let card = async || app.get("/projects").await.json()["items"][0].get("section_id").cloned();
        assert_eq!(app.get_as("admin", &projects.changes).await.json()["section_id"], section);
        assert_eq!(card().await, Some(section));
        no_sections(&db).await;
        let created = projects.create(&app, &projects.with("sort_order", json!(-1))).await;
        assert_eq!(created.get("section_id"), Some(&Value::Null));
        assert_eq!(card().await, Some(Value::Null));
    }
}
