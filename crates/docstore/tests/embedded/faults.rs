use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docstore::bson::{Document, RawDocumentBuf, doc, rawdoc};
use docstore::sqlite::{FileCheck, Options, Settings, open, open_with};
use docstore::{Database, Error, Filter, Find, Index, Projection, Result, Sort, Update};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Fixture, all};

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("store.db")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}{suffix}", path.file_name().unwrap().to_str().unwrap()))
}

async fn insert(database: &Database, id: &str) -> Result<()> {
    database.collection("c").insert_one(doc! { "_id": id, "text": format!("text of {id}") }).await.map(drop)
}

async fn ids(database: &Database) -> Vec<String> {
    let documents = all(database, "c", Find::new(Filter::All).sort(Sort::ascending("_id"))).await;
    documents.iter().map(|document| document.get_str("_id").unwrap().to_owned()).collect()
}

async fn opened(path: &Path, settings: Settings) -> Result<Database> {
    open_with(Options { path: path.to_owned() }, settings).await
}

async fn refusal(path: &Path) -> String {
    let error = opened(path, Settings::default()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::WrongLog { .. }), "{error}");
    error.to_string()
}

/// Copies what a kill at this moment would leave: the file and its log.
fn killed_copy(store: &Fixture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("store.db{suffix}");
        fs::copy(store.folder.path().join(&name), folder.path().join(&name)).unwrap();
    }
    folder
}

/// Replaces bytes of a closed file, as a fault of the disk would.
fn damage(path: &Path, from: &str, to: &str) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn removed_file_fails_writes_and_is_reported() {
    for suffix in ["", "-wal", "-shm"] {
        let store = Fixture::new().await;
        insert(&store.database, "before").await.unwrap();
        assert_eq!(store.database.problem().await, None);
        assert_eq!(ids(&store.database).await, ["before"]);
        fs::remove_file(beside(&path(&store.folder), suffix)).unwrap();
        let error = insert(&store.database, "lost").await.unwrap_err();
        assert!(matches!(error, Error::FileLost { what: "removed", .. }), "{suffix}: {error}");
        let begun = store.database.begin().await.map(drop).unwrap_err();
        assert!(matches!(begun, Error::FileLost { .. }), "{begun}");
        assert!(store.database.ping().await.is_err());
        let problem = store.database.problem().await.unwrap();
        assert!(!problem.serves && problem.reason.contains("removed"), "{problem:?}");
        // Connections that are open still read what was there.
        assert_eq!(ids(&store.database).await, ["before"]);
    }
}

