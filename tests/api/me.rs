use axum::http::Method;
use docstore::{Database, Filter, Find};
use serde_json::json;

use crate::support::App;

testkit::stores! {
    async fn me_returns_the_caller(db: Database) {
        let app = App::on(&db).await;
        for (who, email) in [
            ("admin", "admin@example.com"),
            ("author", "dev-author@dev.example.com"),
            ("commenter", "dev-commenter@dev.example.com"),
        ] {
            let answer = app.get_as(who, "/me").await;
            assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "private, no-store"));
            let user = db.collection("users").find_one(Find::new(Filter::eq("email", email))).await.unwrap();
            let id = user.unwrap().get_object_id("_id").unwrap().to_hex();
            let name = email.split('@').next().unwrap();
            assert_eq!(answer.json(), json!({ "id": id, "email": email, "name": name, "role": who }));
        }
        // The administrator is the one that the migration created.
        assert_eq!(db.collection("users").count(&Filter::eq("role", "admin")).await.unwrap(), 1);
    }

    async fn me_without_a_valid_token_is_401(db: Database) {
        let app = App::on(&db).await;
        let missing = app.get("/me").await;
        assert_eq!((missing.status.as_u16(), missing.header("www-authenticate")), (401, "Bearer"));
        assert!(missing.json()["detail"].as_str().unwrap().contains("authorization"));
        let headers = ["Bearer", "Basic abc", "Bearer a b", "Bearer dev-mock-owner", "Bearer dev-mock-admin2"];
        for header in headers {
            let answer = app.send(Method::GET, "/me", &[("authorization", header)]).await;
            assert_eq!(answer.status, 401, "{header}");
        }
        assert_eq!(app.send(Method::HEAD, "/me", &[]).await.status, 401);
    }

    async fn roles_follow_the_configuration_not_the_store(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get_as("commenter", "/me").await.json()["role"], "commenter");
        let promoted = App::on_with(&db, |config| {
            config.author_emails = vec!["dev-commenter@dev.example.com".to_owned()];
        });
        let promoted = promoted.await;
        assert_eq!(promoted.get_as("commenter", "/me").await.json()["role"], "author");
        let demoted = App::on_with(&db, |config| config.allow_dev_auth = false).await;
        assert_eq!(demoted.get_as("admin", "/me").await.status, 401);
    }
}
