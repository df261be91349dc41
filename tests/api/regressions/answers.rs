use axum::http::{Method, StatusCode};
use bson::doc;
use docstore::Database;
use serde_json::json;

use crate::cors::{FOREIGN, OURS};
use crate::html::{CLEAN, DIRTY, SAID, content_of, with};
use crate::support::{App, insert, section};
use crate::writing::ANONYMOUS;

testkit::stores! {
    async fn regression_7_content_is_cleaned_on_every_way_in(db: Database) {
        let app = App::on(&db).await;
        let story = json!({ "title": "S", "is_published": true });
        let project = json!({ "title": "P", "summary": "s" });
        for (collection, base) in [("/stories", &story), ("/projects", &project)] {
            let created = app.post("author", collection, &with(base, DIRTY)).await;
            assert_eq!((created.status, content_of(&created).as_str()), (StatusCode::CREATED, CLEAN), "{collection}");
            assert_eq!(created.header(SAID), "script;1, onclick;1, onerror;1");
            let path = format!("{collection}/{}", created.json()["id"].as_str().unwrap());
            assert_eq!(content_of(&app.get_as("author", &path).await), CLEAN);
            let clean = app.put("author", &path, &with(base, CLEAN)).await;
            assert_eq!((clean.status, content_of(&clean).as_str()), (StatusCode::OK, CLEAN));
            assert!(!clean.headers.contains_key(SAID));
            let dirty = app.put("author", &path, &with(base, "<b onclick=x>b</b>")).await;
            assert_eq!((content_of(&dirty).as_str(), dirty.header(SAID)), ("<b>b</b>", "onclick;1"));
        }
        let page = json!({ "title": "About" });
        for turn in ["created", "changed"] {
            let put = app.put("author", "/pages/about", &with(&page, DIRTY)).await;
            assert_eq!(put.status, 200, "{turn}");
            assert_eq!((content_of(&put).as_str(), put.header(SAID)), (CLEAN, "script;1, onclick;1, onerror;1"), "{turn}");
        }
        assert_eq!(content_of(&app.get("/pages/about").await), CLEAN);
    }

    async fn regression_35_errors_may_be_read_by_known_origins_too(db: Database) {
        let app = App::on(&db).await;
        for (path, status) in [
            ("/sections", 200), ("/sections?limit=0", 422), ("/sections/x", 400), ("/sections/slug/none", 404),
            ("/nothing", 404), ("/me", 401),
        ] {
            let answer = app.send(Method::GET, path, &[("origin", OURS)]).await;
            assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (status, OURS));
            assert!(answer.header("access-control-expose-headers").contains("ETag"));
            for name in ["Origin", "Accept"] {
                let varies = answer.header("vary").split(", ").any(|varies| varies == name);
                assert!(varies || status == 200, "{path}: {}", answer.header("vary"));
            }
            let foreign = app.send(Method::GET, path, &[("origin", FOREIGN)]).await;
            assert_eq!((foreign.status.as_u16(), foreign.header("access-control-allow-origin")), (status, ""));
            assert!(foreign.header("vary").contains("Origin"));
            assert_eq!(app.get(path).await.header("access-control-allow-origin"), "");
        }
        let closed = App::closed().send(Method::GET, "/sections", &[("origin", OURS)]).await;
        assert_eq!((closed.status.as_u16(), closed.header("access-control-allow-origin")), (503, OURS));
    }

    async fn regression_05_errors_tell_nothing_of_the_inside(db: Database) {
        let app = App::on(&db).await;
        let id = insert(&db, section("bad", doc! { "title": { "secret": "hunter2" } })).await;
        let path = format!("/sections/{id}");
        let answer = app.get(&path).await;
        let expected = json!({
            "detail": "Internal Server Error", "type": "about:blank", "title": "Internal Server Error", "status": 500,
            "instance": path, "request_id": answer.header("x-request-id"),
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (500, expected));
        db.close().await;
        let warmup = app.get("/warmup").await;
        let expected = json!({
            "status": "cold", "timestamp": "2026-01-02T03:04:05.678000", "database": "failed",
            "request_id": warmup.header("x-request-id"),
        });
        assert_eq!((warmup.status.as_u16(), warmup.json()), (200, expected));
    }

    async fn regression_33_readiness_asks_the_store(db: Database) {
        let starting = App::closed();
        assert_eq!((starting.get("/readyz").await.status, starting.get("/health").await.status), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
        let app = App::on(&db).await;
        let ready = json!({ "status": "ready", "database": "connected" });
        assert_eq!((app.get("/readyz").await.status, app.get("/readyz").await.json()), (StatusCode::OK, ready));
        // Its last answer is reused for a second; another instance asks again.
        let other = App::closed();
        other.open(&db);
        db.close().await;
        let gone = other.get("/readyz").await;
        assert_eq!((gone.status.as_u16(), gone.json()), (503, json!({ "status": "unavailable", "database": "failed" })));
        assert!(gone.header("retry-after").parse::<u32>().is_ok());
        assert_eq!(other.get("/livez").await.status, 200);
    }

    async fn regression_35_refusals_say_what_to_do(db: Database) {
        let app = App::on(&db).await;
        assert_eq!((app.get("/me").await.header("www-authenticate")), "Bearer");
        let bad = app.get_as("stranger", "/me").await;
        assert_eq!((bad.status.as_u16(), bad.header("www-authenticate")), (401, "Bearer"));
        let method = app.send(Method::PATCH, "/stories", &[]).await;
        assert_eq!((method.status.as_u16(), method.header("allow")), (405, "GET,HEAD,POST"));
        for _ in 0..5 {
            assert_eq!(app.delete(ANONYMOUS, "/navlinks/zzz").await.status, 401);
        }
        let often = app.delete(ANONYMOUS, "/navlinks/zzz").await;
        assert_eq!((often.status.as_u16(), often.header("retry-after")), (429, "60"));
        assert_eq!(often.json()["detail"], "Rate limit exceeded: 5 per 1 minute");
        // A fault of ours can be read by scripts, too.
        let id = insert(&db, section("bad", doc! { "title": 5 })).await;
        let fault = app.send(Method::GET, &format!("/sections/{id}"), &[("origin", OURS)]).await;
        assert_eq!((fault.status.as_u16(), fault.header("access-control-allow-origin")), (500, OURS));
    }
}