#[tokio::test]
async fn replaced_file_fails_writes_until_it_is_restored() {
    let store = Fixture::new().await;
    insert(&store.database, "before").await.unwrap();
    let (path, aside) = (path(&store.folder), store.folder.path().join("aside"));
    let transaction = store.database.begin().await.unwrap();
    transaction.collection("c").insert_one(doc! { "_id": "uncommitted" }).await.unwrap();
    fs::rename(&path, &aside).unwrap();
    fs::copy(&aside, &path).unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, Error::FileLost { what: "replaced", .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(matches!(insert(&store.database, "lost").await, Err(Error::FileLost { .. })));
    fs::rename(&aside, &path).unwrap();
    insert(&store.database, "after").await.unwrap();
    assert_eq!(store.database.problem().await, None);
    assert_eq!(ids(&store.database).await, ["after", "before"]);
}

#[tokio::test]
async fn log_of_a_killed_process_is_used() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    store.database.close().await;
    let database = store.again().await;
    insert(&database, "b").await.unwrap();
    let killed = killed_copy(&store);
    let again = open(Options { path: path(&killed) }).await.unwrap();
    assert_eq!(ids(&again).await, ["a", "b"]);
    // A second process finds the log in use.
    insert(&again, "c").await.unwrap();
    let beside = open(Options { path: path(&killed) }).await.unwrap();
    assert_eq!(ids(&beside).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn log_is_used_after_a_kill_at_any_page_of_a_checkpoint() {
    const PAGE: usize = 4096;
    let store = Fixture::new().await;
    insert(&store.database, "0").await.unwrap();
    store.database.close().await;
    let database = store.again().await;
    for n in 1..30 {
        let long = doc! { "_id": n.to_string(), "text": "x".repeat(5000) };
        database.collection("c").insert_one(long).await.unwrap();
    }
    let killed = killed_copy(&store);
    let [before, log] = ["", "-wal"].map(|suffix| fs::read(beside(&path(&killed), suffix)).unwrap());
    database.close().await;
    let after = fs::read(path(&store.folder)).unwrap();
    assert!(after.len() > before.len() + 20 * PAGE);
    // A checkpoint writes the pages in order.
    for written in (0..after.len()).step_by(PAGE) {
        let mut file = before.clone();
        file.resize(before.len().max(written), 0);
        file[..written].copy_from_slice(&after[..written]);
        fs::write(path(&killed), &file).unwrap();
        fs::write(beside(&path(&killed), "-wal"), &log).unwrap();
        let _ = fs::remove_file(beside(&path(&killed), "-shm"));
        let again = open(Options { path: path(&killed) }).await;
        let again = again.unwrap_or_else(|error| panic!("{} pages written: {error}", written / PAGE));
        assert_eq!(ids(&again).await.len(), 30);
        again.close().await;
    }
}

#[tokio::test]
async fn older_copy_beside_the_log_of_a_killed_process_is_refused() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    store.database.close().await;
    let copy = fs::read(path(&store.folder)).unwrap();
    let database = store.again().await;
    insert(&database, "b").await.unwrap();
    let killed = killed_copy(&store);
    let (file, log) = (path(&killed), beside(&path(&killed), "-wal"));
    fs::write(&file, &copy).unwrap();
    let before = fs::read(&log).unwrap();
    for _ in 0..2 {
        let text = refusal(&file).await;
        assert!(text.contains("an older copy was restored") && text.contains("store.db-wal"), "{text}");
        assert_eq!((fs::read(&file).unwrap(), fs::read(&log).unwrap()), (copy.clone(), before.clone()));
    }
    // The remedy of the message.
    fs::remove_file(&log).unwrap();
    fs::remove_file(beside(&file, "-shm")).unwrap();
    let restored = open(Options { path: file }).await.unwrap();
    assert_eq!(ids(&restored).await, ["a"]);
    insert(&restored, "c").await.unwrap();
}

#[tokio::test]
async fn file_written_after_its_log_ended_is_refused() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    let killed = killed_copy(&store);
    let (file, log) = (path(&killed), beside(&path(&killed), "-wal"));
    let written = fs::metadata(&log).unwrap().modified().unwrap();
    let set =
        |path: &Path, time| fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    set(&file, written + Duration::from_mins(2));
    let text = refusal(&file).await;
    assert!(text.contains("run: touch store.db-wal"), "{text}");
    set(&log, written + Duration::from_mins(2));
    assert_eq!(ids(&open(Options { path: file }).await.unwrap()).await, ["a"]);
}

#[tokio::test]
async fn damaged_file_with_a_log_is_refused() {
    let store = Fixture::new().await;
    let documents = (0..2000).map(|n| doc! { "_id": n, "text": "x".repeat(100) }).collect();
    store.database.collection("c").insert_many(documents).await.unwrap();
    store.database.close().await;
    let database = store.again().await;
    insert(&database, "a").await.unwrap();
    let killed = killed_copy(&store);
    let mut bytes = fs::read(path(&killed)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xA5);
    fs::write(path(&killed), bytes).unwrap();
    let text = refusal(&path(&killed)).await;
    assert!(text.contains("is damaged"), "{text}");
}

/// Length of the header of a log, and of a frame with its header.
const LOG_HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// Writes a log beside a copy of a file, and opens it.
async fn opened_with_log(killed: &TempDir, file: &[u8], log: &[u8]) -> Result<Database> {
    fs::write(path(killed), file).unwrap();
    fs::write(beside(&path(killed), "-wal"), log).unwrap();
    let _ = fs::remove_file(beside(&path(killed), "-shm"));
    opened(&path(killed), Settings::default()).await
}

