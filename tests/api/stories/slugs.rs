use super::*;

testkit::stores! {
    async fn weak_spot_11_equal_titles_at_once_get_different_slugs(db: Database) {
        let app = App::on(&db).await;
        app.made("author", "/stories", &story("First", true)).await;
        let requests = (0..50).map(|_| {
            let router = app.clone();
            async move { router.post("author", "/stories", &story("Same Title", true)).await }
        });
        let answers = app.at_once(requests).await;
        let slugs: BTreeSet<String> =
            answers.iter().map(|a| { assert_eq!(a.status, 201); a.json()["slug"].as_str().unwrap().to_owned() }).collect();
        assert_eq!(slugs.len(), 50);
        assert!(slugs.contains("same-title") && slugs.contains("same-title-2"));
        assert!(slugs.iter().all(|slug| slug.starts_with("same-title")));
    }

    async fn suffixes_are_the_first_that_are_free(db: Database) {
        let app = App::on(&db).await;
        for n in 1..=12 {
            let made = app.made("author", "/stories", &story("T", true)).await;
            assert_eq!(made["slug"], if n == 1 { "t".to_owned() } else { format!("t-{n}") });
        }
        // Its own slug is no clash.
        let list = app.get("/stories?limit=50").await.json();
        let fifth = list["items"].as_array().unwrap().iter().find(|item| item["slug"] == "t-5").unwrap().clone();
        assert_eq!(app.put("author", &path(&fifth), &story("t!", true)).await.json()["slug"], "t-5");
        // One that is given up is the first that is free.
        assert_eq!(app.delete("author", &path(&fifth)).await.status, 204);
        assert_eq!(app.made("author", "/stories", &story("T", true)).await["slug"], "t-5");
        assert_eq!(app.made("author", "/stories", &story("T", true)).await["slug"], "t-13");
        // What is no story is in nobody's way.
        let project = json!({ "title": "T", "summary": "s", "content": "c" });
        assert_eq!(app.made("author", "/projects", &project).await["slug"], "t");
    }

    async fn weak_spot_12_the_title_of_a_deleted_story_can_be_used_again(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..3 {
            let made = app.made("author", "/stories", &story("Again", true)).await;
            assert_eq!(made["slug"], "again");
            assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        }
        // As the original deletes.
        left(&db, "theirs", doc! { "deleted": true }).await;
        left(&db, "seeded", doc! { "is_deleted": true }).await;
        assert_eq!(app.made("author", "/stories", &story("Theirs", true)).await["slug"], "theirs");
        let other = app.made("author", "/stories", &story("Other", true)).await;
        assert_eq!(app.put("author", &path(&other), &story("Seeded", true)).await.json()["slug"], "seeded");
        // What can be restored knows what it was called.
        let aside = Filter::and([Filter::eq("slug_before", "again"), Filter::starts_with("slug", "~")]);
        assert_eq!(db.collection("stories").count(&aside).await.unwrap(), 2);
        assert_eq!(app.get("/stories").await.json()["total"], 2);
    }

    async fn weak_spot_13_every_title_has_an_address_and_old_addresses_lead_on(db: Database) {
        let app = App::on(&db).await;
        let made = app.made("author", "/stories", &story("!!!", true)).await;
        assert_eq!(made["slug"], made["id"]);
        assert_eq!(app.get(&slug_path(&made)).await.status, 200);
        assert_eq!(app.made("author", "/stories", &story("Café 北京", true)).await["slug"], "cafe-bei-jing");

        let led = async |slug: &str| {
            let answer = app.get(&format!("/stories/slug/{slug}")).await;
            (answer.status.as_u16(), answer.header("location").to_owned())
        };
        let made = app.made("author", "/stories", &story("A", true)).await;
        for title in ["B", "C", "A", "D"] {
            assert_eq!(app.put("author", &path(&made), &story(title, true)).await.status, 200);
        }
        for old in ["a", "b", "c"] {
            assert_eq!(led(old).await, (301, "/stories/slug/d".to_owned()), "{old}");
        }
        assert_eq!(app.get("/stories/slug/a").await.header("cache-control"), "no-store");
        // A live story wins; when it goes, the old address leads on again.
        let other = app.made("author", "/stories", &story("B", true)).await;
        assert_eq!((other["slug"].as_str(), led("b").await.0), (Some("b"), 200));
        assert_eq!(app.delete("author", &path(&other)).await.status, 204);
        assert_eq!(led("b").await, (301, "/stories/slug/d".to_owned()));
        // Whoever had it last has it.
        let third = app.made("author", "/stories", &story("C", true)).await;
        assert_eq!(app.put("author", &path(&third), &story("E", true)).await.status, 200);
        assert_eq!(led("c").await, (301, "/stories/slug/e".to_owned()));
        // Where it leads is shown to those who may see it.
        assert_eq!(app.put("author", &path(&made), &story("D", false)).await.status, 200);
        assert_eq!(led("a").await, (404, String::new()));
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 301);
        assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 404);
        assert_eq!(led("d").await.0, 404);
    }
}
