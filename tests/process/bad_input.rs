use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::doc;
use testkit::{Mongod, Target, User, with_server_binary};

use crate::support::Setup;

#[test]
fn everything_that_is_wrong_is_told_in_one_run_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Setup::bare(folder.path()).with("PORT", "many").with("MIGRATE_ON_START", "perhaps").run(&[]);
    assert_eq!(ran.code, Some(2));
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.err);
    for (line, name) in lines.iter().zip(["PORT", "ADMIN_EMAIL", "MIGRATE_ON_START"]) {
        assert!(line.contains(name) && line.contains(".env"), "{line}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_bad_line_of_the_file_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "ADMIN_EMAIL=admin@example.com\nMONGO_PASSWORD=hunter2 hunter3\n")
        .unwrap();
    let ran = Setup::bare(folder.path()).run(&["migrate", "status"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("line 2 of .env") && !ran.err.contains("hunter"), "{}", ran.err);
}

#[test]
fn a_malformed_connection_string_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
    for bad in ["localhost:27017", "mongodb://me:hunter2@", "mongodb://me:hunter2@h:1/x?maxPoolSize=hunter2"]
    {
        let ran = setup.clone().with("MONGO_URI", bad).run(&["serve"]);
        assert_eq!(ran.code, Some(2), "{bad}: {}", ran.err);
        assert!(
            ran.err.contains("MONGO_URI") && ran.err.contains(".env") && !ran.err.contains("hunter2"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_server_that_is_not_there_is_1_and_named() {
    // Bound and not listened on by anybody who would answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
    let began = Instant::now();
    let ran = setup.with("MONGO_URI", &format!("mongodb://me:hunter2@{host}/notes")).run(&["serve"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&format!("{host}/notes")) && !ran.err.contains("hunter2"), "{}", ran.err);
    // A deadline of 6 s is promised; the bound is generous, as it is to catch a wait without end.
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_wrong_password_is_1_and_not_told() {
    with_server_binary(|binary| async move {
        let user = User { name: "me".into(), password: "right".into() };
        let server = Mongod::with_user(&binary, user).await.expect("a server");
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("mongodb://me:hunter2@{}/notes?authSource=admin", server.host());
        let setup = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
        let ran = setup.with("MONGO_URI", &uri).run(&["serve"]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(
            ran.err.contains(&server.host()) && ran.err.contains("notes") && !ran.err.contains("hunter2"),
            "{}",
            ran.err
        );
    });
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", &port);
    let ran = setup.run(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&format!("port {port}")), "{}", ran.err);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("field-notes.db"), "a shopping list").unwrap();
    let ran = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0").run(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(fs::read_to_string(data.join("field-notes.db")).unwrap(), "a shopping list");
}

#[test]
fn production_refuses_development_tokens_and_an_embedded_store_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let setup =
        Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("ENVIRONMENT", "production");
    let ran = setup.with("ALLOW_DEV_AUTH", "true").run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("ALLOW_DEV_AUTH") && ran.err.contains("DATA_DIR"), "{}", ran.err);
}

#[tokio::test]
async fn a_start_that_failed_may_stay_alive_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::bare(folder.path()).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
    let mut server = setup.with("MIGRATE_ON_START", "verify").with("ON_START_FAILURE", "stay").spawn().await;
    let failed = loop {
        let (status, body) = server.get("/readyz").await;
        assert_eq!(status, 503);
        if body["status"] == "failed" {
            break body;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(failed["phase"], "migrations");
    assert!(failed["detail"].as_str().unwrap().contains("0001_create_admin_user"), "{failed}");
    assert_eq!(server.get("/livez").await.0, 200);
    assert_eq!(server.get("/sections").await.0, 503);
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(0));
}

testkit::targets! {
    async fn a_migration_that_fails_is_recorded_and_the_next_start_says_what_to_run(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let path = folder.path().join("data/field-notes.db");
        let db = match &*target {
            Target::Embedded { .. } => docstore::embedded::open(docstore::embedded::Options { path }).await.unwrap(),
            Target::Mongo { .. } => testkit::open!(target),
        };
        // The original says that it made the administrator, and there is none.
        let entry = doc! { "name": "0001_create_admin_user", "applied": bson::DateTime::from_millis(0) };
        db.collection("pymongo_migrate").insert_one(entry).await.unwrap();
        db.close().await;
        let first = setup.run(&["serve"]);
        assert_eq!(first.code, Some(1), "{}", first.err);
        let second = setup.run(&["serve"]);
        assert_eq!(second.code, Some(4), "{}", second.err);
        for ran in [&first, &second] {
            assert!(ran.err.contains("0002_add_user_id_to_content"), "{}", ran.err);
            assert!(ran.err.contains("field-notes migrate up"), "{}", ran.err);
        }
        let status = setup.run(&["migrate", "status"]);
        assert!(status.out.contains("Failed migrations:\n  ✗ 0002_add_user_id_to_content"), "{}", status.out);
    }
}
