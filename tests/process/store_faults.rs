use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use serde_json::json;

use crate::program::Program;

/// The id of a user without rights in the folders of these tests.
const UNPRIVILEGED: u32 = 65_534;

fn program() -> Program {
    Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("ALLOW_DEV_AUTH", "true")
}

fn file(program: &Program) -> PathBuf {
    program.folder().join("data/field-notes.db")
}

#[tokio::test]
async fn file_removed_while_served_is_503_and_readyz_says_why() {
    let program = program();
    let server = program.serve().await;
    let story = |title: &str| json!({ "title": title, "content": "text", "is_published": true });
    assert_eq!(server.post_as_admin("/stories", &story("kept")).await.0, 201);
    fs::rename(file(&program), program.folder().join("aside")).unwrap();
    let (status, body) = server.post_as_admin("/stories", &story("lost")).await;
    assert_eq!(status, 503, "{body}");
    // A check of readiness may be a second old.
    let reason = loop {
        let (status, body) = server.get("/readyz").await;
        if status == 503 {
            break body["detail"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(reason.contains("removed"), "{reason}");
    fs::rename(program.folder().join("aside"), file(&program)).unwrap();
    assert_eq!(server.post_as_admin("/stories", &story("after")).await.0, 201);
}

#[tokio::test]
async fn start_on_full_disk_serves_reads_and_readyz_says_why() {
    let program = program();
    let mut server = program.serve().await;
    let story = |title: &str| json!({ "title": title, "content": "text", "is_published": true });
    assert_eq!(server.post_as_admin("/stories", &story("kept")).await.0, 201);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let before = fs::read(file(&program)).unwrap();
    // Enough for the program's output, too little for the index of a log.
    let program = program.with_max_file_blocks(32);
    let server = program.serve().await;
    let (status, stories) = server.get("/stories").await;
    assert_eq!((status, &stories["items"][0]["title"]), (200, &json!("kept")));
    assert_eq!(server.get_as_admin("/stories?include_drafts=true").await.0, 200);
    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready["status"]), (200, &json!("degraded")), "{ready}");
    assert!(ready["detail"].as_str().unwrap().contains("disk of the store is full"), "{ready}");
    let (status, refused) = server.post_as_admin("/stories", &story("lost")).await;
    assert_eq!(status, 507, "{refused}");
    drop(server);
    assert_eq!(fs::read(file(&program)).unwrap(), before);
    // An index that an earlier version did not declare does not stop the start either.
    let path = file(&program);
    let database = docstore::sqlite::open(docstore::sqlite::Options { path }).await.unwrap();
    database.drop_index("idempotency_keys", "createdDate_1").await.unwrap();
    database.close().await;
    let server = program.serve().await;
    assert_eq!(server.get("/stories").await.0, 200);
}

#[tokio::test]
async fn older_copy_beside_the_log_of_a_killed_server_is_refused() {
    let program = program();
    let mut server = program.serve().await;
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let copy = fs::read(file(&program)).unwrap();
    let mut server = program.serve().await;
    let story = json!({ "title": "newer", "content": "text", "is_published": true });
    assert_eq!(server.post_as_admin("/stories", &story).await.0, 201);
    server.signal("KILL");
    server.wait();
    fs::write(file(&program), &copy).unwrap();
    let refused = program.run(&["serve"]).expect(1);
    assert!(refused.stderr.contains("an older copy was restored"), "{}", refused.stderr);
    assert_eq!(fs::read(file(&program)).unwrap(), copy, "nothing was changed");
    for suffix in ["wal", "shm"] {
        fs::remove_file(program.folder().join(format!("data/field-notes.db-{suffix}"))).unwrap();
    }
    let server = program.serve().await;
    assert_eq!(server.get("/stories").await.1["total"], 0);
}

#[test]
fn empty_file_with_a_backup_is_refused() {
    let program = program();
    program.run(&["migrate", "up"]).expect(0);
    program.run(&["migrate", "backup"]).expect(0);
    for (path, mode) in [("data", 0o700), ("data/field-notes.db", 0o600), ("backups", 0o700)] {
        assert_eq!(fs::metadata(program.folder().join(path)).unwrap().mode() & 0o777, mode, "{path}");
    }
    let backup = fs::read_dir(program.folder().join("backups")).unwrap().next().unwrap().unwrap().path();
    for kept in fs::read_dir(&backup).unwrap() {
        let kept = kept.unwrap();
        assert_eq!(kept.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", kept.path());
    }
    fs::write(file(&program), "").unwrap();
    let refused = program.run(&["serve"]).expect(1);
    let id = backup.file_name().unwrap().to_str().unwrap();
    assert!(refused.stderr.contains("is empty") && refused.stderr.contains(id), "{}", refused.stderr);
}

#[tokio::test]
async fn unwritable_file_fails_the_start_unless_it_is_only_read() {
    let program = program();
    program.run(&["migrate", "up"]).expect(0);
    let folder = program.folder().join("data");
    // The file belongs to the user of the program, who is another one if the tests run as root: no mode stops root.
    let program = if fs::metadata(program.folder()).unwrap().uid() == 0 {
        chown(program.folder(), Some(UNPRIVILEGED), None).unwrap();
        program.run_by(UNPRIVILEGED)
    } else {
        program
    };
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    // First the folder alone, then the file, too.
    for (mode, what) in [(0o666, "may not write the folder of"), (0o444, "may not write")] {
        fs::set_permissions(file(&program), Permissions::from_mode(mode)).unwrap();
        for verb in [&["serve"][..], &["migrate", "preflight"]] {
            let refused = program.run(verb).expect(1);
            let text = &refused.stderr;
            assert!(text.contains("READ_ONLY=true") && text.contains(what), "{mode:o} {verb:?}: {text}");
        }
    }
    let program = program.with("READ_ONLY", "true");
    let server = program.serve().await;
    assert_eq!(server.section_slugs().await, ["blog", "about", "projects", "contact"]);
    let (status, body) = server
        .post_as_admin("/stories", &json!({ "title": "no", "content": "no", "is_published": true }))
        .await;
    assert_eq!(status, 503, "{body}");
    assert!(body["detail"].as_str().unwrap().contains("read-only"), "{body}");
    assert_eq!(server.get("/readyz").await.1["status"], "degraded");
    drop(server);
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn failed_start_is_logged_as_json_alone() {
    for (port, code, cause) in [("0", 1, "not an SQLite file"), ("many", 2, "PORT must be")] {
        let program = program().with("LOG_FORMAT", "json").with("PORT", port);
        fs::create_dir_all(program.folder().join("data")).unwrap();
        fs::write(file(&program), "x".repeat(200)).unwrap();
        let failed = program.run(&["serve"]).expect(code);
        let lines: Vec<serde_json::Value> = failed
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        let causes =
            lines.iter().filter(|line| line["error"].as_str().is_some_and(|text| text.contains(cause)));
        assert_eq!(causes.count(), 1, "{lines:?}");
    }
}

#[tokio::test]
async fn misspelled_variables_are_warned_about() {
    let program = program().with("ALOW_DEV_AUTH", "true").with("RUST_LOG", "warn");
    fs::write(program.folder().join(".env"), "MONGO_PASWORD=pa$ss\n").unwrap();
    let server = program.serve().await;
    let output = server.output();
    for (name, nearest) in [("ALOW_DEV_AUTH", "ALLOW_DEV_AUTH"), ("MONGO_PASWORD", "MONGO_PASSWORD")] {
        let line =
            output.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {output}"));
        assert!(line.contains(nearest) && line.contains("WARN") && !line.contains("pa$ss"), "{line}");
    }
}
