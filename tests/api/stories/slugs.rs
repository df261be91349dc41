use super::*;

testkit::stores! {
    async fn suffixes_are_the_first_that_are_free(db: Database) {
        let app = App::on(&db).await;
        for n in 1..=12 {
            let created = app.create("author", "/stories", &story("T", true)).await;
            assert_eq!(created["slug"], if n == 1 { "t".to_owned() } else { format!("t-{n}") });
        }
        // Its own slug is no clash.
        let list = app.get("/stories?limit=50").await.json();
        let fifth = list["items"].as_array().unwrap().iter().find(|item| item["slug"] == "t-5").unwrap().clone();
        assert_eq!(app.put("author", &path(&fifth), &story("t!", true)).await.json()["slug"], "t-5");
        // One that is given up is the first that is free.
        assert_eq!(app.delete("author", &path(&fifth)).await.status, 204);
        assert_eq!(app.create("author", "/stories", &story("T", true)).await["slug"], "t-5");
        assert_eq!(app.create("author", "/stories", &story("T", true)).await["slug"], "t-13");
        // Only stories take slugs of stories.
        let project = json!({ "title": "T", "summary": "s", "content": "c" });
        assert_eq!(app.create("author", "/projects", &project).await["slug"], "t");
    }
}
