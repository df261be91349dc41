use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use docstore::bson::doc;
use docstore::{Database, Filter, Index};
use migrator::Error;
use migrator::backup::{RestoreRequest, TakeRequest, list, resolve, restore, take, verify};

use crate::site::{REPLACE, build, everything, request};

/// Everything below a folder, by name.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file system of its own, as large as that; `None` where that is not allowed, except on CI.
struct Small(tempfile::TempDir);

/// Runs a program, by `sudo` if this user may not. Returns whether it succeeded.
fn as_root(arguments: impl Fn(&mut Command) -> &mut Command, program: &str) -> bool {
    let mut by_sudo = Command::new("sudo");
    by_sudo.args(["-n", program]);
    [Command::new(program), by_sudo]
        .iter_mut()
        .any(|command| arguments(command).output().is_ok_and(|output| output.status.success()))
}

impl Small {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={size},mode=1777");
        let is_mounted =
            as_root(|command| command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()), "mount");
        let is_required = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        assert!(is_mounted || !is_required, "on CI a file system must be mountable, as root or by sudo");
        is_mounted.then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        as_root(|command| command.arg(self.0.path()), "umount");
    }
}

/// Every write keeps two collections equal; a backup beside it must not see one without the other.
#[tokio::test]
async fn backup_of_the_embedded_store_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let options = |name: &str| docstore::sqlite::Options { path: folder.path().join(name) };
    let db = docstore::sqlite::open(options("store.db")).await.unwrap();
    build(&db).await;
    let writer = db.clone();
    let write = async move {
        for n in 0.. {
            let transaction = writer.begin().await.unwrap();
            for collection in ["a_first", "z_last"] {
                transaction.collection(collection).insert_one(doc! { "_id": n }).await.unwrap();
            }
            transaction.commit().await.unwrap();
        }
    };
    let writing = tokio::spawn(write);
    let dir = folder.path().join("backups");
    let mut sizes = Vec::new();
    for round in 0..5 {
        while db.collection("a_first").count(&Filter::All).await.unwrap() <= round * 10 {
            tokio::task::yield_now().await;
        }
        let taken = take(&db, &dir, &request()).await.unwrap();
        let documents =
            |name: &str| taken.collections.iter().find(|kept| kept.name == name).unwrap().documents;
        assert_eq!(documents("a_first"), documents("z_last"), "round {round}");
        sizes.push(documents("a_first"));
        assert!(verify(&dir, &taken.id).await.is_ok());
    }
    writing.abort();
    assert!(sizes.is_sorted() && sizes[0] < sizes[4], "writes went on: {sizes:?}");
}

