//! The worker inside the server, with the real `ffmpeg`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use docstore::{Filter, Find};
use serde_json::json;
use testkit::Target;

use crate::program::{Program, Server, open_store};

const FILE: &str = "uploads/video/originals/20260102_030405_0a1b2c3d.mp4";
/// The length of a look for something that another process does.
const POLL: Duration = Duration::from_millis(50);

fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true requires ffmpeg");
    if !found {
        println!("not run: ffmpeg is not installed");
    }
    found
}

/// Creates a job that the worker takes.
async fn enqueue(server: &Server) -> String {
    let metadata = json!({
        "duration_seconds": 0, "width": 0, "height": 0, "file_size": 0, "content_type": "video/mp4",
        "upload_time": "2026-01-02T03:04:05Z",
    });
    let draft = json!({ "original_file": FILE, "metadata": metadata });
    let (status, created) = server.post_as_admin("/video-processing/jobs", &draft).await;
    assert_eq!(status, 200, "{created}");
    let path = format!("/video-processing/jobs/{}", created["job_id"].as_str().expect("an id"));
    assert_eq!(server.patch_as_admin(&path, &json!({ "status": "pending" })).await.0, 200);
    path
}

testkit::targets! {
    async fn killed_server_resumes_the_processing_of_a_video(target: Arc<Target>) {
        if !has_ffmpeg() {
            return;
        }
        let program = Program::on(&target);
        let folder = program.folder().to_owned();
        let media = folder.join("media");
        let (original, marker, script) = (media.join(FILE), folder.join("marker"), folder.join("ffmpeg"));
        fs::create_dir_all(original.parent().unwrap()).unwrap();
        fs::write(&original, include_bytes!("../../fuzz/corpus/video_headers/mp4_rotated")).unwrap();
        // Hangs the first time, and is `ffmpeg` after that.
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *-encoders*) exec ffmpeg \"$@\";; esac\n\
             [ -e {0} ] || {{ echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600; }}\nexec ffmpeg \"$@\"\n",
            marker.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let program = program
            .with("MEDIA_URL", &format!("file://{}", media.display()))
            .with("FFMPEG", &script.display().to_string())
            .with("TMPDIR", &folder.display().to_string());
        let mut server = program.serve().await;
        let path = enqueue(&server).await;
        while !marker.exists() {
            tokio::time::sleep(POLL).await;
        }
        assert_eq!(server.get_as_admin(&path).await.1["status"], "processing");
        server.signal("KILL");
        server.wait();
        // The child of a killed process goes on, without effect.
        let child = fs::read_to_string(&marker).unwrap();
        let left = || fs::read_dir(&folder).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("field-notes-video-")
        }).count();
        assert_eq!(left(), 1);
        let server = program.serve().await;
        let job = loop {
            let job = server.get_as_admin(&path).await.1;
            if job["status"] != "processing" {
                break job;
            }
            tokio::time::sleep(POLL).await;
        };
        Command::new("kill").args(["-KILL", child.trim()]).status().unwrap();
        assert_eq!((&job["status"], &job["error_message"]), (&json!("completed"), &json!("")), "{job}\n{}", server.output());
        assert_eq!((&job["metadata"]["width"], &job["metadata"]["height"]), (&json!(36), &json!(64)));
        for made in ["thumbnails/20260102_030405_0a1b2c3d_poster.jpg", "thumbnails/20260102_030405_0a1b2c3d_thumb_4.jpg", "video/mp4_720p/20260102_030405_0a1b2c3d.mp4"] {
            assert!(fs::metadata(media.join("uploads").join(made)).unwrap().len() > 100, "{made}");
        }
        assert_eq!(fs::read(&original).unwrap(), include_bytes!("../../fuzz/corpus/video_headers/mp4_rotated"));
        assert_eq!(left(), 0, "temporary files of both attempts are removed");
        let store = open_store(&target).await;
        let stored = store.collection("video_processing_jobs").find_one(Find::new(Filter::All)).await.unwrap().unwrap();
        assert_eq!(stored.get_i64("attempts").unwrap(), 2);
        store.close().await;
    }
}

/// A multipart body with an mp4.
fn upload() -> Vec<u8> {
    let head = "--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.mp4\"\r\n\r\n";
    let video = include_bytes!("../../fuzz/corpus/video_headers/mp4");
    [head.as_bytes(), video, b"\r\n--b--\r\n"].concat()
}

/// Another process cannot see what is in the memory of a server, and so could not another storage of the same process.
#[test]
fn worker_has_the_storage_of_its_server() {
    testkit::on(testkit::Engine::Embedded, async |target: Arc<Target>| {
        let program = Program::on(&target);
        let script = program.folder().join("ffmpeg");
        let text = "#!/bin/sh\ncase \"$*\" in *-encoders*) echo libx264 aac mjpeg; exit 0;; esac\n\
                    for last; do :; done\necho made >\"${last#file:}\"\n";
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.with("MEDIA_URL", "memory://").with("FFMPEG", &script.display().to_string());
        let server = program.serve().await;
        let client = reqwest::Client::new();
        let request = client.post(format!("{}/uploads", server.base())).bearer_auth("dev-mock-admin");
        let request = request.header("content-type", "multipart/form-data; boundary=b").body(upload());
        let uploaded: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        let url = uploaded["urls"][0].as_str().unwrap_or_else(|| panic!("{uploaded}"));
        let job = loop {
            let jobs = server.get_as_admin("/video-processing/jobs").await.1;
            if !["pending", "processing"].contains(&jobs[0]["status"].as_str().unwrap()) {
                break jobs[0].clone();
            }
            tokio::time::sleep(POLL).await;
        };
        assert_eq!((&job["status"], &job["error_message"]), (&json!("completed"), &json!("")), "{job}");
        let smaller = url.replace("/originals/", "/mp4_720p/");
        assert_eq!(server.look(&smaller).await.body, "made\n");
    });
}

#[test]
fn doctor_names_missing_ffmpeg() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("FFMPEG", "/no/such/ffmpeg");
    program.run(&["migrate", "up"]).expect(0);
    let examined = program.run(&["doctor"]).expect(0).stdout;
    assert!(
        examined.contains(
            "! uploaded videos get no poster, thumbnails and smaller form: /no/such/ffmpeg cannot be run"
        ),
        "{examined}"
    );
    let program = program.with("VIDEO_PROCESSING", "off");
    assert!(!program.run(&["doctor"]).expect(0).stdout.contains("ffmpeg"));
}
