use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use docstore::sqlite::{FileCheck, Options, Settings, open_with};
use serde_json::{Value, json};
use testkit::Mount;

use crate::load::{Load, Plan, Verdict, client};
use crate::program::{Program, Server, free_port};
use crate::report::Row;
use crate::scale::rounds;
use crate::store::probe;

/// The number of bits that are flipped before a start. Many starts would take longer, many bits would hide one another.
const FLIPS: u64 = 8;
/// The longest time from a fault to the next acknowledged write.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time for which a file is not there, or its disk is full.
const FAULT: Duration = Duration::from_millis(400);

fn program() -> Program {
    Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("RATE_LIMITS", "off")
        .with("RUST_LOG", "error")
}

fn data(program: &Program) -> PathBuf {
    program.folder().join("data")
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("field-notes.db{suffix}"))
}

/// The answers to a fixed set of requests: status and body by path, with a `+` before those of the administrator.
type Answers = BTreeMap<String, (u16, Value)>;

/// Returns a text of some length that no other call returns.
fn text() -> String {
    let words: Vec<String> =
        (0..20 + fastrand::usize(..300)).map(|_| format!("{:08x}", fastrand::u32(..))).collect();
    format!("<p>{}</p>", words.join(" "))
}

async fn create(server: &Server, path: &str, body: Value) -> (String, String) {
    let (status, item) = server.post_as_admin(path, &body).await;
    assert_eq!(status, 201, "{item}");
    (item["id"].as_str().expect("an id").to_owned(), item["slug"].as_str().unwrap_or_default().to_owned())
}

/// Creates content of every kind, some of it unpublished or deleted. Returns the paths to request.
async fn fill(server: &Server) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = [
        "/stories?limit=100",
        "+/stories?limit=100&include_drafts=true",
        "/projects?limit=100",
        "+/projects?limit=100",
        "/sections",
        "+/sections?include_unpublished=true",
        "/navlinks",
        "+/trash?type=stories&limit=100",
    ]
    .map(str::to_owned)
    .into();
    for n in 0..30 {
        let story = json!({ "title": format!("Story {n}"), "content": text(), "is_published": n % 4 != 3 });
        let (id, slug) = create(server, "/stories", story).await;
        for path in [format!("/stories/{id}"), format!("/stories/slug/{slug}")] {
            paths.extend([format!("+{path}"), path]);
        }
        if n % 7 == 6 {
            let deletion =
                client().delete(format!("{}/stories/{id}", server.base())).bearer_auth("dev-mock-admin");
            assert_eq!(deletion.send().await.expect("an answer").status(), 204);
        }
    }
    for n in 0..8 {
        let (title, published) = (format!("Project {n}"), n % 3 != 2);
        let project = json!({ "title": title, "summary": "s", "content": text(), "is_published": published });
        let (id, slug) = create(server, "/projects", project).await;
        paths.extend([
            format!("/projects/{id}"),
            format!("/projects/slug/{slug}"),
            format!("+/projects/{id}"),
        ]);
    }
    for n in 0..3 {
        let link = json!({ "label": format!("Link {n}"), "url": format!("/{n}") });
        let (id, _) = create(server, "/navlinks", link).await;
        paths.insert(format!("/navlinks/{id}"));
    }
    paths
}

/// Requests every path.
async fn answers(server: &Server, paths: &BTreeSet<String>) -> Answers {
    let mut answers = Answers::new();
    for path in paths {
        let answer = match path.strip_prefix('+') {
            Some(path) => server.get_as_admin(path).await,
            None => server.get(path).await,
        };
        answers.insert(path.clone(), answer);
    }
    answers
}

/// Differences between two sets of answers.
#[derive(Debug, Default)]
struct Differences {
    /// Content that is not as it was written, or that this caller must not see.
    altered: Vec<String>,
    /// Items that are not found although they exist.
    omitted: Vec<String>,
    /// The number of answers that are errors.
    errors: u64,
}

impl Differences {
    fn between(before: &Answers, after: &Answers) -> Self {
        let mut found = Self::default();
        for (path, (status, body)) in after {
            let (expected, truth) = &before[path];
            match (expected, status) {
                (_, 500..) => found.errors += 1,
                (200, 200) if body["items"].is_array() => found.compare_lists(path, truth, body),
                (200, 200) if body != truth => found.altered.push(format!("{path}: {body}, not {truth}")),
                (expected, status) if expected == status => {}
                (200 | 301, 404) => found.omitted.push(path.clone()),
                _ => found.altered.push(format!("{path}: {status} instead of {expected}: {body}")),
            }
        }
        found
    }

