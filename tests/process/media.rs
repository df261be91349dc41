//! The commands for the files of pictures and videos.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use docstore::{Database, Filter, Find};
use field_notes::media::sha256;
use image::ImageFormat;
use serde_json::json;
use testkit::Target;
use testkit::buckets::{BucketKind, BucketServer, with_bucket_server};

use crate::program::{Program, open_store};

const ID: &str = "20260102_030405_0a1b2c3d";
const OTHER: &str = "20260102_030405_ffffffff";
const MP4: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/mp4");

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

/// Returns a deleted picture of the library with one file.
fn library_item(asset_id: &str, variant: Document) -> Document {
    let at = bson::DateTime::from_millis(1_767_323_045_000);
    doc! {
        "asset_id": asset_id, "content_hash": "00", "filter": "none", "type": "image", "content_type": "image/png",
        "width": 1, "height": 1, "bytes": 1, "variants": [variant], "createdDate": at, "updatedDate": at, "deleted": true,
        "is_deleted": true,
    }
}

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let pixel = |x: u32, y: u32| image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], width.to_le_bytes()[0]]);
    image::RgbImage::from_fn(width, height, pixel).write_to(&mut file, format).expect("a picture is written");
    file.into_inner()
}

/// Returns the item of the library with an id.
async fn in_library(db: &Database, id: &str) -> Document {
    let found = db.collection("media").find_one(Find::new(Filter::eq("asset_id", id))).await;
    found.expect("the library is read").unwrap_or_else(|| panic!("{id} is not in the library"))
}

/// Returns the variants of an item: name and width.
fn variants(item: &Document) -> Vec<(String, i64)> {
    let variants = item.get_array("variants").expect("an item has variants").iter();
    let variant = |value: &bson::Bson| {
        let variant = value.as_document().expect("a variant");
        assert_eq!(variant.get_str("sha256").expect("a hash").len(), 64);
        (variant.get_str("variant").expect("a name").to_owned(), variant.get_i64("width").expect("a width"))
    };
    variants.map(variant).collect()
}

