use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use docstore::bson::doc;
use docstore::sqlite::{Options, open};
use docstore::{Error, Filter, Find};

use super::Fixture;

/// Returns every file of a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|f| (f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap())).collect()
}

async fn refusal(folder: &Path) -> Error {
    let before = contents(folder);
    let refused = open(Options { path: folder.join("store.db") }).await.map(drop).unwrap_err();
    assert_eq!(contents(folder), before, "the folder was touched");
    refused
}

/// Creates a closed store whose file is changed at one offset.
async fn changed(at: usize, bytes: &[u8]) -> Fixture {
    let store = Fixture::new().await;
    store.database.collection("c").insert_one(doc! { "_id": 1 }).await.unwrap();
    store.database.close().await;
    let path = store.folder.path().join("store.db");
    let mut file = fs::read(&path).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, file).unwrap();
    store
}

#[tokio::test]
async fn foreign_file_is_rejected_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    for foreign in [&b"hello"[..], &[7; 5000]] {
        fs::write(folder.path().join("store.db"), foreign).unwrap();
        assert!(matches!(refusal(folder.path()).await, Error::NotOurs { .. }));
    }
    let other_program = changed(68, &[0, 0, 0, 0]).await;
    let refused = refusal(other_program.folder.path()).await;
    assert!(matches!(refused, Error::NotOurs { .. }), "{refused}");
    assert!(refused.to_string().contains("store.db"), "{refused}");
}

#[tokio::test]
async fn newer_file_version_is_rejected_unchanged() {
    let newer = changed(60, &[0, 0, 0, 9]).await;
    let refused = refusal(newer.folder.path()).await;
    assert!(matches!(refused, Error::NewerFormat { found: 9, supported: 1, .. }), "{refused}");
}

#[tokio::test]
async fn damaged_file_is_reported() {
    let store = Fixture::new().await;
    let documents = (0..2000).map(|n| doc! { "_id": n, "text": "x".repeat(100) }).collect();
    store.database.collection("c").insert_many(documents).await.unwrap();
    store.database.close().await;
    let path = store.folder.path().join("store.db");
    let mut file = fs::read(&path).unwrap();
    for byte in &mut file[4096..] {
        *byte = 0xA5;
    }
    fs::write(&path, file).unwrap();
    let refused = open(Options { path: path.clone() }).await.map(drop).unwrap_err();
    assert!(refused.to_string().starts_with("the store file is damaged"), "{refused}");

    // With damage further on, the file opens, and the read that reaches the damage fails.
    let store = changed(100, &[]).await;
    let path = store.folder.path().join("store.db");
    let database = store.again().await;
    let documents = (10..2000).map(|n| doc! { "_id": n, "text": "x".repeat(100) }).collect();
    database.collection("c").insert_many(documents).await.unwrap();
    database.close().await;
    let mut file = fs::read(&path).unwrap();
    let middle = file.len() / 2;
    file[middle..].fill(0xA5);
    fs::write(&path, file).unwrap();
    let database = store.again().await;
    let read = async { database.collection("c").find(Find::new(Filter::All)).await?.documents().await };
    let refused = read.await.unwrap_err();
    assert!(refused.to_string().starts_with("the store file is damaged"), "{refused}");
}

#[tokio::test]
async fn unwritable_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let path = folder.path().join("file").join("store.db");
    let refused = open(Options { path: path.clone() }).await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
}

#[tokio::test]
async fn missing_folder_is_created_and_empty_file_initialized() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store.db");
    let database = open(Options { path: path.clone() }).await.unwrap();
    assert_eq!(database.location(), path.to_str().unwrap());
    database.close().await;
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    open(Options { path: empty }).await.unwrap().ping().await.unwrap();
}
