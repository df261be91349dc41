use axum::body::Body;
use axum::http::{Method, header};
use docstore::Database;
use field_notes::http::routes;
use tower::ServiceExt as _;

use crate::counting::Counting;
use crate::site::{KINDS, Site, fields, item, unlimited};
use crate::support::App;
use crate::writing::ANONYMOUS;

/// The members of an error.
const MEMBERS: [&str; 9] =
    ["detail", "error", "outcome", "errors", "type", "title", "status", "instance", "request_id"];

testkit::stores! {
    async fn t28_server_errors_reveal_nothing(db: Database) {
        let app = App::on_with(&db, |config| {
            config.middleware.unlimited = true;
            config.cache.max_bytes = None;
        })
        .await;
        let site = Site::create(&app).await;
        app.read("commenter", "/me").await;
        app.read("admin", "/me").await;
        db.close().await;
        let mut failed = 0;
        for route in routes() {
            let path = format!("{}?type=stories&secret=hunter2", site.path(route));
            for who in [ANONYMOUS, "admin"] {
                let answer = app.write(who, route.method.clone(), &path, &[("cookie", "session=hunter2")], fields(route)).await;
                if !answer.status.is_server_error() || route.path == "/readyz" {
                    continue;
                }
                failed += 1;
                let body = answer.json();
                let what = format!("{} {path} as {who:?}: {body}", route.method.as_str());
                assert!(body.as_object().unwrap().keys().all(|name| MEMBERS.contains(&name.as_str())), "{what}");
                assert_eq!(body["request_id"], answer.header("x-request-id"), "{what}");
                let all = format!("{body} {:?}", answer.headers);
                for inside in ["hunter2", "secret=", "mongo", "sqlite", "closed", "127.0.0.1", "pool", "panicked", "src/", ".rs", "users", "_secrets", "Error("] {
                    assert!(!all.contains(inside), "{inside}: {what}");
                }
            }
        }
        assert!(failed > 30, "{failed}");
    }

    async fn t29_foreign_origins_are_never_reflected(db: Database) {
        let app = unlimited(&db).await;
        let site = Site::create(&app).await;
        let foreign = [
            "https://evil.example", "null", "*", "https://ghostmonk.com.evil.example", "https://evilghostmonk.com", "https://ghostmonk.co", "https://ghostmonk.comx",
            "https://www.ghostmonk.com.evil.example", "https://sub.ghostmonk.com", "http://ghostmonk.com", "https://ghostmonk.com:8443", "https://ghostmonk.com/",
            "https://user@ghostmonk.com", "https://evil.example#ghostmonk.com", "https://ghostmonk.com%00.evil.example", "https://GHOSTMONK.com", "https://ghostmonk_com",
            "file://", "chrome-extension://abc", "http://127.0.0.1:3000", "http://localhost", "https://localhost:3000", " https://ghostmonk.com.evil.example", "https://",
        ];
        for origin in foreign {
            for route in routes() {
                let headers = [("origin", origin)];
                let method = if route.method == Method::GET { Method::GET } else { Method::HEAD };
                let answer = app.write("admin", method, &site.path(route).replace("/trash", "/trash?type=stories"), &headers, Body::empty()).await;
                for name in ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"] {
                    assert_eq!(answer.header(name), "", "{origin} {}: {name}", route.path);
                }
                assert!(answer.header("vary").contains("Origin"), "{origin} {}", route.path);
            }
            for method in ["GET", "PUT", "DELETE"] {
                let headers = [("origin", origin), ("access-control-request-method", method), ("access-control-request-headers", "authorization")];
                let answer = app.write(ANONYMOUS, Method::OPTIONS, "/stories", &headers, Body::empty()).await;
                assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (400, ""), "{origin}");
            }
        }
        let ours = app.write(ANONYMOUS, Method::GET, "/stories", &[("origin", "https://ghostmonk.com")], Body::empty()).await;
        assert_eq!(ours.header("access-control-allow-origin"), "https://ghostmonk.com");
    }

    async fn t34_panic_is_one_500_and_the_process_lives(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on_with(&counted, |config| {
            config.middleware.unlimited = true;
            config.cache.max_bytes = None;
        })
        .await;
        app.create("author", "/stories", &item("stories", "Public", true)).await;
        app.read("admin", "/me").await;
        for round in 0..3 {
            counts.panic(true);
            for kind in KINDS {
                let list = format!("/{kind}?offset={round}");
                for (who, method, path, body) in [
                    (ANONYMOUS, Method::GET, list.clone(), Body::empty()),
                    ("admin", Method::GET, list.clone(), Body::empty()),
                    ("author", Method::POST, format!("/{kind}"), Body::from(item(kind, "Panic", true).to_string())),
                ] {
                    let answer = app.write(who, method.clone(), &path, &[], body).await;
                    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
                    assert_eq!((answer.status.as_u16(), text.contains("hunter2")), (500, false), "{method} {path}: {text}");
                }
            }
            // Requests that share one load fail together, and none of them waits for ever.
            let requests = (0..20).map(|_| {
                let app = app.clone();
                async move { app.anonymous("/stories?limit=7").await }
            });
            assert!(app.at_once(requests).await.iter().all(|answer| answer.status == 500), "{round}");
            counts.panic(false);
            assert_eq!(app.anonymous("/stories?limit=7").await.json()["total"], 1, "{round}");
            for kind in KINDS {
                assert_eq!(app.anonymous(&format!("/{kind}?offset={round}")).await.status, 200, "{kind}");
            }
        }
        // No permit is lost with a request that panics: as many as there are can still be used at once.
        let small = App::on_with(&counted, |config| {
            config.max_concurrent = 4;
            config.cache.max_bytes = None;
        })
        .await;
        counts.panic(true);
        for n in 0..20 {
            assert_eq!(small.anonymous(&format!("/stories?offset={n}")).await.status, 500, "{n}");
        }
        counts.panic(false);
        let request = axum::http::Request::get("/stories").header(header::ACCEPT, "*/*").body(Body::empty()).unwrap();
        assert_eq!(small.router.clone().oneshot(request).await.unwrap().status(), 200);
    }
}
