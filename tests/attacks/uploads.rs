use std::io::Cursor;

use axum::Router;
use axum::http::{Method, header};
use axum::routing::{get, post};
use docstore::Database;
use field_notes::http::routes;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::browser;
use crate::site::{Site, unlimited};
use crate::support::App;
use crate::surface::assert_no_route;
use crate::visibility::content;

/// A page like that of the frontend: shows the story of the server that it comes from, and reports the widths of its pictures.
const PAGE: &str = r#"<!DOCTYPE html><body><script>
const show = async () => {
  const story = await (await fetch("/stories/slug/a-picture")).json();
  document.body.insertAdjacentHTML("beforeend", story.content);
  const pictures = [...document.images];
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  const shown = pictures.map((picture) =>
    `${picture.className} ${picture.naturalWidth} ${new URL(picture.currentSrc).pathname.split("/")[3]}`);
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
        for path in ["/upload", "/media", "/media/a.svg", "/files/a.html", "/images", "/videos", "/import"] {
            assert_no_route(&app, path).await;
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
        let story = json!({ "title": "A picture", "content": picture, "is_published": true });
        let story = app.create("author", "/stories", &story).await;
        assert_eq!(story["content"], picture, "the editor's attributes are kept");
        assert_eq!(shown(&program, &app).await, "responsive-image 400 thumbnails");
    }
}

/// Opens the page in a browser, beside the server, and returns what it reports.
async fn shown(program: &std::path::Path, app: &App) -> String {
    let (sender, mut reports) = mpsc::channel(1);
    let page = [(header::CONTENT_TYPE.as_str(), "text/html; charset=utf-8")];
    let site = Router::new()
        .route("/page", get(move || async move { (page, PAGE) }))
        .route(
            "/report",
            post(move |report: String| async move { sender.send(report).await.is_ok().to_string() }),
        )
        .fallback_service(app.router.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move { axum::serve(listener, site).await });
    let report = browser::visit(program, &format!("http://{address}/page"), &mut reports).await;
    served.abort();
    report
}
