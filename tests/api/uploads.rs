use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use bson::Document;
use docstore::{Database, Filter, Find};
use field_notes::config::Config;
use field_notes::domain::AssetType;
use field_notes::media::{Key, Location, Storage, StorageSettings, sha256};
use field_notes::repository::Repository;
use field_notes::service::{LeftOut, MediaImport};
use futures_util::stream;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Engine, Mount, Target};

use crate::support::{Answer, App};
use crate::writing::ANONYMOUS;

pub(crate) const TYPE: &str = "multipart/form-data; boundary=----frontier";
pub(crate) const MP4: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/mp4");

/// The application with a folder for its files.
pub(crate) struct Site {
    pub(crate) app: App,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) async fn on(db: &Database) -> Self {
        Self::on_with(db, |_| {}).await
    }

    async fn on_with(db: &Database, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let app = App::on_with(db, |config| {
            config.media = in_folder(folder.path());
            change(config);
        });
        Self { app: app.await, folder }
    }

    pub(crate) async fn upload(&self, who: &str, parts: &[Vec<u8>]) -> Answer {
        self.app.write(who, Method::POST, "/uploads", &[("content-type", TYPE)], form(parts)).await
    }

    /// Returns the names of all stored files.
    pub(crate) fn files(&self) -> Vec<String> {
        files_below(self.folder.path())
    }

    fn read(&self, url: &Value) -> Vec<u8> {
        std::fs::read(self.folder.path().join(url.as_str().expect("an address").trim_start_matches('/')))
            .expect("a file")
    }
}

/// Returns the names of all files below a folder.
fn files_below(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("within the folder");
                files.push(name.to_str().expect("a name").to_owned());
            }
        }
    }
    files.sort();
    files
}

fn in_folder(path: &Path) -> StorageSettings {
    StorageSettings { location: Location::Folder(path.to_owned()), options: Vec::new() }
}

async fn documents(db: &Database) -> Vec<Document> {
    db.collection("media")
        .find(Find::new(Filter::All))
        .await
        .expect("documents are read")
        .documents()
        .await
        .expect("documents are read")
}

pub(crate) fn part(name: &str, file: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "------frontier\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

pub(crate) fn file(content: &[u8]) -> Vec<u8> {
    part("files", "a picture.jpg", content)
}

fn text(name: &str, content: &str) -> Vec<u8> {
    format!("------frontier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
        .into_bytes()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"------frontier--\r\n".to_vec()].concat()
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]))
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture(width, height).write_to(&mut file, ImageFormat::Png).expect("a picture is written");
    file.into_inner()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    picture(width, height).write_with_encoder(JpegEncoder::new(&mut file)).expect("a picture is written");
    file
}

/// The code in the body of a refused upload, and the status.
pub(crate) fn refusal(answer: &Answer) -> (u16, Value) {
    let body = answer.json();
    (answer.status.as_u16(), body["detail"]["error_code"].clone())
}