#[tokio::test]
async fn log_with_a_flipped_bit_before_its_last_transaction_is_refused() {
    let store = Fixture::new().await;
    insert(&store.database, "0").await.unwrap();
    for n in 1..4 {
        insert(&store.database, &n.to_string()).await.unwrap();
    }
    let killed = killed_copy(&store);
    let [file, log] = ["", "-wal"].map(|suffix| fs::read(beside(&path(&killed), suffix)).unwrap());
    let frames: Vec<&[u8]> = log[LOG_HEADER..].chunks_exact(FRAME).collect();
    // The last frame of a transaction states the size of the file.
    let ends = frames.iter().enumerate().filter(|(_, frame)| frame[4..8] != [0; 4]).map(|(n, _)| n);
    let last = ends.rev().nth(1).unwrap() + 1;
    assert!(last > 8 && last < frames.len(), "{last} of {}", frames.len());
    // The salts and the checksum of a frame, its page; the magic number, a salt and the checksum of the header.
    let of_frames = (0..last).flat_map(|n| [8, 19, 24, 1000].map(|at| LOG_HEADER + n * FRAME + at));
    for at in of_frames.chain([3, 18, 31]) {
        let mut flipped = log.clone();
        flipped[at] ^= 0x10;
        let error = opened_with_log(&killed, &file, &flipped).await.map(drop).unwrap_err();
        assert!(matches!(error, Error::WrongLog { .. }), "{at}: {error}");
        assert!(error.to_string().contains("store.db-wal is damaged"), "{at}: {error}");
        assert_eq!(fs::read(beside(&path(&killed), "-wal")).unwrap(), flipped, "nothing was changed");
    }
    // A power cut may have torn the last transaction, which was then not acknowledged.
    let mut torn = log.clone();
    torn[LOG_HEADER + last * FRAME + 1000] ^= 0x10;
    let database = opened_with_log(&killed, &file, &torn).await.unwrap();
    assert_eq!(ids(&database).await, ["0", "1", "2"]);
    database.close().await;
    let database = opened_with_log(&killed, &file, &log).await.unwrap();
    assert_eq!(ids(&database).await, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn log_that_a_kill_cut_anywhere_is_used() {
    let store = Fixture::new().await;
    insert(&store.database, "0").await.unwrap();
    store.database.close().await;
    let database = store.again().await;
    for n in 1..30 {
        let long = doc! { "_id": n.to_string(), "text": "x".repeat(5000) };
        database.collection("c").insert_one(long).await.unwrap();
    }
    // After a checkpoint the log is written from its start again, and its end is older.
    Connection::open(path(&store.folder))
        .unwrap()
        .query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))
        .unwrap();
    for n in 30..33 {
        insert(&database, &n.to_string()).await.unwrap();
    }
    let killed = killed_copy(&store);
    let [file, log] = ["", "-wal"].map(|suffix| fs::read(beside(&path(&killed), suffix)).unwrap());
    let whole = opened_with_log(&killed, &file, &log).await.unwrap();
    assert_eq!(ids(&whole).await.len(), 33);
    whole.close().await;
    let of_generation = |frame: &[u8]| frame[8..16] == log[16..24];
    let newest = log[LOG_HEADER..].chunks_exact(FRAME).take_while(|frame| of_generation(frame)).count();
    assert!(newest > 3 && newest < log.len() / FRAME, "{newest}");
    let mut least = 0;
    for cut in 0..=newest {
        for part in [0, 10, 24, 2000] {
            // A frame that was half written when the process was killed, before what is older.
            let end = LOG_HEADER + cut * FRAME;
            let mut half = log.clone();
            let older = LOG_HEADER + newest * FRAME;
            half[end + part..older.max(end + part)].fill(0);
            let again = opened_with_log(&killed, &file, &half).await;
            let again = again.unwrap_or_else(|error| panic!("frame {cut}, byte {part}: {error}"));
            let found = ids(&again).await.len();
            assert!(found >= least.max(30), "frame {cut}, byte {part}: {found}");
            least = if part == 2000 { found } else { least };
            again.close().await;
        }
    }
    assert_eq!(least, 33);
}

#[tokio::test]
async fn truncated_file_fails_writes_and_the_next_start() {
    let store = Fixture::new().await;
    insert(&store.database, "before").await.unwrap();
    store.database.close().await;
    let database = store.again().await;
    let file = path(&store.folder);
    let whole = fs::read(&file).unwrap();
    let truncate = || fs::File::options().write(true).open(&file).unwrap().set_len(2 * 4096).unwrap();
    truncate();
    let error = insert(&database, "lost").await.unwrap_err();
    assert!(matches!(error, Error::FileLost { what: "truncated", .. }), "{error}");
    let problem = database.problem().await.unwrap();
    assert!(!problem.serves && problem.reason.contains("truncated"), "{problem:?}");
    drop(database);
    fs::write(&file, &whole).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(beside(&file, suffix));
    }
    store.again().await.close().await;
    truncate();
    for read_only in [false, true] {
        let error = opened(&file, Settings { read_only, ..Settings::default() }).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("was truncated: it has 8192 bytes"), "{error}");
    }
}

