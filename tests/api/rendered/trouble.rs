use docstore::Database;
use futures_util::future::join_all;
use serde_json::json;

use super::{HIT, app, status};
use crate::support::App;

testkit::stores! {
    async fn what_is_rendered_is_served_while_the_store_is_away(db: Database) {
        let app = app(&db).await;
        let before = app.get("/sections").await;
        app.get("/stories").await;
        db.close().await;
        // It holds, as far as anybody knows.
        assert_eq!(status(&app.get("/stories").await), (200, HIT));
        let refused = app.post("admin", "/navlinks", &json!({ "label": "About", "url": "/about" })).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "2"));
        // It was changed, and cannot be rendered again.
        db.versions().record_change_anywhere();
        let stale = app.get("/sections").await;
        assert_eq!((stale.status.as_u16(), &stale.bytes), (200, &before.bytes));
        assert_eq!(stale.header("cache-status"), "field-notes; fwd=stale; fwd-status=503; detail=stale");
        assert_eq!(stale.header("cache-control"), "public, max-age=0, must-revalidate");
        assert_eq!(app.get("/projects").await.status, 503, "this one was never asked for");
        let ready = app.get("/readyz").await;
        assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({ "status": "degraded", "database": "failed" })));
        assert!(app.cache.counts().stale >= 1);
    }

    async fn readiness_tells_how_the_rendered_responses_do(db: Database) {
        let app = app(&db).await;
        app.get("/sections").await;
        app.get("/sections").await;
        assert_eq!(app.get("/readyz").await.json().as_object().unwrap().len(), 2);
        let readiness = app.get("/readyz?verbose=true").await.json();
        let rendered = &readiness["rendered"];
        assert_eq!((&rendered["entries"], &rendered["hits"], &rendered["loads"]), (&json!(1), &json!(1), &json!(1)));
        assert!(rendered["bytes"].as_u64().unwrap() > 1000 && rendered["lag_ms"].is_u64(), "{readiness}");
    }

    async fn beyond_what_can_be_worked_on_there_is_no_queue(db: Database) {
        let app = App::on_with(&db, |config| {
            config.cache = field_notes::http::CacheSettings::default();
            config.max_concurrent = 1;
        })
        .await;
        assert_eq!(app.get("/sections").await.status, 200);
        let paths: Vec<_> = (0..100).map(|n| format!("/sections?offset={n}")).collect();
        let answers = join_all(paths.iter().map(|path| app.get(path))).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert!(!done.is_empty() && !refused.is_empty(), "{} and {}", done.len(), refused.len());
        for answer in refused {
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
            assert_eq!(answer.json()["detail"], "too many concurrent requests");
        }
        // Of what does not hold any more nothing is given out: the store would have answered.
        db.versions().record_change_anywhere();
        let many = paths.iter().map(String::as_str).chain(["/sections"; 50]);
        let answers = join_all(many.map(|path| app.get(path))).await;
        assert!(answers.iter().any(|answer| answer.status == 503));
        for answer in &answers {
            assert!(!answer.header("cache-status").contains("detail=stale"), "{:?}", answer.headers);
        }
        app.get("/sections").await;
        // What is ready needs no place, and a place is free again.
        assert_eq!(status(&app.get("/sections").await), (200, HIT));
        assert_eq!(app.get("/navlinks").await.status, 200);
    }
}
