use std::sync::Arc;

use docstore::Filter;
use serde_json::{Value, json};
use testkit::Target;

use crate::program::{Program, open_store};

const ADMIN: &str = "admin@example.com";

#[test]
fn unknown_users_and_missing_stores_are_failures() {
    let program = Program::bare().with("ADMIN_EMAIL", ADMIN);
    for verb in ["export", "erase"] {
        let result = program.run(&["user", verb, "unknown@example.com"]).expect(1);
        assert!(result.stderr.contains("unknown@example.com"), "{}", result.stderr);
        program.run(&["user", verb]).expect(2);
    }
    assert!(program.files().is_empty(), "{:?}", program.files());
}

testkit::targets! {
    async fn export_and_erasure_cover_everything_of_a_user(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        let body = json!({ "title": "Talk", "content": "c", "is_published": true });
        let (_, story) = server.post_as_admin("/stories", &body).await;
        let story = story["id"].as_str().expect("an id").to_owned();
        let about = format!("/api/engagement/story/{story}");
        let post = async |who: &str, path: &str, body: Value| -> Value {
            let request = reqwest::Client::new().post(format!("{}{about}{path}", server.base()));
            let answer = request.bearer_auth(format!("dev-mock-{who}")).json(&body).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
            answer.json().await.expect("JSON")
        };
        let root = post("admin", "/comments", json!({ "content": "root" })).await;
        let mention = json!([{ "user_id": root["user_id"], "user_name": "Admin" }, { "user_id": "x", "user_name": "X" }]);
        post("author", "/comments", json!({ "content": "reply", "parent_id": root["id"], "mentions": mention })).await;
        post("admin", "/comments", json!({ "content": "alone" })).await;
        post("admin", "/reactions", json!({ "reaction_tag": "heart" })).await;
        post("author", "/reactions", json!({ "reaction_tag": "heart" })).await;

        let exported = program.run(&["user", "export", ADMIN]).expect(0);
        let exported: Value = serde_json::from_str(&exported.stdout).expect("JSON");
        let texts: Vec<_> = exported["comments"].as_array().expect("a list").iter().map(|c| &c["content"]).collect();
        assert_eq!(texts, ["root", "alone"]);
        assert_eq!(exported["reactions"], json!([{ "target_type": "story", "target_id": story, "reaction_tag": "heart" }]));
        assert_eq!(exported["user"]["email"], ADMIN);

        let dry = program.run(&["user", "erase", ADMIN]).expect(0);
        assert!(dry.stdout.starts_with("would erase comments: 2, reactions: 1, mentions: 1\n"), "{}", dry.stdout);
        let db = open_store(&target).await;
        assert_eq!(db.collection("comments").count(&Filter::All).await.expect("a count"), 3);
        program.run(&["user", "erase", ADMIN, "--yes"]).expect(0);

        let remaining = db.collection("comments").find(docstore::Find::new(Filter::All)).await.expect("comments");
        let remaining = format!("{:?}", remaining.documents().await.expect("comments"));
        let user = root["user_id"].as_str().expect("an id");
        assert!(!remaining.contains(user) && !remaining.contains("root") && !remaining.contains("alone"), "{remaining}");
        assert_eq!(db.collection("reactions").count(&Filter::All).await.expect("a count"), 1);
        let counts = json!({ "targets": [{ "type": "story", "id": story }] });
        let (_, counts) = server.post_as_admin("/engagement/bulk/counts", &counts).await;
        assert_eq!(counts["counts"][format!("story:{story}")], json!({ "reactions": { "heart": 1 }, "comment_count": 1 }));
        let again = program.run(&["user", "erase", ADMIN]).expect(0);
        assert!(again.stdout.starts_with("would erase comments: 0, reactions: 0, mentions: 0\n"), "{}", again.stdout);
        db.close().await;
    }
}