#[tokio::test]
async fn empty_or_missing_file_beside_a_log_is_refused() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    let killed = killed_copy(&store);
    fs::write(path(&killed), "").unwrap();
    let text = refusal(&path(&killed)).await;
    assert!(text.contains("it is empty, but its log store.db-wal has content"), "{text}");
    fs::remove_file(path(&killed)).unwrap();
    assert!(refusal(&path(&killed)).await.contains("it does not exist"));
    assert!(!path(&killed).exists());
}

#[tokio::test]
async fn files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/store.db");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let database = open(Options { path: file.clone() }).await.unwrap();
    insert(&database, "a").await.unwrap();
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&file, suffix)), 0o600, "{suffix}");
    }
    database.close().await;
    // Earlier versions let everyone read; a deliberate mode without access for others is kept.
    for (before, after) in [(0o644, 0o600), (0o640, 0o640)] {
        fs::set_permissions(&file, Permissions::from_mode(before)).unwrap();
        open(Options { path: file.clone() }).await.unwrap().close().await;
        assert_eq!(mode(&file), after);
    }
}

#[tokio::test]
async fn damaged_documents_are_passed_over_counted_and_named() {
    let store = Fixture::new().await;
    for n in 0..10 {
        insert(&store.database, &format!("d{n}")).await.unwrap();
    }
    store.database.ensure_index("c", &Index::on(["text"])).await.unwrap();
    store.database.close().await;
    damage(&path(&store.folder), "text of d3\0", "text of d8\0");
    let database = store.again().await;
    let c = database.collection("c");
    for find in [
        Find::new(Filter::All),
        Find::new(Filter::All).sort(Sort::ascending("_id")),
        Find::new(Filter::All).sort(Sort::ascending("text")),
        Find::new(Filter::All).sort(Sort::ascending("other")),
        Find::new(Filter::gte("text", "text")),
    ] {
        let (documents, damaged) = c.find(find).await.unwrap().readable_documents().await.unwrap();
        assert_eq!((documents.len(), damaged.len()), (9, 1));
        let text = damaged[0].to_string();
        assert_eq!(text, "document d3 of c is damaged: its checksum differs");
    }
    assert_eq!(c.count(&Filter::ne("other", 1)).await.unwrap(), 9);
    // Asked for alone, or to be changed, it is an error.
    let found = c.find_one(Find::new(Filter::id("d3"))).await.unwrap_err();
    assert!(matches!(found, Error::Damaged { .. }), "{found}");
    let changed = c.update_one(&Filter::id("d3"), &Update::new().set("n", 1)).await.unwrap_err();
    assert!(matches!(changed, Error::Damaged { .. }), "{changed}");
    c.update_one(&Filter::id("d4"), &Update::new().set("n", 1)).await.unwrap();
    assert_eq!(c.find_one(Find::new(Filter::id("d4"))).await.unwrap().unwrap().get_i32("n").unwrap(), 1);
    let problem = database.problem().await.unwrap();
    assert!(problem.serves && problem.reason.contains("1 damaged documents"), "{problem:?}");
    database.close().await;

    damage(&path(&store.folder), "text of d5\0", "text of d8\0");
    damage(&path(&store.folder), "text of d6\0", "text of d8\0");
    let database = store.again().await;
    let c = database.collection("c");
    assert_eq!(c.find(Find::new(Filter::All)).await.unwrap().readable_documents().await.unwrap().1.len(), 3);
    assert!(!database.problem().await.unwrap().serves, "repeated damage is unfit to serve");
}

#[tokio::test]
async fn index_entry_without_a_document_is_reported() {
    let store = Fixture::new().await;
    for (id, kind) in [("a", 1), ("b", 1), ("c", 2)] {
        store
            .database
            .collection("c")
            .insert_one(doc! { "_id": id, "kind": kind, "rank": id })
            .await
            .unwrap();
    }
    store.database.ensure_index("c", &Index::on(["kind", "rank"])).await.unwrap();
    let file = Connection::open(path(&store.folder)).unwrap();
    // As if a bit of the row's number were flipped, in the table and in the index of ids.
    assert_eq!(file.execute("UPDATE c_1 SET rid = 1000 WHERE rid = 2", []).unwrap(), 1);
    let c = store.database.collection("c");
    for find in [
        Find::new(Filter::eq("kind", 1)).sort(Sort::ascending("rank")),
        // Merges two ranges of the index.
        Find::new(Filter::is_in("kind", [1, 2])).sort(Sort::ascending("rank")).limit(5),
    ] {
        let (documents, damaged) = c.find(find).await.unwrap().readable_documents().await.unwrap();
        let found: Vec<_> = documents.iter().map(|document| document.get_str("_id").unwrap()).collect();
        assert!(found == ["a"] || found == ["a", "c"], "{found:?}");
        let text = damaged[0].to_string();
        assert_eq!(text, "row 2 of c is damaged: an index names it, and it is not there");
    }
    let alone = Find::new(Filter::and([Filter::eq("kind", 1), Filter::eq("rank", "b")]));
    assert!(matches!(c.find_one(alone).await, Err(Error::Damaged { .. })));
    assert!(store.database.problem().await.unwrap().serves);
}