testkit::stores! {
    async fn full_disk_is_reported_and_leaves_nothing(db: Database) {
        // Where nothing may be mounted, the full device of the unit test stands for it.
        let Some(small) = Small::mount("1m") else { return println!("not run: no file system may be mounted") };
        build(&db).await;
        let before = everything(&db).await;
        let dir = small.0.path().join("backups");
        let error = take(&db, &dir, &request()).await.unwrap_err();
        assert!(matches!(&error, Error::DiskFull { path } if *path == dir), "{error:?}");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("nothing was changed") && error.to_string().contains("BACKUP_DIR, or `--dir`"), "{error}");
        assert_eq!(names(&dir).len(), 0);
        assert_eq!(everything(&db).await, before);
        let little = TakeRequest { collections: Some(vec!["notes.old".into()]), ..request() };
        take(&db, &dir, &little).await.unwrap();
        assert_eq!(list(&dir).unwrap().backups.len(), 1);
    }

    async fn backup_over_the_cap_is_refused_and_leaves_nothing(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let small = TakeRequest { cap_bytes: Some(100_000), ..request() };
        let error = take(&db, dir.path(), &small).await.unwrap_err();
        assert!(matches!(&error, Error::BackupTooLarge { cap: 100_000, collection } if collection == "stories"), "{error:?}");
        assert_eq!((error.exit_code(), names(dir.path()).len()), (8, 0));
        let enough = TakeRequest { cap_bytes: Some(4_000_000), ..request() };
        take(&db, dir.path(), &enough).await.unwrap();
    }

    async fn damaged_backup_is_refused_wherever_the_damage_is(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        db.collection("stories").delete_one(&Filter::id(1)).await.unwrap();
        let before = everything(&db).await;
        let folder = dir.path().join(&id);
        for name in names(&folder) {
            let path = folder.join(&name);
            let whole = fs::read(&path).unwrap();
            if whole.is_empty() {
                continue;
            }
            // One bit, somewhere.
            let at = whole.len() / 2;
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&[whole[at] ^ 1], at as u64).unwrap();
            let error = restore(&db, dir.path(), &id, &REPLACE).await.unwrap_err();
            assert!(matches!(error, Error::BackupDamaged { .. }), "{name}: {error:?}");
            assert_eq!(error.exit_code(), 6);
            assert!(error.to_string().contains("nothing was changed"), "{error}");
            // Cut short.
            fs::write(&path, &whole[..whole.len() - 2]).unwrap();
            assert!(verify(dir.path(), &id).await.is_err(), "{name}");
            fs::remove_file(&path).unwrap();
            assert!(verify(dir.path(), &id).await.is_err(), "{name}");
            fs::write(&path, &whole).unwrap();
        }
        assert_eq!(everything(&db).await, before);
        restore(&db, dir.path(), &id, &REPLACE).await.unwrap();
        assert_eq!(db.collection("stories").count(&Filter::All).await.unwrap(), 1202);
    }

    async fn restore_that_fails_midway_changes_nothing(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        let before = everything(&db).await;
        // As if the manifest had been made to fit: the shape asks for what the documents do not have.
        let folder = dir.path().join(&id);
        let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let shape = docstore::CollectionOptions::new(vec![Index::on(["missing"]).unique()]);
        let bytes = docstore::bson::serialize_to_vec(&shape.to_document()).unwrap();
        let kept = &mut manifest["collections"][1];
        fs::write(folder.join(kept["shape_file"].as_str().unwrap()), &bytes).unwrap();
        let sum = |path: &Path| {
            let output = Command::new("sha256sum").arg(path).output().unwrap();
            String::from_utf8_lossy(&output.stdout)[..64].to_owned()
        };
        kept["shape_sha256"] = sum(&folder.join(kept["shape_file"].as_str().unwrap())).into();
        fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let lines = names(&folder).into_iter().filter(|name| name != "SHA256SUMS");
        let lines: Vec<_> = lines.map(|name| format!("{}  {name}\n", sum(&folder.join(&name)))).collect();
        fs::write(folder.join("SHA256SUMS"), lines.concat()).unwrap();
        verify(dir.path(), &id).await.unwrap();
        let error = restore(&db, dir.path(), &id, &REPLACE).await.unwrap_err();
        assert!(matches!(error, Error::Store(docstore::Error::DuplicateKey { .. })), "{error:?}");
        assert_eq!(everything(&db).await, before);
    }

    async fn missing_and_newer_backups_are_reported(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let nowhere = dir.path().join("nowhere");
        assert_eq!(list(&nowhere).unwrap().backups.len(), 0);
        assert!(!nowhere.exists(), "a look makes nothing");
        let error = restore(&db, dir.path(), "2023", &RestoreRequest::default()).await.unwrap_err();
        assert!(matches!(error, Error::BackupNotFound { .. }) && error.exit_code() == 2, "{error:?}");
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        assert_eq!(resolve(dir.path(), &id[..12]).unwrap(), id);
        let path = dir.path().join(&id).join("manifest.json");
        let newer = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 2");
        fs::write(&path, newer).unwrap();
        let error = restore(&db, dir.path(), &id, &REPLACE).await.unwrap_err();
        assert!(matches!(error, Error::NewerBackup { found: 2, supported: 1, .. }), "{error:?}");
        assert_eq!(list(dir.path()).unwrap().broken.len(), 1);
    }
}
