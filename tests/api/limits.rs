use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use chrono::TimeDelta;
use docstore::Database;
use field_notes::http::routes;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{Answer, App};

/// The limit of writes to stories per client and minute.
pub(crate) const WRITES: usize = 120;
/// The limit of all writes per client and minute.
pub(crate) const ALL_WRITES: usize = 300;
/// More rejected tokens than a client sends by accident.
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
    async fn t18_the_address_that_a_trusted_proxy_names_is_the_client(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
        let named = [("x-forwarded-for", "198.51.100.1")];
        for _ in 0..WRITES {
            assert_eq!(delete(&app, "10.0.0.1:1", 0, &named).await.status, 401);
        }
        assert_eq!(delete(&app, "10.0.0.2:1", 0, &named).await.status, 429);
        assert_eq!(delete(&app, "10.0.0.1:1", 0, &[("x-forwarded-for", "198.51.100.2")]).await.status, 401);
        assert_eq!(delete(&app, "198.51.100.1:1", 0, &[]).await.status, 429);
        // The header of an untrusted peer is ignored.
        for n in 0..WRITES {
            let made_up = [("x-forwarded-for", &*format!("203.0.113.{n}"))];
            assert_eq!(delete(&app, "192.0.2.9:1", 0, &made_up).await.status, 401);
        }
        assert_eq!(delete(&app, "192.0.2.9:1", 0, &[("x-forwarded-for", "203.0.113.250")]).await.status, 429);
    }

    async fn limits_can_be_turned_off(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.unlimited = true).await;
        for _ in 0..=WRITES {
            let answer = delete(&app, "192.0.2.9:1", 0, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.headers.get("ratelimit")), (401, None));
        }
        for n in 0..=FAILURES {
            assert_eq!(app.get_as(&format!("bad{n}"), "/me").await.status, 401);
        }
    }

    async fn requests_with_wrong_fields_count_for_all_writes_alone(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..=WRITES {
            assert_eq!(app.post("author", "/stories", &json!({})).await.status, 422);
        }
        let fine = json!({ "title": "t", "content": "c", "is_published": true });
        let created = app.post("author", "/stories", &fine).await;
        assert_eq!((created.status.as_u16(), created.header("ratelimit")), (201, "\"writes\";r=119;t=60"));
        for _ in WRITES + 2..ALL_WRITES {
            assert_eq!(app.post("author", "/stories", &json!({})).await.status, 422);
        }
        assert_eq!(app.post("author", "/stories", &json!({})).await.status, 429);
    }

    async fn errors_of_one_response_are_bounded(db: Database) {
        let app = App::on(&db).await;
        for technologies in [vec![json!(1); 100_000], vec![json!("x".repeat(51)); 10_000]] {
            let answer = app.post("author", "/projects", &json!({ "technologies": technologies })).await;
            assert_eq!(answer.status, 422);
            let listed = answer.json()["errors"].as_array().expect("errors").len();
            assert!((3..=100).contains(&listed), "{listed}");
        }
    }

    async fn each_path_has_a_limit_and_all_writes_have_one(db: Database) {
        let app = App::on(&db).await;
        let put = async |n: usize| from(&app, "192.0.2.1:1", "PUT", &format!("/sections/{n}"), &[]).await;
        // Reordering a long list is within the limits, unlike writing one section over and over.
        for n in 0..30 {
            let answer = put(n).await;
            assert_eq!((answer.status.as_u16(), answer.header("ratelimit")), (401, "\"writes\";r=9;t=60"), "{n}");
        }
        for _ in 0..9 {
            assert_eq!(put(0).await.status, 401);
        }
        let refused = put(0).await;
        assert_eq!((refused.status.as_u16(), refused.header("ratelimit")), (429, "\"writes\";r=0;t=60"));
        assert_eq!(refused.json()["error"], "Rate limit exceeded: 10 per 1 minute");
        // Another spelling is the same path.
        assert_eq!(from(&app, "192.0.2.1:1", "PUT", "/sections/%30", &[]).await.status, 429);
        for n in 30..ALL_WRITES - 9 {
            assert_eq!(put(n).await.status, 401, "{n}");
        }
        let refused = put(ALL_WRITES).await;
        assert_eq!((refused.status.as_u16(), refused.header("ratelimit-policy")), (429, "\"all-writes\";q=300;w=60"));
        assert_eq!(from(&app, "192.0.2.1:1", "DELETE", "/stories/1", &[]).await.status, 429);
        assert_eq!(from(&app, "192.0.2.2:1", "DELETE", "/stories/1", &[]).await.status, 401);
        app.clock.advance(TimeDelta::seconds(60));
        assert_eq!(put(0).await.status, 401);
    }

    async fn bad_tokens_refuse_no_valid_one(db: Database) {
        let app = App::on(&db).await;
        for n in 0..2 * FAILURES {
            assert_eq!(app.get_as(&format!("bad{n}"), "/me").await.status, 401);
            assert_eq!(app.get_as("bad", "/me").await.status, 401);
            assert_eq!(app.get_as(&format!("other{n}"), "/sections").await.status, 200);
        }
        assert_eq!(app.get_as("author", "/me").await.status, 200);
    }
}

#[test]
fn writes_are_limited_and_reads_are_not() {
    for route in routes() {
        // It is a read with a body.
        let counts = route.path == "/api/engagement/bulk/counts";
        assert_eq!(
            route.limit.is_some(),
            !route.method.is_safe() && !counts,
            "{} {}",
            route.method.as_str(),
            route.path
        );
    }
}
