use axum::http::Method;
use docstore::Database;
use serde_json::json;

use crate::support::App;

testkit::stores! {
    async fn an_error_has_the_members_of_both_worlds(db: Database) {
        let app = App::on(&db).await;
        let answer = app.send(Method::GET, "/nothing?x=1", &[("x-request-id", "abc-1")]).await;
        let expected = json!({
            "detail": "Not Found", "type": "about:blank", "title": "Not Found", "status": 404, "instance": "/nothing",
            "request_id": "abc-1",
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (404, expected));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!((answer.header("x-request-id"), answer.header("cache-control")), ("abc-1", "no-store"));
        let asked = app.send(Method::GET, "/nothing", &[("accept", "application/problem+json")]).await;
        assert_eq!(asked.header("content-type"), "application/problem+json");
    }

    async fn a_request_id_that_could_do_harm_is_replaced(db: Database) {
        let app = App::on(&db).await;
        let answer = app.send(Method::GET, "/sections", &[("x-request-id", "a b")]).await;
        let id = answer.header("x-request-id");
        assert!(id.len() == 36 && id != "a b", "{id}");
    }

    async fn other_methods_are_405_with_allow(db: Database) {
        let app = App::on(&db).await;
        for (path, allowed) in [
            ("/sections", "GET,HEAD,POST"),
            ("/sections/slug/blog", "GET,HEAD"),
            ("/health", "GET,HEAD"),
        ] {
            let answer = app.send(Method::DELETE, path, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allowed), "{path}");
            assert_eq!(answer.json()["detail"], "Method Not Allowed");
        }
    }
}
