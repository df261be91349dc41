use std::io::Cursor;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::middleware::Next;
use axum::routing::{get, post};
use docstore::Database;
use field_notes::http::routes;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::json;
use testkit::{Engine, Target};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::browser;
use crate::site::{Site, unlimited};
use crate::support::App;
use crate::surface::assert_no_route;
use crate::videos::has_ffmpeg;
use crate::visibility::content;

/// A page like that of the frontend: shows the story of the server that it comes from, and reports the widths of its pictures, and the
/// sizes of its videos after a later part was sought.
const PAGE: &str = r#"<!DOCTYPE html><body><script>
const event = (video, name) => new Promise((resolve, reject) => {
  video.addEventListener(name, resolve, { once: true });
  video.addEventListener("error", () => reject(video.error.message), { once: true });
});
const play = async (video) => {
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) await event(video, "loadeddata");
  const size = `${video.videoWidth}x${video.videoHeight}`;
  const sought = event(video, "seeked");
  video.currentTime = (video.duration * 2) / 3;
  await sought;
  return `${size} ${Math.round(video.currentTime)} ${video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA}`;
};
const show = async () => {
  const story = await (await fetch("/stories/slug/a-story")).json();
  document.body.insertAdjacentHTML("beforeend", story.content);
  const pictures = [...document.images];
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  const shown = pictures.map((picture) =>
    `${picture.className} ${picture.naturalWidth} ${new URL(picture.currentSrc).pathname.split("/")[3]}`);
  for (const video of document.querySelectorAll("video")) shown.push(await play(video));
  await fetch("/report", { method: "POST", body: shown.join("; ") });
};
show().catch((error) => fetch("/report", { method: "POST", body: String(error) }));
</script></body>"#;

