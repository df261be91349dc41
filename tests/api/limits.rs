use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use chrono::TimeDelta;
use docstore::Database;
use field_notes::http::routes;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{Answer, App};
use crate::writing::ANONYMOUS;

/// The limit of writes to stories per client and minute.
pub(crate) const WRITES: usize = 120;
/// The limit of rejected tokens per client and minute.
const FAILURES: usize = 60;

/// Sends a request over a connection from `peer`.
pub(crate) async fn from(
    app: &App,
    peer: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let peer: SocketAddr = peer.parse().expect("a peer");
    let mut request = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let (parts, body) = app.router.clone().oneshot(request).await.expect("an answer").into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    Answer { status: parts.status, headers: parts.headers, bytes }
}

pub(crate) async fn delete(app: &App, peer: &str, n: usize, headers: &[(&str, &str)]) -> Answer {
    from(app, peer, "DELETE", &format!("/stories/{n}"), headers).await
}

testkit::stores! {
    async fn the_address_that_a_trusted_proxy_names_is_the_client(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
        let named = [("x-forwarded-for", "198.51.100.1")];
        for n in 0..WRITES {
            assert_eq!(delete(&app, "10.0.0.1:1", n, &named).await.status, 401);
        }
        assert_eq!(delete(&app, "10.0.0.2:1", 0, &named).await.status, 429);
        assert_eq!(delete(&app, "10.0.0.1:1", 0, &[("x-forwarded-for", "198.51.100.2")]).await.status, 401);
        assert_eq!(delete(&app, "198.51.100.1:1", 0, &[]).await.status, 429);
        // The header of an untrusted peer is ignored.
        for n in 0..WRITES {
            let made_up = [("x-forwarded-for", &*format!("203.0.113.{n}"))];
            assert_eq!(delete(&app, "192.0.2.9:1", n, &made_up).await.status, 401);
        }
        assert_eq!(delete(&app, "192.0.2.9:1", 0, &[("x-forwarded-for", "203.0.113.250")]).await.status, 429);
    }

    async fn limits_can_be_turned_off(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.unlimited = true).await;
        for n in 0..=WRITES {
            let answer = delete(&app, "192.0.2.9:1", n, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.headers.get("ratelimit")), (401, None));
        }
        for n in 0..=FAILURES {
            assert_eq!(app.get_as(&format!("bad{n}"), "/me").await.status, 401);
        }
    }

    async fn requests_with_wrong_fields_do_not_count(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..=WRITES {
            assert_eq!(app.post(ANONYMOUS, "/stories", &json!({})).await.status, 422);
        }
        let fine = json!({ "title": "t", "content": "c", "is_published": true });
        let created = app.post("author", "/stories", &fine).await;
        assert_eq!((created.status.as_u16(), created.header("ratelimit")), (201, "\"writes\";r=119;t=60"));
    }

    async fn who_shows_too_many_bad_tokens_is_not_listened_to(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get_as("author", "/me").await.status, 200);
        for n in 0..FAILURES {
            assert_eq!(app.get_as(&format!("bad{n}"), "/me").await.status, 401);
        }
        let refused = app.get_as("bad", "/me").await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "60"));
        // A token that is known to be valid stays valid, and public routes stay public.
        assert_eq!(app.get_as("author", "/me").await.status, 200);
        assert_eq!(app.get_as("bad", "/sections").await.status, 200);
        assert_eq!(app.get("/me").await.status, 401);
        let elsewhere = [("authorization", "Bearer bad")];
        assert_eq!(from(&app, "192.0.2.2:1", "GET", "/me", &elsewhere).await.status, 401);
        app.clock.advance(TimeDelta::seconds(60));
        assert_eq!(app.get_as("bad", "/me").await.status, 401);
    }
}

#[test]
fn writes_are_limited_and_reads_are_not() {
    for route in routes() {
        assert_eq!(
            route.limit.is_some(),
            route.method != Method::GET,
            "{} {}",
            route.method.as_str(),
            route.path
        );
    }
}
