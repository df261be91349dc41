use std::fs;
use std::future::pending;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docstore::Database;
use field_notes::domain::{VideoJobDraft, VideoMetadata};
use field_notes::media::video::FfmpegSettings;
use field_notes::media::{Key, Location, Storage, StorageSettings};
use field_notes::service::VideoWorker;
use field_notes::startup;
use futures_util::TryStreamExt as _;

use crate::site::unlimited;

const VIDEO: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/quicktime");

/// Returns a video whose pictures are in another file, which it names.
fn with_pictures_of(secret: &Path) -> Vec<u8> {
    let position = |name: &[u8]| VIDEO.windows(4).position(|window| window == name).expect("a box");
    let size_at = |at: usize| u32::from_be_bytes(VIDEO[at..at + 4].try_into().expect("four bytes"));
    let path = secret.to_str().expect("a path of text").as_bytes();
    let padded = path.len() + path.len() % 2;
    // An alias record: its fixed fields are empty, then there is an absolute path.
    let mut alias = [b"alis".as_slice(), &[0; 4], &[0; 150]].concat();
    alias.extend([0, 2]);
    alias.extend(u16::try_from(padded).expect("a short path").to_be_bytes());
    alias.extend(path);
    alias.resize(alias.len() + padded - path.len(), 0);
    alias.extend([0xFF, 0xFF, 0, 0]);
    let length = |bytes: usize| u32::try_from(bytes).expect("a short box").to_be_bytes();
    let entry = [&length(alias.len() + 4)[..], &alias].concat();
    let references = [&length(entry.len() + 16)[..], b"dref", &[0, 0, 0, 0, 0, 0, 0, 1], &entry].concat();
    let dref = position(b"dref") - 4;
    let old = size_at(dref) as usize;
    let mut file = VIDEO.to_vec();
    for parent in [b"moov", b"trak", b"mdia", b"minf", b"dinf"] {
        // The last one before: `minf` has a handler of its own in QuickTime.
        let at = VIDEO[..dref].windows(4).rposition(|window| window == parent).expect("a parent") - 4;
        let grown = size_at(at) as usize + references.len() - old;
        file[at..at + 4].copy_from_slice(&length(grown));
    }
    file.splice(dref..dref + old, references);
    // Its own pictures are gone; positions in the other file stay right.
    let data = position(b"mdat");
    let end = data - 4 + size_at(data - 4) as usize;
    file[data + 4..end].fill(0);
    file
}

testkit::stores! {
    async fn t20_videos_show_nothing_of_other_files(db: Database) {
        let found = Command::new("ffmpeg").arg("-version").output().is_ok();
        assert!(found || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true requires ffmpeg");
        if !found {
            println!("not run: ffmpeg is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (secret, attack) = (folder.path().join("secret.mov"), folder.path().join("attack.mov"));
        fs::write(&secret, VIDEO).unwrap();
        fs::write(&attack, with_pictures_of(&secret)).unwrap();
        // With careless options the attack works.
        let careless = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-xerror", "-enable_drefs", "1", "-use_absolute_path", "1", "-i"])
            .arg(&attack)
            .args(["-frames:v", "1", "-f", "mjpeg"])
            .arg(folder.path().join("shown.jpg"))
            .output()
            .unwrap();
        let shown = fs::metadata(folder.path().join("shown.jpg")).map_or(0, |picture| picture.len());
        assert!(careless.status.success() && shown > 100, "{}", String::from_utf8_lossy(&careless.stderr));
        let app = unlimited(&db).await;
        let jobs = startup::services(&app.config, &db, Arc::new(app.clock.clone())).video_jobs;
        let storage = Storage::open(&StorageSettings { location: Location::Memory, options: Vec::new() }).unwrap();
        let settings = FfmpegSettings { enabled: true, program: "ffmpeg".into(), timeout: Duration::from_mins(1) };
        let worker = VideoWorker::new(jobs.clone(), storage.clone(), settings);
        let playlist = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n", secret.display());
        let list = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
        let mut disguised = b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec();
        disguised.extend(playlist.as_bytes());
        let files = [fs::read(&attack).unwrap(), playlist.into_bytes(), list.into_bytes(), disguised];
        for (index, file) in files.into_iter().enumerate() {
            let name = format!("uploads/video/originals/20260102_030405_0000000{index}.mov");
            storage.put(&Key::parse(&name).unwrap(), Bytes::from(file)).await.unwrap();
            let metadata = VideoMetadata {
                duration_seconds: 0.0,
                width: 0,
                height: 0,
                file_size: 0,
                content_type: String::new(),
                upload_time: chrono::DateTime::UNIX_EPOCH,
            };
            let job = jobs.enqueue(VideoJobDraft { original_file: name.clone(), metadata }).await.unwrap();
            worker.work(pending()).await.unwrap();
            let job = jobs.by_id(&job.job_id).await.unwrap();
            assert!(!job.error_message.is_empty() && job.thumbnail_options.is_empty(), "{job:?}");
            assert!(!job.error_message.contains("secret") && !job.error_message.contains("/tmp"), "{job:?}");
        }
        let stored: Vec<_> = storage.list(None).try_collect().await.unwrap();
        assert_eq!(stored.len(), 4, "{stored:?}");
    }
}
