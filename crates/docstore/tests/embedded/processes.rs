use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use docstore::bson::doc;
use docstore::sqlite::{Options, open};
use docstore::{Database, Filter, Find, Index, Update};

use super::{Fixture, all};

const STORE: &str = "DOCSTORE_TEST_CHILD";

/// Opens the store of the parent, in a child process.
pub(super) async fn child() -> Option<Database> {
    let path = std::env::var_os(STORE)?;
    Some(open(Options { path: path.into() }).await.unwrap())
}

/// Runs one test of this binary in a child process.
pub(super) fn child_of(store: &Fixture, test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(STORE, store.folder.path().join("store.db"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the output of a child until a line contains this word.
pub(super) fn wait_for(child: &mut Child, word: &str) -> BufReader<ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    loop {
        let line = next(&mut lines).expect("the child ended early");
        if line.contains(word) {
            return lines;
        }
    }
}

fn next(lines: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    (lines.read_line(&mut line).unwrap() > 0).then_some(line)
}

/// The child prints each acknowledged write until it is killed.
#[tokio::test]
async fn acknowledged_writes_survive_kill() {
    if let Some(database) = child().await {
        database.ensure_index("c", &Index::on(["n"]).unique()).await.unwrap();
        println!("begin");
        for n in 0.. {
            database
                .collection("c")
                .insert_one(doc! { "_id": n, "n": n, "text": "x".repeat(2000) })
                .await
                .unwrap();
            println!("ack {n}");
        }
    }
    let store = Fixture::new().await;
    store.database.close().await;
    for _ in 0..3 {
        std::fs::remove_dir_all(store.folder.path()).unwrap();
        let mut child = child_of(&store, "processes::acknowledged_writes_survive_kill");
        let mut lines = wait_for(&mut child, "begin");
        let mut acknowledged = 0;
        while acknowledged < 150 {
            let line = next(&mut lines).unwrap();
            acknowledged = line.trim().strip_prefix("ack ").unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Lines printed just before the kill count too.
        while let Some(line) = next(&mut lines) {
            if let Some(n) = line.strip_suffix('\n').and_then(|l| l.strip_prefix("ack ")) {
                acknowledged = n.parse().unwrap();
            }
        }
        let database = store.again().await;
        let found = all(&database, "c", Find::new(Filter::All)).await;
        assert!(found.len() > acknowledged, "{} documents, {acknowledged} acknowledged", found.len());
        for (n, document) in (0..).zip(&found) {
            assert_eq!(document.get_i32("n").unwrap(), n);
        }
        assert_eq!(database.collection("c").count(&Filter::gte("n", 0)).await.unwrap(), found.len() as u64);
        database.close().await;
    }
}

/// Two processes write and create collections and indexes; each sees the changes of the other.
#[tokio::test]
async fn two_processes_share_a_file() {
    if let Some(database) = child().await {
        let c = database.collection("shared");
        c.insert_one(doc! { "_id": "child", "a": 7 }).await.unwrap();
        database.ensure_index("shared", &Index::on(["a"]).unique()).await.unwrap();
        for _ in 0..100 {
            c.update_one(&Filter::id("counter"), &Update::new().inc("n", 1)).await.unwrap();
        }
        println!("done");
        std::future::pending::<()>().await;
    }
    let store = Fixture::new().await;
    let c = store.database.collection("shared");
    c.insert_one(doc! { "_id": "counter", "n": 0 }).await.unwrap();
    let mut child = child_of(&store, "processes::two_processes_share_a_file");
    for _ in 0..100 {
        c.update_one(&Filter::id("counter"), &Update::new().inc("n", 1)).await.unwrap();
    }
    wait_for(&mut child, "done");
    let counter = c.find_one(Find::new(Filter::id("counter"))).await.unwrap().unwrap();
    assert_eq!(counter.get_i32("n").unwrap(), 200);
    // The index created by the other process applies here, although the cached catalog did not have it.
    let refused = c.insert_one(doc! { "a": 7 }).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("a_1"));
    assert_eq!(store.database.list_indexes("shared").await.unwrap(), [Index::on(["a"]).unique()]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Several processes create the same file concurrently.
#[tokio::test]
async fn concurrent_creation_yields_one_file() {
    if let Some(database) = child().await {
        database.collection("c").insert_one(doc! {}).await.unwrap();
        println!("done");
        return;
    }
    let store = Fixture::new().await;
    store.database.close().await;
    std::fs::remove_file(store.folder.path().join("store.db")).unwrap();
    let mut children: Vec<_> =
        (0..6).map(|_| child_of(&store, "processes::concurrent_creation_yields_one_file")).collect();
    for child in &mut children {
        // Keep the output open, so that the child's last print does not fail.
        let _output = wait_for(child, "done");
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(store.again().await.collection("c").count(&Filter::All).await.unwrap(), 6);
}
