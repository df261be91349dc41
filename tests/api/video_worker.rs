//! The worker that processes videos, on files in memory, with scripts in the place of `ffmpeg` and with `ffmpeg` itself.

use std::fs;
use std::future::pending;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use docstore::{Database, Filter, Find};
use field_notes::domain::{
    AssetType, ImageFilter, Media, MediaDraft, MediaVariant, VideoJobDraft, VideoJobStatus, VideoMetadata,
};
use field_notes::media::video::{FfmpegSettings, VideoKind, probe};
use field_notes::media::{Key, Location, Storage, StorageSettings, sha256};
use field_notes::repository::Repository;
use field_notes::service::{VideoJobs, VideoWorker};
use field_notes::startup;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::App;

const ID: &str = "20260102_030405_0a1b2c3d";
/// The answer of every script to the question for its encoders.
const ENCODERS: &str = "case \"$*\" in *-encoders*) echo libx264 aac mjpeg; exit 0;; esac\n";

macro_rules! video {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/video_headers/", $name))
    };
}

fn key(path: &str) -> Key {
    Key::parse(path).expect("a name")
}

struct Bench {
    app: App,
    jobs: VideoJobs,
    storage: Storage,
    folder: TempDir,
}

impl Bench {
    async fn on(db: &Database) -> Self {
        let app = App::on(db).await;
        let jobs = startup::services(&app.config, db, Arc::new(app.clock.clone())).video_jobs;
        let location = StorageSettings { location: Location::Memory, options: Vec::new() };
        let storage = Storage::open(&location).expect("the storage opens");
        Self { app, jobs, storage, folder: tempfile::tempdir().expect("a folder") }
    }

    fn worker(&self, program: PathBuf) -> VideoWorker {
        let settings = FfmpegSettings { enabled: true, program, timeout: Duration::from_mins(1) };
        VideoWorker::new(self.jobs.clone(), self.storage.clone(), settings)
    }

    /// Returns a worker that runs a script.
    fn worker_with(&self, script: &str) -> VideoWorker {
        let path = self.folder.path().join("ffmpeg");
        fs::write(&path, format!("#!/bin/sh\n{ENCODERS}{script}")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be executed");
        self.worker(path)
    }

    /// Uploads a file and returns the id of its job.
    async fn upload(&self, path: &str, bytes: &'static [u8]) -> String {
        self.storage.put(&key(path), Bytes::from_static(bytes)).await.expect("it is stored");
        self.enqueue(path).await
    }

    async fn enqueue(&self, path: &str) -> String {
        let metadata = VideoMetadata {
            duration_seconds: 0.0,
            width: 0,
            height: 0,
            file_size: 0,
            content_type: String::new(),
            upload_time: chrono::DateTime::UNIX_EPOCH,
        };
        let draft = VideoJobDraft { original_file: path.to_owned(), metadata };
        self.jobs.enqueue(draft).await.expect("a job").job_id
    }

    async fn job(&self, id: &str) -> Value {
        self.app.get_as("author", &format!("/video-processing/jobs/{id}")).await.json()
    }

    async fn stored(&self, path: &str) -> Vec<u8> {
        let object = self.storage.get(&key(path)).await.expect("it is stored");
        object.body.try_collect::<Vec<_>>().await.expect("it is read").concat()
    }
}

/// Brings a video into the library as an import of a recording does that states no duration.
async fn put_in_library(db: &Database, id: &str, path: &str, bytes: &[u8]) {
    let variant = MediaVariant {
        variant: "originals".to_owned(),
        path: path.to_owned(),
        width: 0,
        height: 0,
        size_bytes: i64::try_from(bytes.len()).expect("a small file"),
        sha256: None,
    };
    let draft = MediaDraft {
        asset_id: id.to_owned(),
        content_hash: sha256(bytes),
        filter: ImageFilter::None,
        asset_type: AssetType::Video,
        content_type: "video/mp4".to_owned(),
        names: Vec::new(),
        width: 0,
        height: 0,
        duration_ms: None,
        bytes: variant.size_bytes,
        variants: vec![variant],
        alt_text: None,
        thumbhash: None,
    };
    let library = Repository::<Media>::new(db);
    library.insert_found(&draft, chrono::DateTime::UNIX_EPOCH).await.expect("it is stored");
}

async fn in_library(db: &Database, id: &str) -> MediaDraft {
    let item = Repository::<Media>::new(db).find_by_asset_id(id).await.expect("it is read");
    item.expect("it is in the library").revised.item.draft
}

fn original(extension: &str) -> String {
    format!("uploads/video/originals/{ID}.{extension}")
}

fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true requires ffmpeg");
    if !found {
        println!("not run: ffmpeg is not installed");
    }
    found
}