testkit::stores! {
    async fn picture_is_stored_in_all_of_its_widths(db: Database) {
        let site = Site::on(&db).await;
        let answer = site.upload("author", &[file(&png(900, 600)), file(&jpeg(300, 200))]).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        let body = answer.json();
        let url = body["urls"][0].as_str().unwrap();
        let id = url.strip_prefix("/uploads/images/originals/20260102_030405_").unwrap().strip_suffix(".webp").unwrap();
        assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let file = |folder: &str, width: u32| format!("/uploads/images/{folder}/20260102_030405_{id}.webp {width}w");
        let srcset = [file("originals", 900), file("medium", 768), file("thumbnails", 400)].join(", ");
        assert_eq!(body["srcsets"][0], srcset);
        assert_eq!(body["srcsets"][1], format!("{} 300w", body["urls"][1].as_str().unwrap()));
        assert_eq!(body["dimensions"], json!([{ "width": 900, "height": 600 }, { "width": 300, "height": 200 }]));
        assert_eq!(site.files().len(), 4);
        let shown = image::load_from_memory_with_format(&site.read(&body["urls"][0]), ImageFormat::WebP).unwrap();
        assert_eq!((shown.width(), shown.height()), (900, 600));
        let stored = documents(&db).await;
        let stored = stored.iter().find(|media| media.get_i64("width").is_ok_and(|width| width == 900)).unwrap();
        assert_eq!(stored.get_str("asset_id").unwrap(), format!("20260102_030405_{id}"));
        assert_eq!(stored.get_str("type").unwrap(), "image");
        assert_eq!(stored.get_str("content_type").unwrap(), "image/png");
        assert!(stored.get_str("content_hash").unwrap().starts_with(id));
        assert_eq!(stored.get_array("names").unwrap(), &bson::Array::from(["a picture.jpg".into()]));
        let variants = stored.get_array("variants").unwrap();
        assert_eq!(variants.len(), 3);
        for variant in variants {
            let variant = variant.as_document().unwrap();
            let bytes = site.read(&json!(variant.get_str("path").unwrap()));
            assert_eq!(variant.get_str("sha256").unwrap(), sha256(&bytes));
        }
        assert_eq!(stored.get_str("user_id").unwrap().len(), 24);
        assert!(stored.get_str("thumbhash").unwrap().len() > 8);
    }

    async fn same_bytes_are_one_file_with_one_name(db: Database) {
        let site = Site::on(&db).await;
        let content = png(500, 300);
        let first = site.upload("author", &[file(&content)]).await.json();
        site.app.clock.advance(chrono::TimeDelta::seconds(90));
        let again = site.upload("admin", &[part("files", "other.png", &content), file(&content)]).await.json();
        assert_eq!(again["urls"], json!([first["urls"][0], first["urls"][0]]));
        assert_eq!(again["srcsets"][1], first["srcsets"][0]);
        assert_eq!(documents(&db).await[0].get_array("names").unwrap().len(), 2);
        let warm = site.upload("author", &[file(&content), text("image_filter", "warm")]).await.json();
        assert_ne!(warm["urls"], first["urls"]);
        assert_ne!(site.read(&warm["urls"][0]), site.read(&first["urls"][0]));
        assert_eq!((documents(&db).await.len(), site.files().len()), (2, 4));
        // A file that was lost is there again, under the name that content has.
        std::fs::remove_file(site.folder.path().join(&first["urls"][0].as_str().unwrap()[1..])).unwrap();
        assert_eq!(site.upload("author", &[file(&content)]).await.json()["urls"], first["urls"]);
        assert_eq!((documents(&db).await.len(), site.files().len()), (2, 4));
    }

    async fn imported_picture_is_not_stored_again(db: Database) {
        let site = Site::on(&db).await;
        let storage = Storage::open(&in_folder(site.folder.path())).unwrap();
        let mut content = Cursor::new(Vec::new());
        picture(50, 40).write_to(&mut content, ImageFormat::WebP).unwrap();
        let content = content.into_inner();
        let name = |id: &str| Key::in_uploads(&format!("{id}.webp")).unwrap();
        // The second one may belong to an upload that has not ended.
        for id in ["20250601_120000_00000001", "20260102_030000_00000002"] {
            storage.put(&name(id), content.clone().into()).await.unwrap();
        }
        let import = MediaImport::new(Repository::new(&db), storage, Arc::new(site.app.clock.clone()));
        let groups = import.plan().await.unwrap().groups;
        let recent = import.import(&groups[1]).await.unwrap();
        assert_eq!(recent.left_out, [(name("20260102_030000_00000002"), LeftOut::Recent)]);
        assert_eq!(import.import(&groups[0]).await.unwrap().added, Some(AssetType::Image));
        site.app.clock.advance(chrono::TimeDelta::minutes(15));
        let same = import.import(&groups[1]).await.unwrap();
        assert_eq!(same.left_out, [(name("20260102_030000_00000002"), LeftOut::SameBytes("20250601_120000_00000001".to_owned()))]);
        let url = json!(["/uploads/20250601_120000_00000001.webp"]);
        for is_lost in [false, true] {
            if is_lost {
                std::fs::remove_file(site.folder.path().join("uploads/20250601_120000_00000001.webp")).unwrap();
            }
            let uploaded = site.upload("author", &[file(&content)]).await.json();
            assert_eq!(uploaded["urls"], url);
            assert_eq!(uploaded["dimensions"][0], json!({ "width": 50, "height": 40 }));
            assert_eq!((documents(&db).await.len(), site.files().len()), (1, 2));
            assert_eq!(site.read(&url[0]), content);
        }
    }

    async fn concurrent_uploads_of_the_same_bytes_store_one_file(db: Database) {
        let site = Site::on(&db).await;
        let body = form(&[file(&png(450, 100))]);
        let requests = (0..6).map(|_| {
            let (app, body) = (site.app.clone(), body.clone());
            async move { app.write("author", Method::POST, "/uploads", &[("content-type", TYPE)], body).await }
        });
        let answers = site.app.at_once(requests).await;
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.json() == answers[0].json()));
        assert_eq!((documents(&db).await.len(), site.files().len()), (1, 2));
    }

    async fn files_of_a_request_are_stored_together_or_not_at_all(db: Database) {
        let site = Site::on(&db).await;
        let kept = site.upload("author", &[file(&png(40, 40))]).await.json();
        let broken = &jpeg(300, 300)[..3000];
        let answer = site.upload("author", &[file(&png(40, 40)), file(&png(500, 50)), file(MP4), file(broken)]).await;
        assert_eq!(refusal(&answer), (422, json!("UPLOAD_PROCESSING_FAILED")));
        assert_eq!((documents(&db).await.len(), site.files().len()), (1, 1));
        assert!(!site.read(&kept["urls"][0]).is_empty());
    }

    async fn refused_uploads_have_the_bodies_of_the_contract(db: Database) {
        let site = Site::on_with(&db, |config| {
            config.max_video_bytes = 1024 * 1024;
            config.middleware.unlimited = true;
        }).await;
        let too_large = |head: &[u8], length: usize| [head, &vec![0; length]].concat();
        let mut gif = Cursor::new(Vec::new());
        picture(4, 4).write_to(&mut gif, ImageFormat::Gif).unwrap();
        for (what, content, expected) in [
            ("no bytes", vec![], (422, "UPLOAD_PROCESSING_FAILED")),
            ("a truncated JPEG", jpeg(200, 200)[..2000].to_vec(), (422, "UPLOAD_PROCESSING_FAILED")),
            ("10,000 frames", gif_of_frames(10_000), (422, "UPLOAD_PROCESSING_FAILED")),
            ("50,000 x 50,000 pixels", huge_png(), (422, "UPLOAD_PROCESSING_FAILED")),
            ("HTML", b"<!DOCTYPE html><script>alert(1)</script>".to_vec(), (415, "UPLOAD_INVALID_FORMAT")),
            ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), (415, "UPLOAD_INVALID_FORMAT")),
            ("6 MiB", too_large(&png(9, 9), 6 << 20), (413, "UPLOAD_FILE_TOO_LARGE")),
            ("a large video", too_large(MP4, 1 << 20), (413, "UPLOAD_FILE_TOO_LARGE")),
            ("a damaged video", MP4[..60].to_vec(), (422, "UPLOAD_PROCESSING_FAILED")),
        ] {
            let answer = site.upload("author", &[file(&content)]).await;
            assert_eq!(refusal(&answer), (expected.0, json!(expected.1)), "{what}");
            let detail = &answer.json()["detail"];
            assert!(detail["user_message"].is_string() && detail["request_id"].is_null(), "{detail}");
        }
        let large = site.upload("author", &[file(&too_large(&gif.into_inner(), 6 << 20))]).await.json();
        assert_eq!(large["detail"]["details"]["max_file_size"], "5.0MB");
        assert_eq!(large["detail"]["details"]["suggestions"].as_array().unwrap().len(), 3);
        let missing = [(json!(["body", "files"]), "missing".to_owned())];
        for parts in [vec![], vec![part("file", "a.png", &png(9, 9))], vec![text("image_filter", "warm")]] {
            assert_eq!(site.upload("author", &parts).await.errors(), missing);
        }
        for kind in ["application/json", "text/plain"] {
            let answer = site.app.write("author", Method::POST, "/uploads", &[("content-type", kind)], "{}").await;
            assert_eq!(answer.errors(), missing);
        }
        let sepia = site.upload("author", &[file(&png(9, 9)), text("image_filter", "sepia")]).await;
        assert_eq!(sepia.status, 422);
        assert_eq!(
            sepia.json()["detail"],
            "Invalid filter. Must be one of: none, auto_enhance, warm, cool, high_contrast, bw, vivid, vintage"
        );
        let section = site.upload("author", &[file(&png(9, 9)), text("section_id", "nowhere")]).await;
        assert_eq!((section.status.as_u16(), &section.json()["detail"]), (400, &json!("Invalid section_id")));
        let length = ["content-length", "300000000"];
        let headers = [("content-type", TYPE), (length[0], length[1])];
        let whole = site.app.write("author", Method::POST, "/uploads", &headers, Body::empty()).await;
        assert_eq!(refusal(&whole), (413, json!("UPLOAD_FILE_TOO_LARGE")));
        assert_eq!((documents(&db).await.len(), site.files().len()), (0, 0));
    }

    async fn names_of_clients_are_text_and_no_paths(db: Database) {
        let site = Site::on(&db).await;
        let long = "x".repeat(1000);
        for (index, name) in ["../../../etc/passwd", "a\\b.png", "ünïcode 日本.png", &long, ""].iter().enumerate() {
            let content = png(20 + u32::try_from(index).unwrap(), 20);
            let answer = site.upload("author", &[part("files", name, &content)]).await;
            assert_eq!(answer.status, 200, "{name:?}: {}", String::from_utf8_lossy(&answer.bytes));
        }
        let nul = site.upload("author", &[part("files", "a\0b.png", &png(60, 20))]).await;
        assert_eq!(nul.status, 400, "no header may have it");
        assert!(site.files().iter().all(|file| file.starts_with("uploads/images/originals/20260102_030405_")));
        let stored = documents(&db).await;
        let names: Vec<_> = stored.iter().flat_map(|media| media.get_array("names").unwrap().clone()).collect();
        assert!(names.iter().all(|name| name.as_str().is_some_and(|name| name.len() <= 255 && !name.contains('/'))));
        assert!(names.contains(&"passwd".into()) && names.contains(&"ünïcode 日本.png".into()), "{names:?}");
    }

    async fn video_is_stored_as_it_is_with_its_true_size(db: Database) {
        let site = Site::on(&db).await;
        let body = site.upload("author", &[part("files", "clip.html", MP4)]).await.json();
        let url = body["urls"][0].as_str().unwrap();
        assert!(url.starts_with("/uploads/video/originals/20260102_030405_"), "{url}");
        assert!(url.strip_suffix(".mp4").is_some(), "by its bytes, not by its name: {url}");
        assert_eq!(body["srcsets"][0], "");
        assert_eq!(site.read(&body["urls"][0]), MP4);
        let stored = &documents(&db).await[0];
        assert_eq!(stored.get_str("type").unwrap(), "video");
        assert_eq!(body["dimensions"][0]["width"], stored.get_i64("width").unwrap());
        assert!(stored.get_i64("width").unwrap() > 0 && stored.get_i64("duration_ms").unwrap() > 0);
        // It has a job, and gets no other one if it is uploaded again.
        assert_eq!(site.upload("author", &[file(MP4)]).await.status, 200);
        let jobs = site.app.get_as("author", "/video-processing/jobs").await.json();
        let job = &jobs[0];
        assert_eq!((jobs.as_array().unwrap().len(), &job["status"]), (1, &json!("pending")));
        assert_eq!(format!("/{}", job["original_file"].as_str().unwrap()), url);
        let expected = json!({
            "duration_seconds": 0.4, "width": 64, "height": 36, "file_size": MP4.len(), "content_type": "video/mp4",
            "upload_time": "2026-01-02T03:04:05.678000",
        });
        assert_eq!(job["metadata"], expected);
    }

    async fn client_that_stops_leaves_nothing(db: Database) {
        let site = Site::on(&db).await;
        let whole = form(&[file(&png(60, 60)), file(&png(70, 70))]);
        for cut in [10, 200, whole.len() / 2, whole.len() - 30] {
            let start = whole[..cut].to_vec();
            let broken = stream::iter([Ok(start.clone()), Err(std::io::Error::other("the connection is reset"))]);
            for body in [Body::from_stream(broken), Body::from(start)] {
                let answer =
                    site.app.write("author", Method::POST, "/uploads", &[("content-type", TYPE)], body).await;
                assert_eq!(answer.status, 400, "{cut}: {}", String::from_utf8_lossy(&answer.bytes));
            }
        }
        assert_eq!((documents(&db).await.len(), site.files().len()), (0, 0));
    }

    async fn storage_that_fails_stores_nothing(db: Database) {
        let folder = tempfile::tempdir().unwrap();
        // The second width cannot be written: its folder is a file.
        std::fs::create_dir_all(folder.path().join("uploads/images")).unwrap();
        std::fs::write(folder.path().join("uploads/images/thumbnails"), "").unwrap();
        for settings in [in_folder(folder.path()), in_folder(Path::new("/proc/nothing"))] {
            let app = App::on_with(&db, |config| config.media = settings).await;
            let body = form(&[file(&png(30, 30)), file(&png(500, 30))]);
            let answer = app.write("author", Method::POST, "/uploads", &[("content-type", TYPE)], body).await;
            assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.bytes));
            assert!(!answer.header("retry-after").is_empty());
            assert_eq!(documents(&db).await.len(), 0);
        }
        let left = std::fs::read_dir(folder.path().join("uploads/images/originals")).unwrap().count();
        assert_eq!(left, 0, "what was written before is removed");
    }

    async fn polyglots_are_what_their_first_bytes_say(db: Database) {
        const PAGE: &[u8] = b"<html><script>alert(1)</script>";
        let site = Site::on_with(&db, |config| config.middleware.unlimited = true).await;
        let has_script = |bytes: &[u8]| bytes.windows(8).any(|part| part == b"<script>");
        let comment = [b"\x21\xfe\x1f", PAGE, b"\0;"].concat();
        let mut gif = gif_of_frames(1);
        gif.truncate(gif.len() - 1);
        for (what, content) in [
            ("a PNG before a page", [&png(20, 20), PAGE].concat()),
            ("a JPEG before an archive", [&jpeg(20, 20), &b"PK\x03\x04"[..], PAGE].concat()),
            ("a GIF with a comment", [gif, comment].concat()),
        ] {
            assert!(has_script(&content), "{what}");
            let answer = site.upload("author", &[part("files", "page.html", &content)]).await;
            assert_eq!(answer.status, 200, "{what}: {}", String::from_utf8_lossy(&answer.bytes));
            let shown = site.app.get(answer.json()["urls"][0].as_str().unwrap()).await;
            assert_eq!((shown.header("content-type"), shown.header("x-content-type-options")), ("image/webp", "nosniff"));
            assert!(shown.bytes.starts_with(b"RIFF") && !has_script(&shown.bytes), "{what}");
        }
        let stored = site.files().len();
        for (what, content, status) in [
            ("a script that begins as a GIF", b"GIF89a/*   */=1;alert(1)//".to_vec(), 422),
            ("a page that begins as a video", [b"<!--ftypmp42-->", PAGE].concat(), 422),
            ("a picture behind a document", [b"%PDF-1.7\n", &*jpeg(20, 20)].concat(), 415),
            ("an archive before a picture", [b"PK\x03\x04", &*png(20, 20)].concat(), 415),
        ] {
            let answer = site.upload("author", &[part("files", "a.gif", &content)]).await;
            assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.bytes));
        }
        assert_eq!(site.files().len(), stored);
        // A video stays as it is, and no browser takes it for anything else.
        let video = video_with(PAGE);
        let url = site.upload("author", &[part("files", "page.html", &video)]).await.json()["urls"][0].clone();
        let shown = site.app.get(url.as_str().unwrap()).await;
        assert!(shown.bytes == video && has_script(&video));
        assert_eq!((shown.header("content-type"), shown.header("x-content-type-options")), ("video/mp4", "nosniff"));
        assert!(shown.header("content-security-policy").ends_with("sandbox"));
    }

    async fn callers_are_judged_before_files(db: Database) {
        let site = Site::on(&db).await;
        for (who, status) in [(ANONYMOUS, 401), ("commenter", 403)] {
            let answer = site.upload(who, &[file(b"<html>")]).await;
            assert_eq!(answer.status, status, "{who}");
        }
    }
}