#[tokio::test]
async fn invalid_utf8_is_passed_over_in_lists() {
    let store = Fixture::new().await;
    for id in ["a", "b", "c"] {
        insert(&store.database, id).await.unwrap();
    }
    let file = Connection::open(path(&store.folder)).unwrap();
    let mut bytes = RawDocumentBuf::try_from(&doc! { "_id": "b", "text": "text of b" }).unwrap().into_bytes();
    let at = bytes.len() - 3;
    bytes[at] = 0xff;
    let damage = "UPDATE c_1 SET doc = ? WHERE instr(doc, CAST('text of b' AS BLOB)) > 0";
    assert_eq!(file.execute(damage, [bytes]).unwrap(), 1);
    let c = store.database.collection("c");
    for find in [
        Find::new(Filter::gte("text", "text")),
        Find::new(Filter::All).sort(Sort::descending("text")),
        Find::new(Filter::All).sort(Sort::descending("_id")).limit(3),
    ] {
        let find = find.projection(Projection::include(["text"]));
        let (documents, damaged) = c.find(find).await.unwrap().readable_documents().await.unwrap();
        assert_eq!((documents.len(), damaged.len()), (2, 1));
        assert!(damaged[0].to_string().starts_with("document b of c is damaged: "), "{}", damaged[0]);
    }
    // Where the bytes are not looked at, they are delivered as they are, as a server does.
    assert_eq!(c.find(Find::new(Filter::All)).await.unwrap().raw_documents().await.unwrap().len(), 3);
}

#[tokio::test]
async fn file_of_an_earlier_version_is_taken_over_without_a_rewrite() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    insert(&store.database, "b").await.unwrap();
    store.database.close().await;
    let earlier = || Connection::open(path(&store.folder)).unwrap();
    earlier()
        .execute_batch("DROP TRIGGER t_1; ALTER TABLE c_1 DROP COLUMN checksum; DROP TABLE log_owner")
        .unwrap();
    let database = store.again().await;
    assert_eq!(ids(&database).await, ["a", "b"]);
    insert(&database, "c").await.unwrap();
    assert_eq!(ids(&database).await, ["a", "b", "c"]);
    let checked =
        || -> i64 { earlier().query_row("SELECT count(checksum) FROM c_1", [], |row| row.get(0)).unwrap() };
    assert_eq!(checked(), 1);
    // An earlier version beside this one changes a document without its checksum.
    let changed = rawdoc! { "_id": "c", "text": "changed" };
    earlier().execute("UPDATE c_1 SET doc = ? WHERE checksum IS NOT NULL", [changed.as_bytes()]).unwrap();
    assert_eq!(checked(), 0);
    let found = database.collection("c").find_one(Find::new(Filter::id("c"))).await.unwrap().unwrap();
    assert_eq!(found.get_str("text").unwrap(), "changed");
    let all = Update::new().set("n", 1);
    assert_eq!(database.collection("c").update_many(&Filter::All, &all).await.unwrap().modified, 3);
    assert_eq!(checked(), 3);
}

#[tokio::test]
async fn full_disk_fails_writes_as_such_until_there_is_space() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    store.database.close().await;
    let settings = || Settings { max_pages: Some(60), ..Settings::default() };
    let database = opened(&path(&store.folder), settings()).await.unwrap();
    let c = database.collection("c");
    let big = |id: i32| doc! { "_id": id, "text": "x".repeat(50_000) };
    let mut inserted = 0;
    let error = loop {
        match c.insert_one(big(inserted)).await {
            Ok(_) => inserted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::DiskFull(_)), "{error}");
    let problem = database.problem().await.unwrap();
    assert!(problem.serves && problem.reason.contains("full"), "{problem:?}");
    let within = database.begin().await.unwrap();
    let error = within.collection("c").insert_one(big(100)).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull(_)), "{error}");
    // Reads go on, and nothing of the failed writes is there.
    assert_eq!(c.count(&Filter::All).await.unwrap(), u64::try_from(inserted).unwrap() + 1);
    assert_eq!(c.delete_many(&Filter::gte("_id", 0)).await.unwrap(), u64::try_from(inserted).unwrap());
    c.insert_one(big(0)).await.unwrap();
    assert_eq!(database.problem().await, None);
}