testkit::stores! {
    async fn videos_get_poster_thumbnails_and_smaller_form(db: Database) {
        if !has_ffmpeg() {
            return;
        }
        let bench = Bench::on(&db).await;
        let worker = bench.worker("ffmpeg".into());
        let cases: [(&str, &'static [u8], _, _, _); 2] =
            [("mp4", video!("mp4_rotated"), "video/mp4", 36, 64), ("webm", video!("webm_live"), "video/webm", 64, 36)];
        for (asset, (extension, bytes, kind, width, height)) in cases.into_iter().enumerate() {
            let asset = format!("20260102_030405_{asset:08x}");
            let path = format!("uploads/video/originals/{asset}.{extension}");
            put_in_library(&db, &asset, &path, bytes).await;
            let id = bench.upload(&path, bytes).await;
            assert!(!worker.work(pending()).await.unwrap());
            let job = bench.job(&id).await;
            assert_eq!((&job["status"], &job["error_message"]), (&json!("completed"), &json!("")), "{job}");
            let metadata = &job["metadata"];
            assert_eq!((&metadata["width"], &metadata["height"], &metadata["content_type"]), (&json!(width), &json!(height), &json!(kind)));
            assert!((0.2..0.6).contains(&metadata["duration_seconds"].as_f64().unwrap()), "{metadata}");
            let options = job["thumbnail_options"].as_array().unwrap();
            assert_eq!(options.len(), 5);
            for (index, option) in options.iter().enumerate() {
                assert_eq!((&option["id"], &option["is_custom"]), (&json!(format!("thumb_{index}")), &json!(false)));
                assert_eq!(option["url"], format!("/uploads/thumbnails/{asset}_thumb_{index}.jpg"));
                assert!(bench.stored(&option["url"].as_str().unwrap()[1..]).await.starts_with(&[0xFF, 0xD8, 0xFF]));
            }
            assert!(bench.stored(&format!("uploads/thumbnails/{asset}_poster.jpg")).await.starts_with(&[0xFF, 0xD8, 0xFF]));
            let format = &job["processed_formats"][0];
            assert_eq!(format, &json!({ "format": "mp4_720p", "url": format!("/uploads/video/mp4_720p/{asset}.mp4"), "width": width, "height": height }));
            let smaller = bench.stored(&format["url"].as_str().unwrap()[1..]).await;
            let info = probe(&mut Cursor::new(&smaller)).unwrap();
            assert_eq!((info.kind, info.width, info.height), (VideoKind::Mp4, width, height));
            let position = |name: &[u8]| smaller.windows(4).position(|window| window == name);
            assert!(position(b"moov") < position(b"mdat") && position(b"avc1").is_some(), "the headers come first");
            assert_eq!(bench.stored(&path).await, bytes, "the original is untouched");
            let item = in_library(&db, &asset).await;
            let variants: Vec<_> = item.variants.iter().map(|variant| variant.variant.as_str()).collect();
            assert_eq!(variants, ["originals", "mp4_720p", "poster", "thumb_0", "thumb_1", "thumb_2", "thumb_3", "thumb_4"]);
            for variant in &item.variants[1..] {
                assert_eq!(variant.sha256.as_ref(), Some(&sha256(&bench.stored(&variant.path).await)), "{}", variant.path);
                assert!(variant.width > 0 && variant.height > 0 && variant.size_bytes > 0, "{variant:?}");
            }
            assert_eq!((item.width, item.height), (i64::from(width), i64::from(height)));
            assert!((200..600).contains(&item.duration_ms.unwrap()) && item.thumbhash.is_some());
        }
    }

    async fn repeated_job_leaves_files_as_they_are(db: Database) {
        let bench = Bench::on(&db).await;
        // Each run writes other bytes.
        let worker = bench.worker_with("for last; do :; done\nread -r id < /proc/sys/kernel/random/uuid\necho $id >\"${last#file:}\"\n");
        put_in_library(&db, ID, &original("mp4"), video!("mp4")).await;
        let id = bench.upload(&original("mp4"), video!("mp4")).await;
        worker.work(pending()).await.unwrap();
        let first = in_library(&db, ID).await;
        assert_eq!((&bench.job(&id).await["status"], first.variants.len()), (&json!("completed"), 8));
        let mut before = Vec::new();
        for variant in &first.variants {
            before.push(bench.stored(&variant.path).await);
        }
        let lost = format!("uploads/thumbnails/{ID}_thumb_4.jpg");
        bench.storage.delete(&key(&lost)).await.unwrap();
        let path = format!("/video-processing/jobs/{id}");
        let again = json!({ "status": "pending" }).to_string();
        assert_eq!(bench.app.write("author", axum::http::Method::PATCH, &path, &[], again).await.status, 200);
        worker.work(pending()).await.unwrap();
        assert_eq!(bench.job(&id).await["status"], "completed");
        for (variant, bytes) in first.variants.iter().zip(&before) {
            assert_eq!(bench.stored(&variant.path).await == *bytes, variant.path != lost, "{}", variant.path);
        }
        // Its name had no file: the hash is that of the new one.
        let now = in_library(&db, ID).await;
        assert_eq!(now.variants[..7], first.variants[..7]);
        assert_eq!(now.variants[7].sha256, Some(sha256(&bench.stored(&lost).await)));
    }


    async fn failed_attempts_are_repeated_later_and_given_up(db: Database) {
        let bench = Bench::on(&db).await;
        let worker = bench.worker_with("echo first >&2\necho 'cannot decode' >&2\nexit 1\n");
        let id = bench.upload(&original("mp4"), video!("mp4")).await;
        let attempts = async || {
            let job = db.collection("video_processing_jobs").find_one(Find::new(Filter::eq("job_id", id.as_str()))).await.unwrap().unwrap();
            job.get_i64("attempts").unwrap()
        };
        for (attempt, seconds) in [(1, 30), (2, 120), (3, 480), (4, 1920)] {
            worker.work(pending()).await.unwrap();
            let job = bench.job(&id).await;
            assert_eq!((&job["status"], &job["error_message"]), (&json!("pending"), &json!("ffmpeg failed: cannot decode")));
            bench.app.clock.advance(TimeDelta::seconds(seconds - 1));
            worker.work(pending()).await.unwrap();
            assert_eq!(attempts().await, attempt);
            bench.app.clock.advance(TimeDelta::seconds(1));
        }
        worker.work(pending()).await.unwrap();
        assert_eq!((attempts().await, &bench.job(&id).await["status"]), (5, &json!("failed")));
        bench.app.clock.advance(TimeDelta::days(1));
        worker.work(pending()).await.unwrap();
        assert_eq!(attempts().await, 5);
        // An author may let it try again.
        let path = format!("/video-processing/jobs/{id}");
        let again = json!({ "status": "pending" }).to_string();
        assert_eq!(bench.app.write("author", axum::http::Method::PATCH, &path, &[], again).await.status, 200);
        worker.work(pending()).await.unwrap();
        assert_eq!((attempts().await, &bench.job(&id).await["status"]), (1, &json!("pending")));
    }

    async fn files_that_are_no_videos_fail_at_once(db: Database) {
        let bench = Bench::on(&db).await;
        let worker = bench.worker_with("echo called >&2\nexit 1\n");
        let playlist = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
        let playlist = bench.upload(&original("mp4"), playlist).await;
        let missing = bench.enqueue("uploads/20260102_030405_ffffffff.mp4").await;
        let other = bench.enqueue("uploads/../etc/passwd").await;
        worker.work(pending()).await.unwrap();
        for (id, reason) in [
            (playlist, "not an mp4, QuickTime, WebM or AVI file"),
            (missing, "the uploaded file does not exist"),
            (other, "not the name of an uploaded file"),
        ] {
            let job = bench.job(&id).await;
            assert_eq!((&job["status"], &job["error_message"]), (&json!("failed"), &json!(reason)));
        }
    }

    async fn jobs_wait_without_ffmpeg(db: Database) {
        let bench = Bench::on(&db).await;
        let id = bench.upload(&original("mp4"), video!("mp4")).await;
        for program in ["/no/such/ffmpeg", "true"] {
            assert!(!bench.worker(program.into()).work(pending()).await.unwrap());
            let job = bench.job(&id).await;
            assert_eq!((&job["status"], &job["error_message"]), (&json!("pending"), &json!("")), "{program}");
        }
    }

    async fn shutdown_returns_the_job_and_ends_ffmpeg(db: Database) {
        let bench = Bench::on(&db).await;
        let started = bench.folder.path().join("started");
        let script = format!("echo $$ >{0}.new && mv {0}.new {0}\nexec sleep 600\n", started.display());
        let worker = bench.worker_with(&script);
        let id = bench.upload(&original("mp4"), video!("mp4")).await;
        let stop = async {
            while !started.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(worker.work(stop).await.unwrap());
        assert_eq!(bench.job(&id).await["status"], "pending");
        let process = PathBuf::from("/proc").join(fs::read_to_string(&started).unwrap().trim());
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The interrupted attempt does not count.
        let job = bench.jobs.by_id(&id).await.unwrap();
        assert_eq!(job.status, VideoJobStatus::Pending);
        let document = db.collection("video_processing_jobs").find_one(Find::new(Filter::eq("job_id", id.as_str()))).await.unwrap().unwrap();
        assert_eq!(document.get_i64("attempts").unwrap(), 0);
    }

    async fn jobs_that_a_client_ends_stay_as_it_left_them(db: Database) {
        let bench = Bench::on(&db).await;
        let id = bench.upload(&original("mp4"), video!("mp4")).await;
        let started = bench.folder.path().join("started");
        let (go, path) = (bench.folder.path().join("go"), format!("/video-processing/jobs/{id}"));
        let script = format!("touch {}\nwhile [ ! -e {} ]; do sleep 0.01; done\nexit 1\n", started.display(), go.display());
        let worker = bench.worker_with(&script);
        let end = async {
            while !started.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let body = json!({ "status": "completed" }).to_string();
            assert_eq!(bench.app.write("author", axum::http::Method::PATCH, &path, &[], body).await.status, 200);
            fs::write(&go, "").unwrap();
        };
        let (worked, ()) = tokio::join!(worker.work(pending()), end);
        worked.unwrap();
        let job = bench.job(&id).await;
        assert_eq!((&job["status"], &job["error_message"]), (&json!("completed"), &json!("")));
    }
}
