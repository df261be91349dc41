use super::*;

testkit::stores! {
    async fn a_change_of_another_state_is_412(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/stories", &story("x", true)).await;
        let (first, body) = (created.header("etag").to_owned(), created.json());
        let changed = app.put_if("author", &path(&body), &first, &story("y", true)).await;
        assert_eq!(changed.status, 200);
        let second = changed.header("etag").to_owned();
        assert_ne!(first, second);
        let stale = app.put_if("author", &path(&body), &first, &story("z", true)).await;
        assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, second.as_str()));
        assert!(stale.json()["detail"].as_str().unwrap().contains(&second));
        for never in ["", "x", &format!("W/{second}")] {
            assert_eq!(app.put_if("author", &path(&body), never, &story("z", true)).await.status, 412, "{never:?}");
        }
        let delete = |tag: String| { let (app, path) = (&app, path(&body)); async move {
            app.write("author", Method::DELETE, &path, &[("if-match", &tag)], Body::empty()).await.status.as_u16()
        } };
        assert_eq!(delete(first.clone()).await, 412);
        assert_eq!(app.get(&format!("{}y", "/stories/slug/")).await.json(), changed.json());
        assert_eq!(app.put_if("author", &path(&body), "*", &story("y", true)).await.status, 200);
        assert_eq!(delete(second.clone()).await, 412);
        let third = app.get("/stories/slug/y").await.header("etag").to_owned();
        assert_eq!(delete(format!("{first}, {third}")).await, 204);
    }

    async fn if_none_match_protects_existing_items(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/stories", &story("x", true)).await;
        let page = json!({ "title": "t", "content": "<p>c</p>" });
        let made = app.write("author", Method::PUT, "/pages/about", &[("if-none-match", "*")], page.to_string()).await;
        assert_eq!(made.status, 200);
        let section = app.post("author", "/sections", &json!({ "title": "s", "display_type": "feed", "content_type": "story" })).await;
        let section_path = format!("/sections/{}", section.json()["id"].as_str().unwrap());
        let before = testkit::dump!(db);
        for (path, tag, body) in [
            (path(&created.json()), created.header("etag"), json!({ "title": "y" })),
            ("/pages/about".to_owned(), made.header("etag"), page.clone()),
            (section_path, section.header("etag"), json!({ "sort_order": 4 })),
        ] {
            for excluded in ["*", tag, &format!("W/{tag}"), &format!("\"z\", {tag}")] {
                let refused = app.write("author", Method::PUT, &path, &[("if-none-match", excluded)], body.to_string()).await;
                assert_eq!((refused.status.as_u16(), refused.header("etag")), (412, tag), "{path} {excluded}");
                let refused = app.write("author", Method::DELETE, &path, &[("if-none-match", excluded)], Body::empty()).await;
                assert_eq!(refused.status, 412, "{path} {excluded}");
            }
        }
        assert_eq!(testkit::dump!(db), before);
        let other = [("if-none-match", "\"z\"")];
        let changed = app.write("author", Method::PUT, "/pages/about", &other, page.to_string()).await;
        assert_eq!(changed.status, 200);
        // A page that is deleted does not exist.
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        assert_eq!(app.put_if("author", "/pages/about", "*", &page).await.status, 412);
        assert_eq!(app.get("/pages/about").await.status, 404);
    }

    async fn what_another_program_wrote_is_seen(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/stories", &story("x", true)).await;
        let touched = Update::new().set("section_id", NO_ID);
        db.collection("stories").update_many(&Filter::All, &touched).await.unwrap();
        let answer = app.put_if("author", &path(&created.json()), created.header("etag"), &story("x", true)).await;
        assert_eq!(answer.status, 412);
        assert_ne!(answer.header("etag"), created.header("etag"));
    }

    async fn of_many_changes_of_one_state_one_is_made(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/stories", &story("x", true)).await;
        // A document of the original: no version, and one that wrote it since.
        let unset = Update::new().unset("version");
        db.collection("stories").update_many(&Filter::All, &unset).await.unwrap();
        let tag = app.get("/stories/slug/x").await.header("etag").to_owned();
        let body = created.json();
        for tag in [Some(tag), None] {
            let wanted = if tag.is_some() { 1 } else { 50 };
            let requests = (0..50).map(|n| {
                let app = app.clone();
                let (path, tag) = (path(&body), tag.clone());
                async move {
                    let story = story(&format!("t{n}"), true);
                    match tag {
                        Some(tag) => app.put_if("author", &path, &tag, &story).await,
                        None => app.put("author", &path, &story).await,
                    }
                }
            });
            let answers = app.at_once(requests).await;
            let created = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(created, wanted);
            assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 412)));
        }
        let version = stored(&db, "stories", &body["id"]).await;
        assert_eq!(version.get_i64("version").unwrap(), 51);
    }
}
