//! A writer and a restorer that are killed in the midst of their work. They are this very program, run again with
//! variables that say what to do: see [`child`].

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use docstore::bson::{DateTime, doc};
use docstore::{Database, Update, mongo, sqlite};
use migrator::backup::{TakeRequest, list, restore, take, verify};
use testkit::Target;

use crate::site::{REPLACE, build, everything, request};

const TASK: &str = "BACKUP_TEST_TASK";
const FILE: &str = "BACKUP_TEST_FILE";
const URI: &str = "BACKUP_TEST_URI";
const DATABASE: &str = "BACKUP_TEST_DATABASE";
const DIR: &str = "BACKUP_TEST_DIR";
/// More looks than there can be; a child that never gets there is a failure.
const LOOKS: usize = 60_000;

/// The process that is killed: takes backups, or restores one, again and again.
#[test]
fn child() {
    let variable = |name| std::env::var(name).ok();
    let (Some(task), Some(dir)) = (variable(TASK), variable(DIR).map(PathBuf::from)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let db = match (variable(FILE), variable(URI), variable(DATABASE)) {
            (Some(file), ..) => sqlite::open(sqlite::Options { path: file.into() }).await,
            (None, Some(uri), Some(database)) => {
                let options = mongo::Options { uri, database: Some(database), app_name: "tests".into() };
                mongo::connect(options).await
            }
            _ => panic!("no store was named"),
        };
        let db = db.unwrap();
        for second in 0.. {
            if task == "take" {
                let now = DateTime::from_millis(1_700_000_000_000 + second * 1000);
                take(&db, &dir, &TakeRequest { now, ..request() }).await.unwrap();
            } else {
                restore(&db, &dir, &task, &REPLACE).await.unwrap();
            }
        }
    });
}

/// Kills its process when it goes.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(target: &Target, task: &str, dir: &Path) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::child", "--exact", "--nocapture"]).env(TASK, task).env(DIR, dir);
    match target {
        Target::Embedded { path, .. } => command.env(FILE, path),
        Target::Mongo { uri, database } => command.env(URI, uri).env(DATABASE, database),
    };
    Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

/// Returns whether a backup is being written: some of its documents are on the disk.
fn in_the_midst(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| {
        let partial = entry.file_name().to_string_lossy().starts_with(".partial-");
        partial && entry.path().join("0003-stories.bson").exists()
    })
}

async fn loading(db: &Database) -> bool {
    db.collection_names().await.unwrap().iter().any(|name| name.starts_with("_restoring."))
}

testkit::targets! {
    async fn killed_backup_is_listed_as_unusable(target: Arc<Target>) {
        let db = testkit::open!(target);
        build(&db).await;
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("backups");
        for _ in 0..3 {
            let child = start(&target, "take", &dir);
            let mut looks = 0;
            while !in_the_midst(&dir) {
                looks += 1;
                assert!(looks < LOOKS, "the child writes nothing");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(child);
            // Whatever has its name is whole.
            for whole in list(&dir).unwrap().backups {
                verify(&dir, &whole.id).await.unwrap();
            }
            let broken = list(&dir).unwrap().broken;
            assert!(!broken.is_empty() && broken.iter().all(|one| one.id.starts_with(".partial-")), "{broken:?}");
        }
        let later = TakeRequest { now: DateTime::from_millis(1_800_000_000_000), ..request() };
        take(&db, &dir, &later).await.unwrap();
        let hidden = std::fs::read_dir(&dir).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0, "what dead writers left is gone");
        db.close().await;
    }

    async fn killed_restore_leaves_whole_collections_and_can_be_repeated(target: Arc<Target>) {
        let db = testkit::open!(target);
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let taken = everything(&db).await;
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        for round in 0..3 {
            for name in ["stories", "notes.old"] {
                let changed = Update::new().set("slug", "changed").set("round", round);
                db.collection(name).update_one(&docstore::Filter::id(1), &changed).await.unwrap();
                db.collection(name).insert_one(doc! { "_id": "late", "slug": "late" }).await.unwrap();
            }
            let changed = everything(&db).await;
            let child = start(&target, &id, dir.path());
            let mut looks = 0;
            while !loading(&db).await {
                looks += 1;
                assert!(looks < LOOKS, "the child loads nothing");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(child);
            for (name, found) in everything(&db).await {
                if !name.starts_with("_restoring.") {
                    assert!(found == changed[&name] || found == taken[&name], "half of {name}");
                }
            }
            restore(&db, dir.path(), &id, &REPLACE).await.unwrap();
            assert_eq!(everything(&db).await, taken);
        }
        db.close().await;
    }
}
