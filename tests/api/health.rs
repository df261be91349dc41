use docstore::Database;
use serde_json::json;

use crate::support::App;

testkit::stores! {
    async fn everything_is_well(db: Database) {
        let app = App::on(&db).await;
        let expected = json!({ "status": "healthy", "timestamp": "2026-01-02T03:04:05.678000" });
        assert_eq!(app.get("/health").await.json(), expected);
        assert_eq!(app.get("/livez").await.status, 200);
        let ready = app.get("/readyz").await;
        assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({ "status": "ready", "database": "connected" })));
        let warm = json!({ "status": "warm", "timestamp": "2026-01-02T03:04:05.678000", "database": "connected" });
        assert_eq!(app.get("/warmup").await.json(), warm);
        let index = app.get("/").await.json();
        assert_eq!((&index["name"], &index["links"]["sections"]), (&json!("field-notes"), &json!("/sections")));
    }

    async fn a_store_that_is_gone_is_said_so(db: Database) {
        let app = App::on(&db).await;
        db.close().await;
        let ready = app.get("/readyz").await;
        assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (503, &json!("unavailable")));
        let warmup = app.get("/warmup").await;
        assert_eq!(warmup.status, 200);
        let body = warmup.json();
        assert_eq!((&body["status"], &body["database"]), (&json!("cold"), &json!("failed")));
        assert_eq!(body["request_id"], warmup.header("x-request-id"));
        assert_eq!(body.as_object().unwrap().len(), 4, "no text of the driver: {body}");
        assert_eq!(app.get("/health").await.status, 200);
        assert!(app.get("/sections").await.status.is_server_error());
    }
}