fn form(name: &str, file: &[u8]) -> Vec<u8> {
    let head = format!("--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), file, b"\r\n--x--\r\n"].concat()
}

testkit::stores! {
    async fn t20_only_uploads_take_files_and_only_pictures_and_videos(db: Database) {
        let app = unlimited(&db).await;
        for path in ["/upload", "/media/a/b.svg", "/files/a.html", "/images", "/videos", "/import"] {
            assert_no_route(&app, path).await;
        }
        for path in ["/media", "/media/a.svg"] {
            for method in [Method::POST, Method::PUT] {
                assert_eq!(app.write("admin", method.clone(), path, &[], "{}").await.status, 405, "{method} {path}");
            }
        }
        let form = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"../../a.svg\"\r\nContent-Type: image/svg+xml\r\n\r\n<svg onload=alert(1)>\r\n--x--\r\n";
        let site = Site::create(&app).await;
        let before = content(&db).await;
        for route in routes().iter().filter(|route| matches!(route.method, Method::POST | Method::PUT) && !["/restore", "/hide"].iter().any(|end| route.path.ends_with(end))) {
            for kind in ["multipart/form-data; boundary=x", "image/svg+xml", "text/html", "application/octet-stream", "application/zip"] {
                let answer = app.write("admin", route.method.clone(), &site.path(route), &[("content-type", kind)], form).await;
                // An upload has no file unless it is a form.
                let expected = if route.path == "/uploads" && !kind.starts_with("multipart") { 422 } else { 415 };
                assert_eq!(answer.status, expected, "{} {}: {kind}", route.method.as_str(), route.path);
            }
        }
        assert_eq!(content(&db).await, before);
    }

    async fn uploaded_picture_of_a_story_is_shown_in_a_browser(db: Database) {
        let Some(program) = browser::locate_or_skip() else { return };
        let app = unlimited(&db).await;
        let mut file = Cursor::new(Vec::new());
        RgbImage::from_pixel(800, 30, Rgb([200, 30, 30])).write_to(&mut file, ImageFormat::Png).unwrap();
        let headers = [("content-type", "multipart/form-data; boundary=x")];
        let body = form("a.png", &file.into_inner());
        let uploaded = app.write("author", Method::POST, "/uploads", &headers, body).await.json();
        let [url, srcset] = ["urls", "srcsets"].map(|name| uploaded[name][0].as_str().unwrap().to_owned());
        // As the original's editor writes it.
        let picture = format!(
            "<p><img src=\"{url}\" srcset=\"{srcset}\" sizes=\"400px\" width=\"800\" height=\"30\" alt=\"red\" \
             class=\"responsive-image\"></p>"
        );
        publish(&app, &picture).await;
        assert_eq!(shown(&program, &app).await.0, "responsive-image 400 thumbnails");
    }
}

#[test]
fn uploaded_video_of_a_story_is_played_and_sought_in_a_browser() {
    let Some(program) = browser::locate_or_skip() else { return };
    if !has_ffmpeg() {
        return;
    }
    testkit::on(Engine::Embedded, async move |target: Arc<Target>| {
        let db = testkit::open!(target);
        let app = unlimited(&db).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.mp4");
        // Noise, so that it is larger than what a browser loads in advance.
        let source = "testsrc2=size=320x240:rate=10:duration=30,noise=alls=100:allf=t";
        let made = Command::new("ffmpeg")
            .args([
                "-nostdin",
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                source,
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
            ])
            .args(["-b:v", "5M", "-g", "10", "-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let headers = [("content-type", "multipart/form-data; boundary=x")];
        let body = form("clip.mp4", &std::fs::read(&file).unwrap());
        let uploaded = app.write("author", Method::POST, "/uploads", &headers, body).await.json();
        assert_eq!(uploaded["dimensions"][0], json!({ "width": 320, "height": 240 }));
        let url = uploaded["urls"][0].as_str().unwrap();
        // As the original's editor writes it.
        publish(
            &app,
            &format!("<video src=\"{url}\" width=\"320\" height=\"240\" controls=\"\" muted=\"\"></video>"),
        )
        .await;
        let (report, deliveries) = shown(&program, &app).await;
        assert_eq!(report, "320x240 20 true");
        let ranges: Vec<_> = deliveries.iter().filter(|delivery| delivery.path == url).collect();
        assert!(ranges.iter().all(|delivery| delivery.status == 206), "{ranges:?}");
        // What comes before that part is not read.
        let start = |range: &str| range.strip_prefix("bytes=")?.split_once('-')?.0.parse::<u64>().ok();
        assert!(ranges.iter().any(|delivery| start(&delivery.range) > Some(8 << 20)), "{ranges:?}");
        db.close().await;
    });
}

/// Names and separators of paths, as they are and in encodings that some servers decode.
const NAMES: [&str; 15] = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "..%00",
    "..;",
    "%c0%ae%c0%ae",
    "%ef%bc%8e%ef%bc%8e",
    ".",
    "",
    "folder",
    "uploads",
    "private",
    "secret.webp",
];
const SEPARATORS: [&str; 9] = ["/", "/", "/", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af"];

#[test]
fn t31_no_path_of_uploads_leads_to_another_file() {
    testkit::on(Engine::Embedded, async |target: Arc<Target>| {
        const SECRET: &str = "hunter2";
        let db = testkit::open!(target);
        let app = unlimited(&db).await;
        let folder = app.media_folder();
        for (path, content) in [
            ("secret.webp", SECRET),
            ("private/secret.webp", SECRET),
            ("uploads/folder/public.webp", "public"),
            ("uploads/public.webp", "public"),
        ] {
            std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.join(path), content).unwrap();
        }
        let mut random = fastrand::Rng::with_seed(31);
        let (mut asked, mut found) = (0, 0);
        while asked < 3000 {
            let mut path = "/uploads/".to_owned();
            for _ in 0..random.usize(0..5) {
                path += NAMES[random.usize(..NAMES.len())];
                path += SEPARATORS[random.usize(..SEPARATORS.len())];
            }
            path += random.choice(["secret.webp", "secret.webp", "public.webp"]).unwrap();
            // Some of these cannot be sent.
            let Ok(request) = Request::builder().uri(&path).body(Body::empty()) else { continue };
            asked += 1;
            let response = app.router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert!(!body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{path}");
            match status {
                200 => assert_eq!(body, "public", "{path}"),
                status => assert!(matches!(status, 400 | 404), "{path}: {status}"),
            }
            found += usize::from(status == 200);
        }
        assert!(found > 0);
        db.close().await;
    });
}

/// Publishes a story with a content that is kept as it is.
async fn publish(app: &App, content: &str) {
    let story = json!({ "title": "A story", "content": content, "is_published": true });
    let story = app.create("author", "/stories", &story).await;
    assert_eq!(story["content"], content, "the editor's attributes are kept");
}

/// A request that a browser sent, and the status of the answer.
#[derive(Debug)]
struct Delivery {
    path: String,
    range: String,
    status: u16,
}

/// Opens the page in a browser, beside the server. Returns what it reports, and what it asked for.
async fn shown(program: &std::path::Path, app: &App) -> (String, Vec<Delivery>) {
    let (sender, mut reports) = mpsc::channel(1);
    let page = [(header::CONTENT_TYPE.as_str(), "text/html; charset=utf-8")];
    let (delivered, mut deliveries) = mpsc::unbounded_channel();
    let record = move |request: Request<Body>, next: Next| {
        let delivered = delivered.clone();
        async move {
            let path = request.uri().path().to_owned();
            let range =
                request.headers().get(header::RANGE).map(|range| range.to_str().expect("text").to_owned());
            let response = next.run(request).await;
            let status = response.status().as_u16();
            let _ = delivered.send(Delivery { path, range: range.unwrap_or_default(), status });
            response
        }
    };
    let site = Router::new()
        .route("/page", get(move || async move { (page, PAGE) }))
        .route(
            "/report",
            post(move |report: String| async move { sender.send(report).await.is_ok().to_string() }),
        )
        .fallback_service(app.router.clone())
        .layer(axum::middleware::from_fn(record));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move { axum::serve(listener, site).await });
    let report = browser::visit(program, &format!("http://{address}/page"), &mut reports).await;
    served.abort();
    let mut asked = Vec::new();
    while let Ok(delivery) = deliveries.try_recv() {
        asked.push(delivery);
    }
    (report, asked)
}
