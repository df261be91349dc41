use std::fs;
use std::future::pending;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docstore::Database;
use field_notes::domain::{VideoJob, VideoJobDraft, VideoJobStatus, VideoMetadata};
use field_notes::media::video::FfmpegSettings;
use field_notes::media::{Key, Location, Storage, StorageSettings};
use field_notes::service::{VideoJobs, VideoWorker};
use field_notes::startup;
use futures_util::TryStreamExt as _;
use testkit::{Engine, Target};

use crate::site::unlimited;

const VIDEO: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/quicktime");
const AVI: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/avi");
/// A file of subtitles.
const SUBTITLES: &[u8] = b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n";

/// Reports whether `ffmpeg` is installed; without it the test is reported as not run, and fails where CI requires it.
pub(crate) fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true requires ffmpeg");
    if !found {
        println!("not run: ffmpeg is not installed");
    }
    found
}

/// The worker with the real `ffmpeg`, and its files.
struct Bench {
    jobs: VideoJobs,
    storage: Storage,
    worker: VideoWorker,
}

impl Bench {
    async fn on(db: &Database, ffmpeg: &Path) -> Self {
        let app = unlimited(db).await;
        let jobs = startup::services(&app.config, db, Arc::new(app.clock.clone())).video_jobs;
        let storage = StorageSettings { location: Location::Memory, options: Vec::new() };
        let storage = Storage::open(&storage).expect("the storage opens");
        let settings =
            FfmpegSettings { enabled: true, program: ffmpeg.into(), timeout: Duration::from_mins(1) };
        let worker = VideoWorker::new(jobs.clone(), storage.clone(), settings);
        Self { jobs, storage, worker }
    }

    /// Stores a file as one of the original's names, and has it processed.
    async fn process(&self, index: usize, extension: &str, file: Vec<u8>) -> VideoJob {
        let name = format!("uploads/video/originals/20260102_030405_0000000{index}.{extension}");
        self.storage.put(&key(&name), Bytes::from(file)).await.expect("it is stored");
        let metadata = VideoMetadata {
            duration_seconds: 0.0,
            width: 0,
            height: 0,
            file_size: 0,
            content_type: String::new(),
            upload_time: chrono::DateTime::UNIX_EPOCH,
        };
        let draft = VideoJobDraft { original_file: name, metadata };
        let job = self.jobs.enqueue(draft).await.expect("a job");
        self.worker.work(pending()).await.expect("the store is there");
        self.jobs.by_id(&job.job_id).await.expect("the job is there")
    }

    async fn poster(&self, index: usize) -> Vec<u8> {
        let name = format!("uploads/thumbnails/20260102_030405_0000000{index}_poster.jpg");
        let object = self.storage.get(&key(&name)).await.expect("there is a poster");
        object.body.try_collect::<Vec<_>>().await.expect("it is read").concat()
    }
}

fn key(name: &str) -> Key {
    Key::parse(name).expect("a name")
}

/// Returns a chunk of an AVI file.
fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short chunk").to_le_bytes();
    [&kind[..], &length, content, &[0][..content.len() % 2]].concat()
}

/// Returns an AVI file with a second stream, of subtitles that are a file within the file.
fn with_subtitles(file: &[u8]) -> Vec<u8> {
    let content_of = |start: usize| {
        let size = u32::from_le_bytes(AVI[start + 4..start + 8].try_into().expect("four bytes"));
        &AVI[start + 8..start + 8 + size as usize]
    };
    let mut headers = content_of(12).to_vec();
    let movie = AVI.windows(4).position(|window| window == b"movi").expect("a movie") - 8;
    // The number of streams.
    headers[36..40].copy_from_slice(&2_u32.to_le_bytes());
    let mut stream = b"txts".to_vec();
    stream.extend([0; 16]);
    for number in [1, 1000, 0, 1, 0, u32::MAX, 0, 0, 0] {
        stream.extend(u32::to_le_bytes(number));
    }
    let stream = [&b"strl"[..], &chunk(*b"strh", &stream), &chunk(*b"strf", b"")].concat();
    headers.extend(chunk(*b"LIST", &stream));
    let length = u32::try_from(file.len()).expect("a short file").to_le_bytes();
    // An empty title in UTF-16, then the file.
    let subtitles = [b"GAB2\0\x02\0\x02\0\0\0\0\0\x04\0", &length[..], file].concat();
    let movie = [b"movi", &*chunk(*b"01tx", &subtitles), &content_of(movie)[4..]].concat();
    chunk(*b"RIFF", &[&b"AVI "[..], &chunk(*b"LIST", &headers), &chunk(*b"LIST", &movie)].concat())
}

