use docstore::Database;
use serde_json::json;

use crate::support::App;

testkit::stores! {
    async fn before_the_start_is_over_only_liveness_answers(db: Database) {
        let app = App::closed();
        app.gate.progress(|progress| {
            progress.phase = Some("migrations");
            progress.migration = Some("0001_a".to_owned());
        });
        assert_eq!(app.get("/livez").await.status, 200);
        assert_eq!(app.get("/health").await.status, 200);
        let ready = app.get("/readyz").await;
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json(), json!({ "status": "starting", "phase": "migrations", "migration": "0001_a" }));
        for path in ["/sections", "/sections?limit=0", "/", "/warmup", "/nothing"] {
            let closed = app.get(path).await;
            assert_eq!((closed.status.as_u16(), closed.header("retry-after")), (503, "2"), "{path}");
            assert_eq!(closed.json()["detail"], "starting: migrations");
        }
        app.open(&db);
        assert_eq!(app.get("/sections").await.status, 200);
        app.gate.drain();
        assert_eq!(app.get("/sections").await.status, 200);
        assert_eq!(app.get("/readyz").await.json()["status"], "draining");
    }

    async fn a_failed_start_stays_closed(db: Database) {
        let app = App::closed();
        app.gate.fail("migrations", "0002_b failed".to_owned());
        assert_eq!(app.get("/livez").await.status, 200);
        let ready = app.get("/readyz").await;
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json(), json!({ "status": "failed", "phase": "migrations", "detail": "0002_b failed" }));
        assert_eq!(app.get("/sections").await.status, 503);
        assert!(db.collection_names().await.unwrap().is_empty());
    }
}
