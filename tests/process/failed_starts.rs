use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::bson::{DateTime, doc};
use docstore::mongo::{Options, as_mongo, connect};
use docstore::{Filter, Index, Update};
use testkit::{Credentials, Mongod, Target};

use crate::program::{Program, open_store};

/// Runs the checks and `serve`: each check fails with what the start fails with. No check can know that the port is in use
/// by then, or that another process does not release its lease in time.
fn every_check_says_what_serve_says(program: &Program, expected: &str) {
    let mut server = program.start(&["serve"]);
    let began = Instant::now();
    while server.is_running() {
        assert!(began.elapsed() < Duration::from_mins(1), "{expected}: it starts: {}", server.output());
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = server.output();
    let mut errors = output.lines().filter_map(|line| line.strip_prefix("error: "));
    let reason = errors.next_back().unwrap_or_else(|| panic!("{expected}: no reason: {output}"));
    let reason = reason.split_once(" failed: ").map_or(reason, |(_, reason)| reason);
    assert!(reason.contains(expected), "{expected}: {reason}");
    for arguments in [&["migrate", "check", "--before-deploy"][..], &["migrate", "preflight"], &["doctor"]] {
        let checked = program.run(arguments);
        let text = checked.stdout + &checked.stderr;
        assert!(!matches!(checked.code, Some(0) | None), "{arguments:?} passes, but {reason}: {text}");
        assert!(text.contains(reason), "{arguments:?}: not {reason:?}: {text}");
    }
}

testkit::targets! {
    async fn every_check_fails_with_the_words_of_a_failing_start(target: Arc<Target>) {
        let program = || Program::on(&target).with("PORT", "0");
        let store = open_store(&target).await;
        every_check_says_what_serve_says(&program().with("MIGRATE_ON_START", "verify"), "0001_create_admin_user");

        program().run(&["migrate", "up"]).expect(0);
        let ledger = store.collection("_migrations");
        let last = Filter::id("0004_backfill_section_id");
        let failed = Update::new().set("status", "failed").set("error", "disk on fire");
        assert_eq!(ledger.update_one(&last, &failed).await.unwrap().matched, 1);
        every_check_says_what_serve_says(&program(), "0004_backfill_section_id");
        ledger.update_one(&last, &Update::new().set("status", "applied")).await.unwrap();

        // The ledger of the original names a migration that this program does not have.
        let foreign = store.collection("pymongo_migrate");
        foreign.insert_one(doc! { "name": "20990101_unknown", "applied": DateTime::now() }).await.unwrap();
        every_check_says_what_serve_says(&program(), "20990101_unknown");
        store.drop_collection("pymongo_migrate").await.unwrap();

        let stories = store.collection("stories");
        stories.insert_many(vec![doc! { "slug": "same" }, doc! { "slug": "same" }]).await.unwrap();
        every_check_says_what_serve_says(&program(), "the unique index slug_1 of stories");
        stories.delete_many(&Filter::All).await.unwrap();
        store.ensure_index("stories", &Index::on(["slug"])).await.unwrap();
        every_check_says_what_serve_says(&program(), "the index slug_1 of stories");
        store.drop_index("stories", "slug_1").await.unwrap();

        if let Some(server) = as_mongo(&store) {
            store.drop_collection("stories").await.unwrap();
            for (kind, options) in [
                ("a capped collection", doc! { "capped": true, "size": 100_000 }),
                ("a view", doc! { "viewOn": "pages", "pipeline": [] }),
                ("a time series collection", doc! { "timeseries": { "timeField": "t" } }),
            ] {
                let mut command = doc! { "create": "stories" };
                command.extend(options);
                server.run_command(command).await.unwrap();
                let expected = format!("stories is {kind}");
                every_check_says_what_serve_says(&program(), &expected);
                for arguments in [&["migrate", "up"][..], &["migrate", "up", "--dry-run"]] {
                    let refused = program().run(arguments).expect(1);
                    assert!(refused.stderr.contains(&expected), "{arguments:?}: {}", refused.stderr);
                }
                server.run_command(doc! { "drop": "stories" }).await.unwrap();
            }
        }
        program().run(&["doctor"]).expect(0);
        program().serve().await;
        store.close().await;
    }
}

#[test]
fn every_check_fails_like_a_start_that_cannot_open_its_store() {
    let program = || Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
    let with_file = |content: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let program = program();
        program.run(&["migrate", "up"]).expect(0);
        let path = program.folder().join("data/field-notes.db");
        let stored = std::fs::read(&path).expect("the file");
        std::fs::write(&path, content(stored)).expect("the file is written");
        program
    };
    every_check_says_what_serve_says(&with_file(&|_| b"shopping list".to_vec()), "field-notes.db");
    every_check_says_what_serve_says(&with_file(&|stored| stored[..stored.len() / 2].to_vec()), "damaged");
    let overwritten = |mut stored: Vec<u8>| {
        let middle = stored.len() / 2;
        stored[middle..middle + 8192].fill(0xa5);
        stored
    };
    every_check_says_what_serve_says(&with_file(&overwritten), "damaged");
    let read_only = program().with("READ_ONLY", "true");
    every_check_says_what_serve_says(&read_only, "does not exist");
    every_check_says_what_serve_says(&program().with("DATA_DIR", "/dev/null/x"), "/dev/null/x");
    let folder = program();
    std::fs::create_dir_all(folder.folder().join("data/field-notes.db")).expect("a folder");
    every_check_says_what_serve_says(&folder, "field-notes.db");
    for (uri, expected) in [
        ("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300", "127.0.0.1:1"),
        ("mongodb://", "MONGO_URI"),
        ("mongodb://127.0.0.1/?readPreference=nearby", "readPreference"),
        ("postgres://127.0.0.1/notes", "MONGO_URI"),
    ] {
        every_check_says_what_serve_says(&program().with("MONGO_URI", uri), expected);
    }
}

