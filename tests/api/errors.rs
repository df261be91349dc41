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

    async fn a_slash_at_the_end_is_led_to_the_form_without(db: Database) {
        let app = App::on(&db).await;
        let answer = app.get("/sections/?limit=2").await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, "/sections?limit=2"));
        for none in ["/nothing/", "//", "//example.com/", "/sections//"] {
            assert_eq!(app.get(none).await.status, 404, "{none}");
        }
    }

    async fn names_that_look_like_operators_are_422(db: Database) {
        let app = App::on(&db).await;
        for query in ["slug[$ne]=x", "$where=1", "a%5Bb%5D=1", "%24or=1"] {
            let answer = app.get(&format!("/sections?{query}")).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["type"]), (422, &json!("value_error")), "{query}");
        }
        assert_eq!(app.get("/sections?colour=red&limit=x&limit=1").await.status, 200);
    }
}
