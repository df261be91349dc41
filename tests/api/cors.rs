use axum::body::Body;
use axum::http::{Method, Request};
use docstore::Database;
use ipnet::IpNet;
use tower::ServiceExt as _;

use crate::support::{Answer, App};

pub(crate) const OURS: &str = "https://www.ghostmonk.com";
pub(crate) const FOREIGN: &str = "https://evil.example";

async fn preflight(app: &App, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    app.send(Method::OPTIONS, "/stories", &headers).await
}

testkit::stores! {
    async fn preflights_of_known_origins_are_answered(db: Database) {
        let app = App::on(&db).await;
        for origin in [OURS, "http://localhost:3000"] {
            let answer = preflight(&app, origin, "PUT").await;
            assert_eq!((answer.status.as_u16(), &*answer.bytes), (200, &b"OK"[..]));
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
            assert_eq!(answer.header("access-control-max-age"), "600");
            let methods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
            assert_eq!(answer.header("access-control-allow-methods"), methods);
            assert_eq!(answer.header("access-control-allow-headers"), "authorization, content-type");
            assert!(answer.header("vary").contains("Origin"));
            assert!(!answer.header("x-request-id").is_empty());
        }
    }

    async fn preflights_of_others_are_refused(db: Database) {
        let app = App::on(&db).await;
        for (origin, method) in [(FOREIGN, "GET"), ("null", "GET"), (OURS, "TRACE"), (OURS, "put")] {
            let answer = preflight(&app, origin, method).await;
            assert_eq!(answer.status, 400, "{origin} {method}");
            assert!(answer.json()["detail"].as_str().unwrap().starts_with("Disallowed CORS"));
            assert_eq!(answer.header("access-control-allow-origin").is_empty(), origin != OURS);
            assert_eq!(answer.header("access-control-allow-methods"), "");
        }
        // Without an origin it is a method like any other.
        let answer = app.send(Method::OPTIONS, "/stories", &[("access-control-request-method", "GET")]).await;
        assert_eq!(answer.status, 405);
        assert_eq!(app.send(Method::OPTIONS, "/stories", &[("origin", OURS)]).await.status, 405);
    }

    async fn more_origins_can_be_configured(db: Database) {
        let app = App::on_with(&db, |config| {
            config.middleware.extra_origins = vec!["https://preview.example".to_owned(), "*".to_owned()];
        })
        .await;
        assert_eq!(preflight(&app, "https://preview.example", "GET").await.status, 200);
        assert_eq!(preflight(&app, FOREIGN, "GET").await.status, 400);
    }

    async fn responses_have_security_headers(db: Database) {
        let app = App::on(&db).await;
        for path in ["/sections", "/nothing", "/health"] {
            let answer = app.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("x-frame-options"), "DENY");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
            assert_eq!(answer.header("strict-transport-security"), "");
        }
    }

    async fn https_is_insisted_on_where_it_was_used(db: Database) {
        // Without a socket the peer has no address.
        let nowhere: IpNet = "0.0.0.0/32".parse().unwrap();
        let app = App::on_with(&db, |config| {
            config.middleware.hsts = true;
            config.middleware.trusted_proxies = vec![nowhere];
        })
        .await;
        for (proto, expected) in [("https", true), ("http", false)] {
            let request = Request::get("/health").header("x-forwarded-proto", proto).body(Body::empty()).unwrap();
            let answer = app.router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.headers().contains_key("strict-transport-security"), expected, "{proto}");
        }
    }
}