#[tokio::test]
async fn read_only_store_is_read_and_not_written() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    let settings = || Settings { read_only: true, ..Settings::default() };
    let (file, missing) = (path(&store.folder), store.folder.path().join("missing.db"));
    let reader = opened(&file, settings()).await.unwrap();
    assert_eq!(ids(&reader).await, ["a"]);
    let error = insert(&reader, "b").await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly(_)), "{error}");
    assert!(matches!(reader.begin().await, Err(Error::ReadOnly(_))));
    assert!(reader.problem().await.unwrap().serves);
    // It sees the writes of others, and does not empty their log.
    insert(&store.database, "b").await.unwrap();
    assert_eq!(ids(&reader).await, ["a", "b"]);
    reader.close().await;
    insert(&store.database, "c").await.unwrap();
    assert_eq!(ids(&store.database).await, ["a", "b", "c"]);
    let refused = opened(&missing, settings()).await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::ReadOnly(_)), "{refused}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn check_finds_faults_in_pages_documents_and_indexes() {
    let store = Fixture::new().await;
    insert(&store.database, "a").await.unwrap();
    store.database.ensure_index("c", &Index::on(["text"])).await.unwrap();
    let documents = (0..2000).map(|n| doc! { "_id": n, "text": "x".repeat(100) }).collect();
    store.database.collection("c").insert_many(documents).await.unwrap();
    store.database.close().await;
    let file = path(&store.folder);
    let with = |check| opened(&file, Settings { check, ..Settings::default() });
    for check in [FileCheck::Off, FileCheck::Quick, FileCheck::Full] {
        with(check).await.unwrap().close().await;
    }
    let whole = fs::read(&file).unwrap();
    // A damaged document does not prevent the use of the others.
    damage(&file, "text of a\0", "text of z\0");
    with(FileCheck::Full).await.unwrap().close().await;
    for (sql, expected) in [
        ("DELETE FROM x_1 WHERE rid = 1000", "lacks a document"),
        ("INSERT INTO x_1 VALUES (x'00', 5)", "names a document that it should not"),
    ] {
        fs::write(&file, &whole).unwrap();
        Connection::open(&file).unwrap().execute(sql, []).unwrap();
        with(FileCheck::Quick).await.unwrap().close().await;
        let error = with(FileCheck::Full).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    with(FileCheck::Off).await.unwrap().close().await;
    let error = with(FileCheck::Quick).await.map(drop).unwrap_err().to_string();
    assert!(error.starts_with("the store file is damaged: "), "{error}");
}

#[tokio::test]
async fn snapshot_is_of_one_moment() {
    let store = Fixture::new().await;
    let other = store.database.collection("other");
    insert(&store.database, "a").await.unwrap();
    other.insert_one(doc! { "_id": 1 }).await.unwrap();
    let snapshot = store.database.snapshot().await.unwrap();
    insert(&store.database, "b").await.unwrap();
    other.insert_one(doc! { "_id": 2 }).await.unwrap();
    store.database.ensure_index("later", &Index::on(["n"])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ids(&snapshot).await, ["a"]);
        assert_eq!(all(&snapshot, "other", Find::new(Filter::All)).await, [doc! { "_id": 1 }]);
        assert_eq!(snapshot.collection("other").count(&Filter::All).await.unwrap(), 1);
    }
    assert_eq!(snapshot.collection_names().await.unwrap(), ["c", "other"]);
    // A stream that is read to its middle and dropped does not block the next read.
    let mut stream = snapshot.collection("c").find(Find::new(Filter::All)).await.unwrap();
    let _: Option<Document> = stream.next_document().await.unwrap();
    drop(stream);
    assert_eq!(ids(&snapshot).await, ["a"]);
    assert!(insert(&snapshot, "x").await.is_err());
    assert_eq!(ids(&store.database).await, ["a", "b"]);
}