    /// Compares lists: what is there must be in the same order, without repetitions.
    fn compare_lists(&mut self, path: &str, truth: &Value, list: &Value) {
        let items = |list: &Value| list["items"].as_array().expect("a list").clone();
        let mut expected = items(truth).into_iter();
        for item in items(list) {
            loop {
                match expected.next() {
                    Some(next) if next == item => break,
                    Some(next) => self.omitted.push(format!("{path}: {}", next["id"])),
                    None => {
                        self.altered.push(format!("{path}: {item}"));
                        break;
                    }
                }
            }
        }
        self.omitted.extend(expected.map(|left| format!("{path}: {}", left["id"])));
        if truth["total"] != list["total"] {
            self.omitted.push(format!("{path}: the total is {}, not {}", list["total"], truth["total"]));
        }
    }
}

/// Waits until a check of readiness is not older than the last answer, and returns whether it reports a problem.
async fn is_reported(server: &Server) -> bool {
    for _ in 0..8 {
        let (status, ready) = server.get("/readyz").await;
        if status != 200 || ready["status"] != "ready" {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

/// The files of a store that no process uses, and the answers that it gives.
struct Original {
    program: Program,
    paths: BTreeSet<String>,
    answers: Answers,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// The outcomes of starts on damaged files.
#[derive(Debug, Default)]
struct Outcomes {
    refused: u64,
    errors: u64,
    /// Starts after which items were missing and `/readyz` reported it.
    reported: u64,
    /// Starts after which lists or slugs lacked items without a report, and that fail with `STORE_CHECK=full`.
    checked: u64,
    /// The documents that were missing after the other starts without a report.
    silent: Vec<String>,
    altered: Vec<String>,
}

impl Original {
    /// Fills a store and ends its process; with a kill, everything of the last process is in the log.
    async fn new(killed: bool) -> Self {
        let program = program();
        let mut server = program.serve().await;
        let mut paths = fill(&server).await;
        server.signal("TERM");
        server.wait();
        if killed {
            server = program.serve().await;
            for n in 0..10 {
                let story = json!({ "title": format!("Later {n}"), "content": text(), "is_published": true });
                let (id, slug) = create(&server, "/stories", story).await;
                paths.extend([format!("/stories/{id}"), format!("/stories/slug/{slug}")]);
            }
        } else {
            server = program.serve().await;
        }
        let answers = answers(&server, &paths).await;
        server.signal(if killed { "KILL" } else { "TERM" });
        server.wait();
        let read = |suffix: &str| {
            let path = beside(&data(&program), suffix);
            fs::read(&path).ok().map(|bytes| (path, bytes))
        };
        let files = ["", "-wal"].into_iter().filter_map(read).collect();
        Self { program, paths, answers, files }
    }

    /// Starts a server on damaged files and compares its answers.
    async fn start_with(
        &self,
        damage: impl FnOnce(&mut [(PathBuf, Vec<u8>)]),
        outcomes: &mut Outcomes,
    ) -> Differences {
        let mut files = self.files.clone();
        damage(&mut files);
        self.write_files(&files);
        let server = self.program.spawn();
        if !is_ready_or_ended(&server).await {
            outcomes.refused += 1;
            assert!(server.output().contains("error: "), "the reason is printed: {}", server.output());
            return Differences::default();
        }
        let mut found = Differences::between(&self.answers, &answers(&server, &self.paths).await);
        outcomes.errors += found.errors;
        outcomes.altered.append(&mut found.altered);
        if !found.omitted.is_empty() && is_reported(&server).await {
            outcomes.reported += 1;
            found.omitted.clear();
        }
        // Entries of an index can be missing without a trace, but the full check sees it. An item is found by its id without one.
        let is_by_index = |omitted: &String| omitted.contains(": ") || omitted.contains("/slug/");
        if !found.omitted.is_empty() && found.omitted.iter().all(is_by_index) {
            drop(server);
            let settings = self.program.folder().join(".env");
            fs::write(&settings, "STORE_CHECK=full\n").expect("a file of settings");
            self.write_files(&files);
            let server = self.program.spawn();
            if !is_ready_or_ended(&server).await || is_reported(&server).await {
                outcomes.checked += 1;
                found.omitted.clear();
            }
            fs::remove_file(settings).expect("the file of settings is there");
        }
        found
    }

    /// Replaces the files of the store.
    fn write_files(&self, files: &[(PathBuf, Vec<u8>)]) {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&data(&self.program), suffix));
        }
        for (path, bytes) in files {
            fs::write(path, bytes).expect("the file is written");
        }
    }
}

/// Waits until a server is ready or has ended, and returns whether it is ready.
async fn is_ready_or_ended(server: &Server) -> bool {
    let client = client();
    // One that has ended and was not waited for is a zombie.
    let stat = format!("/proc/{}/stat", server.id());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        let answer = client.get(format!("{}/readyz", server.base())).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Flips a random bit.
fn flip(bytes: &mut [u8]) {
    bytes[fastrand::usize(..bytes.len())] ^= 1 << fastrand::u8(..8);
}

#[tokio::test]
async fn flipped_bits() {
    let original = Original::new(false).await;
    let (mut row, mut outcomes) =
        (Row::new("damage::flipped_bits", "bits flipped in the file"), Outcomes::default());
    for _ in 0..rounds(3, 125) {
        let damage = |files: &mut [(PathBuf, Vec<u8>)]| (0..FLIPS).for_each(|_| flip(&mut files[0].1));
        let found = original.start_with(damage, &mut outcomes).await;
        outcomes.silent.extend(found.omitted);
        row.rounds += FLIPS;
    }
    conclude_damage(row, &outcomes);
}

#[tokio::test]
async fn flipped_bits_of_the_log() {
    let original = Original::new(true).await;
    let fault = "a bit flipped in the log of a killed server";
    let (mut row, mut outcomes) = (Row::new("damage::flipped_bits_of_the_log", fault), Outcomes::default());
    let mut tails = 0;
    for _ in 0..rounds(3, 125) {
        let found = original.start_with(|files| flip(&mut files[1].1), &mut outcomes).await;
        // Damage in the last transaction looks like a power cut.
        let (last, earlier): (Vec<String>, Vec<String>) =
            found.omitted.into_iter().partition(|path| original.is_of_last_story(path));
        tails += u64::from(!last.is_empty());
        outcomes.silent.extend(earlier);
        row.rounds += 1;
    }
    row.note(format!("the last transaction ended {tails} logs"));
    conclude_damage(row, &outcomes);
}

impl Original {
    /// Returns whether an omission is about the story that was created last, or a total that it changes.
    fn is_of_last_story(&self, omission: &str) -> bool {
        let (_, last) = &self.answers["/stories/slug/later-9"];
        let (id, slug) = (last["id"].as_str().unwrap_or_default(), "later-9");
        omission.contains(id) || omission.ends_with(slug) || omission.contains("the total is")
    }
}

#[tokio::test]
async fn truncated_file() {
    let original = Original::new(false).await;
    let (mut row, mut outcomes) =
        (Row::new("damage::truncated_file", "the file truncated"), Outcomes::default());
    for _ in 0..rounds(3, 50) {
        let cut = |files: &mut [(PathBuf, Vec<u8>)]| {
            let length = fastrand::usize(1..files[0].1.len());
            files[0].1.truncate(length);
        };
        original.start_with(cut, &mut outcomes).await;
        row.rounds += 1;
    }
    assert_eq!(outcomes.refused, row.rounds, "{outcomes:?}");
    conclude_damage(row, &outcomes);
}

fn conclude_damage(mut row: Row, outcomes: &Outcomes) {
    let Outcomes { refused, errors, reported, checked, silent, altered } = outcomes;
    row.lost = silent.len() as u64;
    row.failed = *errors;
    row.half = altered.len() as u64;
    row.note(format!(
        "{} altered answers, {refused} starts refused, {reported} starts with reported omissions, {checked} with an index that lacks entries until \
         `STORE_CHECK=full` fails the start",
        altered.len()
    ));
    row.write();
    assert!(altered.is_empty() && silent.is_empty(), "altered: {altered:#?}\nmissing: {silent:#?}");
}

/// Moves the store's file away under load and puts it back.
#[tokio::test]
async fn removed_or_replaced_file() {
    let program = program();
    let server = program.serve().await;
    let base = server.base().to_owned();
    let mut row = Row::new("damage::removed_or_replaced_file", "the file removed or replaced, then restored");
    let load = Load::start(std::slice::from_ref(&base), Plan::default());
    let (file, aside) = (beside(&data(&program), ""), beside(&data(&program), ".aside"));
    for round in 0..rounds(2, 50) {
        load.forget_success();
        load.first_success(PATIENCE).await.expect("a write is acknowledged");
        fs::rename(&file, &aside).expect("the file is moved");
        if round % 2 == 1 {
            fs::copy(&aside, &file).expect("the file is copied");
        }
        tokio::time::sleep(FAULT).await;
        load.forget_success();
        tokio::time::sleep(FAULT / 4).await;
        assert_eq!(load.first_success(Duration::ZERO).await, None, "a write into a file that is gone");
        fs::rename(&aside, &file).expect("the file is restored");
        let back = Instant::now();
        probe(&base).await;
        row.add_recovery(back.elapsed());
        row.rounds += 1;
    }
    let verdict = load.check(&base).await;
    conclude(server, row, &verdict, &data(&program)).await;
}

async fn conclude(mut server: Server, mut row: Row, verdict: &Verdict, folder: &Path) {
    row.add(verdict);
    row.note(format!("{} requests checked", verdict.requests));
    row.write();
    verdict.expect_sound();
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let settings = Settings { check: FileCheck::Full, ..Settings::default() };
    let path = beside(folder, "");
    open_with(Options { path }, settings).await.expect("the file is sound").close().await;
}

#[tokio::test]
async fn full_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mount) = Mount::new(&folder.path().join("disk"), &["-t", "tmpfs", "-o", "size=96m", "none"])
    else {
        return;
    };
    let store = mount.path().join("data");
    let program = program().with("DATA_DIR", &store.display().to_string());
    let server = program.serve().await;
    let base = server.base().to_owned();
    let mut row = Row::new("damage::full_disk", "disk full");
    let load = Load::start(std::slice::from_ref(&base), Plan::default());
    let ballast = mount.path().join("ballast");
    for _ in 0..rounds(2, 50) {
        load.forget_success();
        load.first_success(PATIENCE).await.expect("a write is acknowledged");
        // Fails with the last block.
        let _ = fs::write(&ballast, vec![0; 100 << 20]);
        let (status, _) = until_refused(&server).await;
        assert_eq!(status, 507);
        assert_eq!(server.get("/sections").await.0, 200);
        assert!(is_reported(&server).await, "readiness reports the disk");
        tokio::time::sleep(FAULT).await;
        fs::remove_file(&ballast).expect("the space is freed");
        let back = Instant::now();
        probe(&base).await;
        row.add_recovery(back.elapsed());
        row.rounds += 1;
    }
    let verdict = load.check(&base).await;
    conclude(server, row, &verdict, &store).await;
}

