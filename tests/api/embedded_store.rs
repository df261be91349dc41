use docstore::sqlite::{Options, Settings, open, open_with};
use docstore::{Database, Filter};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::support::App;

async fn store(folder: &TempDir, settings: Settings) -> Database {
    open_with(Options { path: folder.path().join("store.db") }, settings).await.expect("the store opens")
}

#[tokio::test]
async fn full_disk_is_507_and_readiness_is_degraded() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(&folder, Settings::default()).await;
    App::on(&db).await;
    db.close().await;
    let pages = std::fs::metadata(folder.path().join("store.db")).unwrap().len() / 4096 + 40;
    let settings = Settings { max_pages: u32::try_from(pages).ok(), ..Settings::default() };
    let db = store(&folder, settings).await;
    let app = App::on(&db).await;
    let story =
        |n: u32| json!({ "title": format!("story {n}"), "content": "x".repeat(9_000), "is_published": true });
    let mut stored = 0;
    let refused = loop {
        let answer = app.post("admin", "/stories", &story(stored)).await;
        match answer.status.as_u16() {
            201 => stored += 1,
            _ => break answer,
        }
    };
    assert!(stored > 0);
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["detail"]),
        (507, &json!("the disk of the server is full: nothing was written"))
    );
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("degraded")));
    assert!(ready.json()["detail"].as_str().unwrap().contains("full"), "{}", ready.json());
    // Content is served, also to those who have signed in before, and nothing of the refused story is there.
    assert_eq!(app.get("/sections").await.status, 200);
    let list = app.get_as("admin", "/stories?include_drafts=true").await;
    assert_eq!((list.status.as_u16(), &list.json()["total"]), (200, &json!(stored)));
    assert_eq!(app.get_as("admin", "/me").await.status, 200);
}

#[tokio::test]
async fn reads_of_new_users_do_not_wait_for_a_locked_writer() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(&folder, Settings::default()).await;
    let app = App::on(&db).await;
    let story = json!({ "title": "Public", "content": "<p>c</p>", "is_published": true });
    let id = app.create("admin", "/stories", &story).await["id"].as_str().unwrap().to_owned();
    // It keeps the writer until it ends.
    let lock = db.begin().await.unwrap();
    lock.collection("other").insert_one(bson::doc! { "_id": 1 }).await.unwrap();
    assert_eq!(app.get_as("commenter", &format!("/stories/{id}")).await.status, 200);
    assert_eq!(app.get_as("author", "/sections?include_unpublished=true").await.status, 200);
    lock.commit().await.unwrap();
    // They are stored as soon as the writer is free.
    let me = app.get_as("commenter", "/me").await;
    assert_eq!(me.status, 200);
    assert_eq!(app.get_as("commenter", "/me").await.json()["id"], me.json()["id"]);
    assert_eq!(
        db.collection("users").count(&Filter::eq("email", "dev-commenter@dev.example.com")).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn damaged_documents_are_skipped_in_lists_and_500_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(&folder, Settings::default()).await;
    let app = App::on(&db).await;
    let whole = app.get("/sections").await.json();
    let id = whole["items"][1]["id"].as_str().unwrap().to_owned();
    // As if the document had changed since it was written.
    let file = Connection::open(folder.path().join("store.db")).unwrap();
    let find = "SELECT id FROM collections WHERE name = 'sections'";
    let table: i64 = file.query_row(find, [], |row| row.get(0)).unwrap();
    let damage =
        format!("UPDATE c_{table} SET checksum = checksum + 1 WHERE instr(doc, CAST('About' AS BLOB)) > 0");
    assert_eq!(file.execute(&damage, []).unwrap(), 1);
    db.close().await;
    let db = open(Options { path: folder.path().join("store.db") }).await.unwrap();
    let app = App::on(&db).await;
    let list = app.get("/sections").await;
    assert_eq!(
        (list.status.as_u16(), list.slugs()),
        (200, ["blog", "projects", "contact"].map(str::to_owned).to_vec())
    );
    assert_eq!(list.json()["total"], json!(3));
    assert_eq!(app.get(&format!("/sections/{id}")).await.status, 500);
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("degraded")));
    assert!(ready.json()["detail"].as_str().unwrap().contains("damaged"), "{}", ready.json());
    assert_eq!(db.collection("sections").count(&Filter::ne("other", 1)).await.unwrap(), 3);
}

#[tokio::test]
async fn removed_file_is_503_and_readiness_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(&folder, Settings::default()).await;
    let app = App::on(&db).await;
    assert_eq!(app.get("/sections").await.status, 200);
    std::fs::remove_file(folder.path().join("store.db")).unwrap();
    let refused = app
        .post("admin", "/stories", &json!({ "title": "lost", "content": "lost", "is_published": true }))
        .await;
    assert_eq!(refused.status, 503);
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (503, &json!("unavailable")));
    let reason = ready.json()["detail"].as_str().unwrap().to_owned();
    assert!(reason.contains("removed") && !reason.contains('/'), "{reason}");
}

#[tokio::test]
async fn read_only_store_serves_content_and_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(&folder, Settings::default()).await;
    let app = App::on(&db).await;
    assert_eq!(app.get_as("admin", "/me").await.status, 200);
    db.close().await;
    let db = store(&folder, Settings { read_only: true, ..Settings::default() }).await;
    let app = App::on(&db).await;
    assert_eq!(app.get("/sections").await.json()["total"], json!(4));
    // An administrator who has signed in before still sees what only administrators see.
    assert_eq!(app.get_as("admin", "/me").await.json()["role"], json!("admin"));
    let refused =
        app.post("admin", "/stories", &json!({ "title": "no", "content": "no", "is_published": true })).await;
    assert_eq!(refused.status, 503);
    assert!(refused.json()["detail"].as_str().unwrap().contains("read-only"), "{}", refused.json());
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("degraded")));
}
