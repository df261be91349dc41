//! The commands for the files of pictures and videos.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use testkit::Target;

use crate::program::{Program, open_store};

const ID: &str = "20260102_030405_0a1b2c3d";
const OTHER: &str = "20260102_030405_ffffffff";

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let file = folder.join("uploads").join(path);
    fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the folder is created");
    fs::write(file, bytes).expect("the file is written");
}

/// Returns the paths of all files below a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).expect("it is below").display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(&folder.join("uploads"), &folder.join("uploads"), &mut found);
    found.sort();
    found
}

#[test]
fn a_library_is_copied_once_and_compared() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("LOCAL_STORAGE_PATH", "from");
    let (from, to) = (program.folder().join("from"), program.folder().join("to"));
    let long: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
    for (path, bytes) in [("a.webp", &b"a"[..]), ("photos/1/ü b.webp", b"bb"), ("video/long.mp4", &long)] {
        write(&from, path, bytes);
    }
    let url = format!("file://{}", to.display());
    let copy = |more: &[&str]| program.run(&[&["media", "copy", "--to", &url], more].concat());
    let dry = copy(&["--dry-run"]).expect(0);
    assert!(dry.stdout.starts_with("would copy 3 files (8789 KiB); 0 files"), "{}", dry.stdout);
    assert!(!to.exists());
    // One that an earlier run has copied, and one of which it copied another state.
    write(&to, "a.webp", b"a");
    write(&to, "photos/1/ü b.webp", b"b");
    let first = copy(&[]).expect(0);
    assert!(
        first.stdout.starts_with("copied 2 files") && first.stdout.contains("1 file were"),
        "{}",
        first.stdout
    );
    assert_eq!(files(&to), files(&from));
    for path in files(&from) {
        let [source, copied] =
            [&from, &to].map(|folder| fs::read(folder.join("uploads").join(&path)).expect("it is read"));
        assert!(source == copied, "{path}");
    }
    let again = copy(&[]).expect(0);
    assert!(again.stdout.starts_with("copied 0 files"), "{}", again.stdout);
    program.run(&["media", "copy", "--to", "http://example.com"]).expect(2);
    let same = program.with("LOCAL_STORAGE_PATH", &to.display().to_string());
    same.run(&["media", "copy", "--to", &url]).expect(2);
}

testkit::targets! {
    async fn only_files_without_references_are_collected(target: Arc<Target>) {
        let program = Program::on(&target).with("LOCAL_STORAGE_PATH", "media");
        program.run(&["migrate", "up"]).expect(0);
        let media = program.folder().join("media");
        let kept = [
            format!("images/originals/{ID}.webp"), format!("images/medium/{ID}.webp"), format!("thumbnails/{ID}_poster.jpg"),
            "old.webp".to_owned(), "old_750.webp".to_owned(), "photo.jpg".to_owned(), "trash.png".to_owned(),
        ];
        let unused = [format!("images/originals/{OTHER}.webp"), "nobody.webp".to_owned()];
        for path in kept.iter().chain(&unused) {
            write(&media, path, b"x");
        }
        let db = open_store(&target).await;
        let content = format!(r#"<p><img src="/uploads/images/medium/{ID}.webp"></p>"#);
        db.collection("stories").insert_many(vec![
            doc! { "title": "One", "slug": "one", "content": content },
            doc! { "title": "Two", "slug": "two", "content": "<img src=\"/uploads/trash.png\">", "deleted": true },
        ]).await.unwrap();
        db.collection("projects").insert_one(doc! { "title": "P", "slug": "p", "image_url": "https://x.example/uploads/old_750.webp" }).await.unwrap();
        // A collection that this program does not know.
        db.collection("photo_essays").insert_one(doc! { "photos": [{ "url": "/uploads/photo.jpg" }] }).await.unwrap();

        let verified = program.run(&["media", "verify"]).expect(0);
        assert_eq!(verified.stdout, "0 of 4 files that documents refer to are missing; there are 9 files\n");
        // A new file may be about to be used.
        let young = program.run(&["media", "gc", "--older-than", "1d", "--yes"]).expect(0);
        assert_eq!(young.stdout, "deleted 0 files (0 B)\n");
        let dry = program.run(&["media", "gc", "--older-than", "0s"]).expect(0);
        for path in &unused {
            assert!(dry.stdout.contains(&format!("uploads/{path} 1 B")), "{}", dry.stdout);
        }
        assert!(dry.stdout.contains("would delete 2 files (2 B)"), "{}", dry.stdout);
        assert_eq!(files(&media).len(), 9);
        program.run(&["media", "gc", "--older-than", "0s", "--yes"]).expect(0);
        let mut expected = kept.to_vec();
        expected.sort();
        assert_eq!(files(&media), expected);

        fs::remove_file(media.join("uploads/photo.jpg")).unwrap();
        let missing = program.run(&["media", "verify"]).expect(6);
        assert!(missing.stdout.contains("/uploads/photo.jpg does not exist: photo_essays "), "{}", missing.stdout);
        db.close().await;
    }
}

#[test]
fn nothing_is_collected_without_a_store() {
    let program =
        Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("LOCAL_STORAGE_PATH", "media");
    write(&program.folder().join("media"), "a.webp", b"x");
    program.run(&["media", "gc", "--older-than", "0s", "--yes"]).expect(8);
    assert_eq!(files(&program.folder().join("media")), ["a.webp"]);
}

/// Files are neither counted as running requests nor ended by the request timeout, and are not held in memory.
#[test]
fn slow_clients_receive_whole_files_and_block_no_one() {
    const SIZE: usize = 20_000_000;
    testkit::on(testkit::Engine::Embedded, async |target: Arc<Target>| {
        let program = Program::on(&target)
            .with("LOCAL_STORAGE_PATH", "media")
            .with("REQUEST_TIMEOUT_SECONDS", "1")
            .with("MAX_CONCURRENT_REQUESTS", "1");
        write(&program.folder().join("media"), "long.mp4", &vec![7; SIZE]);
        let server = program.serve().await;
        let address = server.base().strip_prefix("http://").expect("a URL").to_owned();
        let before = server.resident_kib();
        let request = "GET /uploads/long.mp4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            clients.push(stream);
        }
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(server.get("/sections").await.0, 200);
        }
        let memory = server.resident_kib().saturating_sub(before);
        assert!(memory < 40_000, "{memory} KiB");
        for mut client in clients {
            let received = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                client.read_to_end(&mut bytes).map(|_| bytes)
            });
            let bytes = received.await.unwrap().unwrap();
            let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert_eq!(bytes.len() - head, SIZE);
        }
    });
}