/// Writes until a write is refused. Returns the status and the body.
async fn until_refused(server: &Server) -> (u16, Value) {
    let began = Instant::now();
    loop {
        let story = json!({ "title": "filler", "content": "x".repeat(50_000), "is_published": true });
        let (status, body) = server.post_as_admin("/stories", &story).await;
        if status != 201 {
            return (status, body);
        }
        assert!(began.elapsed() < PATIENCE, "no write is refused");
    }
}

#[tokio::test]
async fn read_only_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    let made = fs::File::create(&image).and_then(|file| file.set_len(96 << 20));
    made.expect("a file for a file system");
    let formatted = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    if !formatted.is_ok_and(|status| status.success()) {
        testkit::record::note("a read-only disk was not caused: mkfs.ext4 failed");
        return;
    }
    let (disk, image) = (folder.path().join("disk"), image.display().to_string());
    let Some(mut mount) = Mount::new(&disk, &["-o", "loop", &image]) else { return };
    let store = disk.join("data");
    let program = program().with("DATA_DIR", &store.display().to_string());
    let port = free_port();
    let mut server = program.spawn_on(port);
    server.wait_until_ready().await;
    let base = server.base().to_owned();
    let mut row = Row::new("damage::read_only_disk", "disk read-only after an error, then mounted again");
    let load = Load::start(std::slice::from_ref(&base), Plan::default());
    for _ in 0..rounds(1, 20) {
        load.forget_success();
        load.first_success(PATIENCE).await.expect("a write is acknowledged");
        tokio::time::sleep(FAULT).await;
        // As the kernel does after an error of the device.
        let _ = Command::new("mount").args(["-o", "remount,abort"]).arg(&disk).output();
        let (status, body) = until_refused(&server).await;
        assert_eq!(status, 503, "{body}");
        assert_eq!(server.get("/sections").await.0, 200);
        assert_eq!(server.get_as_admin("/stories?include_drafts=true").await.0, 200);
        assert!(is_reported(&server).await, "readiness reports the disk");
        server.signal("TERM");
        server.wait();
        drop(mount);
        load.forget_success();
        let began = Instant::now();
        mount = Mount::new(&disk, &["-o", "loop", &image]).expect("it was mounted before");
        server = program.spawn_on(port);
        server.wait_until_ready().await;
        probe(&base).await;
        row.add_recovery(began.elapsed());
        row.rounds += 1;
    }
    let verdict = load.check(&base).await;
    conclude(server, row, &verdict, &store).await;
    drop(mount);
}