#[test]
fn every_check_fails_like_a_start_with_wrong_variables() {
    let program = || Program::bare().with("PORT", "0");
    every_check_says_what_serve_says(&program(), "ADMIN_EMAIL");
    let program = || program().with("ADMIN_EMAIL", "admin@example.com");
    every_check_says_what_serve_says(&program().with("MIGRATE_ON_START", "sometimes"), "MIGRATE_ON_START");
    let public = program().with("ALLOW_DEV_AUTH", "true").with("HOST", "0.0.0.0");
    every_check_says_what_serve_says(&public, "ALLOW_DEV_AUTH");
}

#[test]
fn read_write_role_starts_and_missing_privilege_is_named() {
    testkit::with_server_binary(|binary: PathBuf| async move {
        let root = Credentials { name: "root".into(), password: "root".into() };
        let server = Mongod::with_user(&binary, root).await.expect("a server with a user");
        let uri = format!("mongodb://root:root@{}/?authSource=admin", server.host());
        let options = Options { uri, database: Some("notes".into()), app_name: "tests".into() };
        let store = connect(options).await.expect("a connection");
        let notes = as_mongo(&store).expect("a MongoDB server");
        for role in ["read", "readWrite"] {
            let user = doc! { "createUser": role, "pwd": "p", "roles": [role] };
            notes.run_command(user).await.expect("a user");
        }
        let program = |user: &str| {
            let uri = format!("mongodb://{user}:p@{}/notes?authSource=notes", server.host());
            Program::bare().with("ADMIN_EMAIL", "a@example.com").with("PORT", "0").with("MONGO_URI", &uri)
        };
        let refused = program("read").run(&["serve"]).expect(1);
        assert!(refused.stderr.contains("on the database notes"), "{}", refused.stderr);
        let wrong = format!("mongodb://read:wrong@{}/notes?authSource=notes", server.host());
        every_check_says_what_serve_says(
            &program("read").with("MONGO_URI", &wrong),
            "wrong user name or password",
        );
        program("readWrite").run(&["migrate", "preflight"]).expect(0);
        program("readWrite").serve().await;
        let lacking = program("readWrite").run(&["migrate", "test"]).expect(1);
        assert!(lacking.stderr.contains("on the database notes__"), "{}", lacking.stderr);
    });
}