/// Runs `ffmpeg` with options of a careless program.
fn careless(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]).args(arguments).stdin(Stdio::null());
    command
}

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
        if !has_ffmpeg() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (secret, attack) = (folder.path().join("secret.mov"), folder.path().join("attack.mov"));
        fs::write(&secret, VIDEO).unwrap();
        fs::write(&attack, with_pictures_of(&secret)).unwrap();
        // With careless options the attack works.
        let followed = careless(&["-xerror", "-enable_drefs", "1", "-use_absolute_path", "1", "-i"])
            .arg(&attack)
            .args(["-frames:v", "1", "-f", "mjpeg"])
            .arg(folder.path().join("shown.jpg"))
            .output()
            .unwrap();
        let shown = fs::metadata(folder.path().join("shown.jpg")).map_or(0, |picture| picture.len());
        assert!(followed.status.success() && shown > 100, "{}", String::from_utf8_lossy(&followed.stderr));
        let bench = Bench::on(&db, Path::new("ffmpeg")).await;
        let playlist = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n", secret.display());
        let list = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
        let mut disguised = b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec();
        disguised.extend(playlist.as_bytes());
        let files = [fs::read(&attack).unwrap(), playlist.into_bytes(), list.into_bytes(), disguised];
        for (index, file) in files.into_iter().enumerate() {
            let job = bench.process(index, "mov", file).await;
            assert!(!job.error_message.is_empty() && job.thumbnail_options.is_empty(), "{job:?}");
            assert!(!job.error_message.contains("secret") && !job.error_message.contains("/tmp"), "{job:?}");
        }
        let stored: Vec<_> = bench.storage.list(None).try_collect().await.unwrap();
        assert_eq!(stored.len(), 4, "{stored:?}");
    }
}

#[test]
fn t20_subtitles_of_videos_open_nothing() {
    if !has_ffmpeg() {
        return;
    }
    testkit::on(Engine::Embedded, async |target: Arc<Target>| {
        let folder = tempfile::tempdir().unwrap();
        let (attack, list) = (folder.path().join("attack.avi"), folder.path().join("list.m3u8"));
        // Another demuxer opens the file within the file, unless its name is not on the list.
        fs::write(&attack, with_subtitles(SUBTITLES)).unwrap();
        let attack = attack.to_str().unwrap();
        let shown = |options: &[&str]| {
            let arguments = [options, &["-i", attack, "-map", "0:s:0", "-f", "srt", "-"]].concat();
            let output = careless(&arguments).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains("hello")
        };
        assert!(shown(&[]));
        assert!(!shown(&["-format_whitelist", "avi", "-f", "avi"]));
        // A playlist that names an address; `ffmpeg` connects to it if it reads the list as one.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let playlist =
            format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nhttp://{address}/a.ts\n#EXT-X-ENDLIST\n");
        fs::write(&list, &playlist).unwrap();
        let list = list.to_str().unwrap();
        let options = ["-protocol_whitelist", "file,http,tcp", "-f", "hls", "-i", list, "-f", "null", "-"];
        let mut process = careless(&options).stderr(Stdio::null()).spawn().unwrap();
        while listener.accept().is_err() {
            assert!(process.try_wait().unwrap().is_none(), "the playlist is not read as one");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        while listener.accept().is_ok() {}

        // Keeps the errors, which the worker forgets when a file is processed in spite of them.
        let (script, log) = (folder.path().join("ffmpeg"), folder.path().join("errors"));
        fs::write(&script, format!("#!/bin/sh\nexec ffmpeg \"$@\" 2>>{}\n", log.display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let db = testkit::open!(target);
        let bench = Bench::on(&db, &script).await;
        let names_file = format!("ffconcat version 1.0\nfile 'http://{address}/a.avi'\n");
        for (index, file) in [playlist.as_bytes(), SUBTITLES].into_iter().enumerate() {
            let job = bench.process(index, "avi", with_subtitles(file)).await;
            assert_eq!(job.status, VideoJobStatus::Completed, "{job:?}");
        }
        let errors = fs::read_to_string(&log).unwrap();
        assert!(errors.contains("Format not on whitelist"), "no second demuxer is opened: {errors}");
        // Lists that only begin as a video.
        for (index, file) in [&playlist, &names_file].into_iter().enumerate() {
            let disguised = [b"RIFF\0\0\0\0AVI ", file.as_bytes()].concat();
            let job = bench.process(index + 2, "avi", disguised).await;
            assert!(!job.error_message.is_empty() && job.thumbnail_options.is_empty(), "{job:?}");
        }
        assert!(bench.poster(0).await == bench.poster(1).await, "the picture is that of the video in both");
        assert!(listener.accept().is_err(), "an address was asked for");
        db.close().await;
    });
}