#[test]
fn full_and_read_only_disks_store_nothing() {
    testkit::on(Engine::Embedded, async |target: Arc<Target>| {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=256k", "none"];
        let Some(disk) = Mount::new(&folder.path().join("media"), &options) else {
            return println!("not run: no file system can be mounted");
        };
        let db = testkit::open!(target);
        let app = App::on_with(&db, |config| config.media = in_folder(disk.path())).await;
        // The picture has room, the video does not.
        let body = form(&[file(&png(500, 30)), file(&video_with(&vec![0; 400_000]))]);
        let upload =
            || app.write("author", Method::POST, "/uploads", &[("content-type", TYPE)], body.clone());
        let full = upload().await;
        let expected = "the storage of media is full: nothing was written";
        assert_eq!((full.status.as_u16(), &full.json()["detail"]), (503, &json!(expected)));
        assert_eq!((files_below(disk.path()).len(), documents(&db).await.len()), (0, 0));
        disk.remount("ro");
        let denied = upload().await;
        let expected = "the storage of media is unavailable at present";
        assert_eq!((denied.status.as_u16(), &denied.json()["detail"]), (503, &json!(expected)));
        assert_eq!((files_below(disk.path()).len(), documents(&db).await.len()), (0, 0));
        disk.remount("rw,size=4m");
        assert_eq!(upload().await.status, 200);
        assert_eq!((files_below(disk.path()).len(), documents(&db).await.len()), (3, 2));
        db.close().await;
    });
}

/// Returns a video with bytes that no player reads.
fn video_with(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).expect("a short box");
    [MP4, &length.to_be_bytes(), b"free", content].concat()
}

/// Returns a GIF file of one pixel with a number of frames.
fn gif_of_frames(frames: usize) -> Vec<u8> {
    let head = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0";
    let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    [&head[..], &frame.repeat(frames), b";"].concat()
}

/// Returns a PNG file that declares 50,000 × 50,000 pixels.
fn huge_png() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(50_000_u32.to_be_bytes());
    header.extend(50_000_u32.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let length = [0, 0, 0, 13];
    [b"\x89PNG\r\n\x1a\n", &length[..], &header, &crc.sum().to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"]
        .concat()
}