testkit::targets! {
    async fn folder_of_the_original_enters_the_library_once(target: Arc<Target>) {
        let [oldest, sections, newest, png, video, clip] =
            ["00000001", "00000002", "00000003", "00000004", "00000005", "00000006"].map(|n| format!("20250601_120000_{n}"));
        let [copy, html, orphan, svg] =
            ["00000007", "00000008", "00000009", "0000000a"].map(|n| format!("20250601_120000_{n}"));
        let section = "65a0b1c2d3e4f50617283940";
        let program = Program::on(&target).with("LOCAL_STORAGE_PATH", "media");
        program.run(&["migrate", "up"]).expect(0);
        let media = program.folder().join("media");
        let (webp, jpeg) = (ImageFormat::WebP, ImageFormat::Jpeg);
        let entering = [
            (format!("{oldest}.webp"), picture(120, 80, webp)),
            (format!("{oldest}_750.webp"), picture(75, 50, webp)),
            (format!("{oldest}_500.webp"), picture(50, 33, webp)),
            (format!("photos/{section}/{sections}.webp"), picture(200, 10, webp)),
            (format!("photos/{section}/{sections}_1536.webp"), picture(150, 8, webp)),
            // A picture that is not as wide as any of its forms.
            (format!("images/originals/{newest}.webp"), picture(30, 20, webp)),
            (format!("images/medium/{newest}.webp"), picture(30, 20, webp)),
            (format!("{png}.png"), picture(64, 32, ImageFormat::Png)),
            (format!("video/originals/{video}.mp4"), MP4.to_vec()),
            (format!("thumbnails/{video}_poster.jpg"), picture(64, 36, jpeg)),
            (format!("thumbnails/{video}_thumb_0.jpg"), picture(32, 18, jpeg)),
            (format!("{clip}.mov"), include_bytes!("../../fuzz/corpus/video_headers/quicktime").to_vec()),
        ];
        let left_out = [
            ("old_picture.png".to_owned(), picture(9, 9, ImageFormat::Png), "no id in the name".to_owned()),
            (format!("{svg}.svg"), b"<svg/>".to_vec(), "not a known type of picture or video".to_owned()),
            (format!("{copy}.webp"), picture(120, 80, webp), format!("the same bytes as {oldest}")),
            (format!("{html}.webp"), b"<html>".to_vec(), "its bytes are neither a picture nor a video".to_owned()),
            (format!("thumbnails/{orphan}_poster.jpg"), picture(8, 8, jpeg), "made of a video that is missing or cannot be read".to_owned()),
        ];
        for (path, bytes) in &entering {
            write(&media, path, bytes);
        }
        for (path, bytes, _) in &left_out {
            write(&media, path, bytes);
        }
        let db = open_store(&target).await;
        let import = |more: &[&str]| program.run(&[&["media", "import"], more].concat()).expect(0).stdout;
        let dry = import(&["--dry-run"]);
        assert!(dry.contains("would add 6 pictures and 2 videos with 14 files; 0 files were in the library\nwould leave out 3 files\n"), "{dry}");
        assert_eq!(db.collection("media").count(&Filter::All).await.unwrap(), 0);
        let first = import(&[]);
        assert!(first.contains("added 4 pictures and 2 videos with 12 files; 0 files were in the library\nleft out 5 files\n"), "{first}");
        for (path, _, reason) in &left_out {
            assert!(first.contains(&format!("uploads/{path}: {reason}\n")), "{path}: {first}");
        }

        let item = in_library(&db, &oldest).await;
        assert_eq!(variants(&item), [("originals".to_owned(), 120), ("750".to_owned(), 75), ("500".to_owned(), 50)]);
        assert_eq!((item.get_i64("width").unwrap(), item.get_i64("height").unwrap()), (120, 80));
        assert_eq!(item.get_str("content_hash").unwrap(), sha256(&entering[0].1));
        assert_eq!(item.get_datetime("createdDate").unwrap().to_string(), "2025-06-01 12:00:00.0 +00:00:00");
        assert!(!item.contains_key("user_id") && item.get_str("thumbhash").unwrap().len() > 8);
        assert_eq!(variants(&in_library(&db, &sections).await), [("originals".to_owned(), 200), ("1536".to_owned(), 150)]);
        assert_eq!(variants(&in_library(&db, &newest).await), [("originals".to_owned(), 30), ("medium".to_owned(), 30)]);
        assert_eq!(in_library(&db, &png).await.get_str("content_type").unwrap(), "image/png");
        let item = in_library(&db, &video).await;
        assert_eq!(variants(&item), [("originals".to_owned(), 64), ("poster".to_owned(), 64), ("thumb_0".to_owned(), 32)]);
        assert_eq!((item.get_str("type").unwrap(), item.get_i64("duration_ms").unwrap()), ("video", 400));
        assert_eq!(in_library(&db, &clip).await.get_str("content_type").unwrap(), "video/quicktime");

        // A run that was stopped, and a file that another program has made since.
        db.collection("media").delete_one(&Filter::eq("asset_id", newest.as_str())).await.unwrap();
        write(&media, &format!("video/mp4_720p/{video}.mp4"), MP4);
        let second = import(&[]);
        let expected = "added 1 picture and 0 videos with 2 files; 10 files were in the library\n\
                        added 1 file to pictures and videos that were there\nleft out 5 files\n";
        assert!(second.contains(expected), "{second}");
        assert_eq!(variants(&in_library(&db, &video).await)[3], ("mp4_720p".to_owned(), 64));
        let third = import(&[]);
        assert!(third.contains("added 0 pictures and 0 videos with 0 files; 13 files were in the library\nleft out 5 files\n"), "{third}");

        // The library refers to its files: none is unused, and each is compared.
        let dry = program.run(&["media", "gc", "--older-than", "0s"]).expect(0).stdout;
        for (path, ..) in &left_out {
            assert!(dry.contains(&format!("uploads/{path} ")), "{path}: {dry}");
        }
        assert!(dry.contains("would delete 5 files"), "{dry}");
        let verify = |code: i32, more: &[&str]| program.run(&[&["media", "verify"], more].concat()).expect(code).stdout;
        assert!(verify(0, &[]).ends_with("\n0 of 13 files of known hash differ\n"));
        let path = media.join(format!("uploads/{oldest}_750.webp"));
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(verify(0, &["--quick"]).ends_with("\n0 of 13 files of known size differ\n"));
        fs::remove_file(media.join(format!("uploads/images/medium/{newest}.webp"))).unwrap();
        let faults = verify(6, &[]);
        for fault in [
            format!("✗ /uploads/{oldest}_750.webp has other bytes than were stored: media "),
            format!("✗ /uploads/images/medium/{newest}.webp does not exist: media "),
            "\n1 of 13 files that documents refer to are missing; ".to_owned(),
            "\n1 of 12 files of known hash differ\n".to_owned(),
        ] {
            assert!(faults.contains(&fault), "{fault}: {faults}");
        }
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        assert!(verify(6, &["--quick"]).contains(&format!("✗ /uploads/{oldest}_750.webp has other bytes")));
        db.close().await;
    }

    async fn only_files_without_references_are_collected(target: Arc<Target>) {
        let program = Program::on(&target).with("LOCAL_STORAGE_PATH", "media");
        program.run(&["migrate", "up"]).expect(0);
        let media = program.folder().join("media");
        let kept = [
            format!("images/originals/{ID}.webp"), format!("images/medium/{ID}.webp"), format!("thumbnails/{ID}_poster.jpg"),
            "old.webp".to_owned(), "old_750.webp".to_owned(), "photo.jpg".to_owned(), "trash.png".to_owned(), "library.png".to_owned(),
        ];
        let unused = [format!("images/originals/{OTHER}.webp"), "unused.webp".to_owned()];
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

        // An item of the library in the trash.
        let variant = doc! { "variant": "originals", "path": "uploads/library.png", "width": 1, "height": 1, "size_bytes": 1 };
        let item = library_item("20260102_030405_00000000", variant);
        db.collection("media").insert_one(item).await.unwrap();

        let verified = program.run(&["media", "verify"]).expect(0);
        let expected = "0 of 5 files that documents refer to are missing; there are 10 files\n0 of 0 files of known hash differ\n";
        assert_eq!(verified.stdout, expected);
        // A new file may be about to be used.
        let young = program.run(&["media", "gc", "--older-than", "1d", "--yes"]).expect(0);
        assert_eq!(young.stdout, "deleted 0 files (0 B)\n");
        let dry = program.run(&["media", "gc", "--older-than", "0s"]).expect(0);
        for path in &unused {
            assert!(dry.stdout.contains(&format!("uploads/{path} 1 B")), "{}", dry.stdout);
        }
        assert!(dry.stdout.contains("would delete 2 files (2 B)"), "{}", dry.stdout);
        assert_eq!(files(&media).len(), 10);
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
fn bucket_of_the_original_enters_the_library() {
    with_bucket_server(BucketKind::Google, async |server: BucketServer| {
        let program = Program::bare()
            .with("ADMIN_EMAIL", "admin@example.com")
            .with("GCS_BUCKET_NAME", "site")
            .with("STORAGE_EMULATOR_HOST", server.url().strip_prefix("http://").expect("a URL"));
        program.run(&["media", "import"]).expect(8);
        program.run(&["migrate", "up"]).expect(0);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let url = format!("{}/storage/v1/b?project=tests", server.url());
        client.post(url).json(&json!({ "name": "site" })).send().await.expect("an answer");
        let webp = ImageFormat::WebP;
        for (path, bytes) in [
            (format!("{ID}.webp"), picture(40, 20, webp)),
            (format!("{ID}_500.webp"), picture(20, 10, webp)),
            (format!("video/originals/{OTHER}.mp4"), MP4.to_vec()),
        ] {
            let query = [("uploadType", "media"), ("name", &*format!("uploads/{path}"))];
            let url = format!("{}/upload/storage/v1/b/site/o", server.url());
            let url = reqwest::Url::parse_with_params(&url, query).expect("a URL");
            let sent = client.post(url).body(bytes).send().await.expect("an answer");
            sent.error_for_status().expect("a file is written");
        }
        let imported = program.run(&["media", "import"]).expect(0).stdout;
        assert_eq!(imported, "added 1 picture and 1 video with 3 files; 0 files were in the library\n");
        let verified = program.run(&["media", "verify"]).expect(0).stdout;
        assert!(verified.ends_with("\n0 of 3 files of known hash differ\n"), "{verified}");
    });
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
