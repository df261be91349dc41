//! The delivery of pictures and videos, from folders and from buckets.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use docstore::Database;
use field_notes::config::Config;
use field_notes::media::{Bucket, Key, Location, Put, Storage, StorageSettings};
use futures_util::TryStreamExt as _;
use testkit::buckets::{BucketKind, BucketServer, with_bucket_server};
use testkit::{Engine, Target};
use tower::ServiceExt as _;

use crate::cors::{FOREIGN, OURS};
use crate::support::{Answer, App};

const ID: &str = "20260102_030405_0a1b2c3d";
const MISSING: &str = "Media file not found";

/// Bytes in which each position differs from its neighbors.
fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|n| n.to_le_bytes()[n as usize % 4]).collect()
}

async fn put(storage: &Storage, path: &str, bytes: &[u8]) {
    let key = Key::in_uploads(path).expect("a name");
    storage.put(&key, Bytes::copy_from_slice(bytes)).await.expect("a file is written");
}

/// The files of an application, and how a test writes them.
enum Files {
    Storage(Storage),
    /// The interface that Google's own libraries use: fake-gcs-server takes no files by the one of XML.
    Google(reqwest::Client, String),
}

impl Files {
    async fn put(&self, path: &str, bytes: &[u8]) {
        match self {
            Self::Storage(storage) => put(storage, path, bytes).await,
            Self::Google(client, server) => {
                let name = format!("a b/uploads/{path}");
                let query = [("uploadType", "media"), ("name", &*name)];
                let url =
                    reqwest::Url::parse_with_params(&format!("{server}/upload/storage/v1/b/site/o"), query);
                let request = client.post(url.expect("a URL")).header("content-type", "image/webp");
                let sent = request.body(bytes.to_vec()).send().await.expect("an answer");
                sent.error_for_status().expect("a file is written");
            }
        }
    }
}

async fn app_with(db: &Database, media: StorageSettings) -> App {
    App::on_with(db, |config: &mut Config| config.media = media).await
}

async fn part(app: &App, path: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let answer = app.send(Method::GET, path, headers).await;
    (answer.status.as_u16(), answer.header("content-range").to_owned(), answer.bytes)
}

fn is_problem(answer: &Answer, detail: &str) -> bool {
    answer.json()["detail"] == detail && answer.header("cache-control") == "no-store"
}

async fn cache_control(app: &App, path: &str) -> String {
    app.get(path).await.header("cache-control").to_owned()
}

/// Starts a server whose every answer has a status.
async fn failing(status: u16) -> wiremock::MockServer {
    let server = wiremock::MockServer::start().await;
    let response = wiremock::ResponseTemplate::new(status);
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(response).mount(&server).await;
    server
}

/// Checks the delivery from any storage; `files` are those of `app`.
async fn delivery(app: &App, files: &Files) {
    let name = format!("images/originals/{ID}.webp");
    let (path, content) = (format!("/uploads/{name}"), bytes(200_000));
    let missing = app.get(&path).await;
    assert_eq!(missing.status, 404);
    assert!(is_problem(&missing, MISSING));
    files.put(&name, &content).await;
    let whole = app.send(Method::GET, &path, &[("origin", OURS)]).await;
    assert_eq!((whole.status.as_u16(), whole.bytes == content), (200, true));
    for (header, value) in [
        ("content-type", "image/webp"),
        ("content-length", "200000"),
        ("accept-ranges", "bytes"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", OURS),
        ("x-content-type-options", "nosniff"),
        ("vary", "Origin"),
        ("content-disposition", ""),
    ] {
        assert_eq!(whole.header(header), value, "{header}");
    }
    assert!(whole.header("content-security-policy").ends_with("sandbox"));
    let (tag, modified) = (whole.header("etag"), whole.header("last-modified"));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");

    let head = app.send(Method::HEAD, &path, &[]).await;
    assert_eq!((head.status.as_u16(), head.bytes.len(), head.header("content-length")), (200, 0, "200000"));
    assert_eq!((head.header("etag"), head.header("content-type")), (tag, "image/webp"));

    for (headers, status) in [
        (vec![("if-none-match", tag)], 304),
        (vec![("if-none-match", "\"other\", W/\"x\"")], 200),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-modified-since", modified)], 304),
        (vec![("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")], 200),
        (vec![("if-modified-since", "yesterday")], 200),
        (vec![("if-none-match", "\"other\""), ("if-modified-since", modified)], 200),
    ] {
        let answer = app.send(Method::GET, &path, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.is_empty()), (status, status == 304), "{headers:?}");
        assert_eq!((answer.header("etag"), answer.header("vary")), (tag, "Origin"), "{headers:?}");
    }

    let expect = |range: std::ops::Range<usize>| {
        (206, format!("bytes {}-{}/200000", range.start, range.end - 1), content[range].to_vec())
    };
    for (range, expected) in [
        ("bytes=0-99", 0..100),
        ("bytes=100000-", 100_000..200_000),
        ("bytes=-5", 199_995..200_000),
        ("bytes=199999-300000", 199_999..200_000),
    ] {
        assert!(part(app, &path, &[("range", range)]).await == expect(expected), "{range}");
        let head = app.send(Method::HEAD, &path, &[("range", range)]).await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "200000"), "{range}");
    }
    for (validator, is_part) in [
        (tag, true),
        (modified, true),
        ("\"other\"", false),
        ("W/\"x\"", false),
        ("Thu, 01 Jan 2026 00:00:00 GMT", false),
    ] {
        let (status, ..) = part(app, &path, &[("range", "bytes=0-9"), ("if-range", validator)]).await;
        assert_eq!(status, if is_part { 206 } else { 200 }, "{validator}");
    }
    for ignored in ["bytes=9-3", "bytes=0-1,5-6", "bytes=a-b", "lines=0-1", "bytes", ""] {
        let (status, _, body) = part(app, &path, &[("range", ignored)]).await;
        assert_eq!((status, body.len()), (200, 200_000), "{ignored:?}");
    }
    for past in ["bytes=200000-", "bytes=300000-400000", "bytes=-0", "bytes=99999999999999999999-"] {
        let answer = app.send(Method::GET, &path, &[("range", past)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range")),
            (416, "bytes */200000"),
            "{past}"
        );
    }

    // A changed file has another tag, and no part of it is taken for one of the former.
    let (former, changed) = (tag.to_owned(), bytes(300));
    files.put(&name, &changed).await;
    let (status, _, body) = part(app, &path, &[("range", "bytes=0-9"), ("if-range", &former)]).await;
    assert_eq!((status, body == changed), (200, true));
    assert_eq!(app.send(Method::GET, &path, &[("if-none-match", &former)]).await.status, 200);
    files.put("empty.webp", b"").await;
    let empty = app.get("/uploads/empty.webp").await;
    assert_eq!((empty.status.as_u16(), empty.header("content-length"), empty.bytes.len()), (200, "0", 0));
}

testkit::stores! {
    async fn files_are_delivered_with_ranges_and_conditions(db: Database) {
        let app = App::on(&db).await;
        delivery(&app, &Files::Storage(app.media())).await;
    }

    async fn sizes_select_the_variant_of_every_naming(db: Database) {
        let app = App::on(&db).await;
        let storage = app.media();
        let files = [
            format!("images/originals/{ID}.webp"), format!("images/medium/{ID}.webp"), format!("images/thumbnails/{ID}.webp"),
            format!("{ID}.webp"), format!("{ID}_750.webp"), format!("{ID}_500.webp"),
            format!("photos/65a0b1c2d3e4f50617283940/{ID}.webp"), format!("photos/65a0b1c2d3e4f50617283940/{ID}_1536.webp"),
            "old.png".to_owned(), "clip.mp4".to_owned(),
        ];
        for file in &files {
            put(&storage, file, file.as_bytes()).await;
        }
        for (path, size, file) in [
            (&files[0], "400", &files[2]), (&files[0], "500", &files[1]), (&files[0], "768", &files[1]), (&files[0], "769", &files[0]),
            (&files[0], "2048", &files[0]), (&files[0], "-1", &files[2]), (&files[1], "9999", &files[0]), (&files[2], "600", &files[1]),
            (&files[3], "500", &files[5]), (&files[3], "750", &files[4]), (&files[3], "1200", &files[3]), (&files[5], "1200", &files[3]),
            (&files[6], "400", &files[7]), (&files[6], "1536", &files[7]), (&files[6], "1537", &files[6]),
            (&files[8], "500", &files[8]), (&files[9], "500", &files[9]),
        ] {
            let answer = app.get(&format!("/uploads/{path}?size={size}")).await;
            assert_eq!((answer.status.as_u16(), String::from_utf8(answer.bytes).unwrap().as_str()), (200, file.as_str()), "{path} {size}");
        }
        // Narrower is better than nothing.
        let answer = app.get("/uploads/images/originals/other.webp?size=500").await;
        assert_eq!(answer.status, 404);
        put(&storage, "images/thumbnails/other.webp", b"t").await;
        assert_eq!(app.get("/uploads/images/originals/other.webp?size=500").await.bytes, b"t");
        let (immutable, an_hour) = ("public, max-age=31536000, immutable", "public, max-age=3600");
        assert_eq!(cache_control(&app, &format!("/uploads/{}?size=768", files[0])).await, immutable);
        // A better variant may come.
        assert_eq!(cache_control(&app, &format!("/uploads/{}?size=1536", files[0])).await, an_hour);
        assert_eq!(cache_control(&app, "/uploads/old.png").await, an_hour);
        assert_eq!(app.get(&format!("/uploads/{}?size=big", files[0])).await.status, 422);
    }

    async fn only_known_media_are_shown_by_browsers(db: Database) {
        let app = App::on(&db).await;
        for (file, kind) in [("a.jpg", "image/jpeg"), ("a.PNG", "image/png"), ("a.gif", "image/gif"), ("a.mp4", "video/mp4"), ("a.webm", "video/webm"), ("a.mov", "video/quicktime")] {
            put(&app.media(), file, b"x").await;
            let answer = app.get(&format!("/uploads/{file}")).await;
            assert_eq!((answer.header("content-type"), answer.header("content-disposition")), (kind, ""), "{file}");
        }
        for file in ["a.svg", "a.html", "a.webp.html", "a.js", "a", "a.pdf"] {
            put(&app.media(), file, b"<script>alert(1)</script>").await;
            let answer = app.get(&format!("/uploads/{file}")).await;
            assert_eq!((answer.header("content-type"), answer.header("content-disposition")), ("application/octet-stream", "attachment"), "{file}");
            assert!(answer.header("content-security-policy").contains("sandbox"), "{file}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{file}");
        }
    }

    async fn no_path_leads_out_of_the_folder(db: Database) {
        let app = App::on(&db).await;
        let folder = app.media_folder();
        std::fs::create_dir_all(folder.join("uploads/folder")).unwrap();
        std::fs::write(folder.join("secret.webp"), "secret").unwrap();
        std::fs::write(folder.join("uploads/ünï code.webp"), "found").unwrap();
        assert_eq!(app.get("/uploads/%C3%BCn%C3%AF%20code.webp").await.bytes, b"found");
        let long = "a".repeat(1000);
        for path in [
            "../secret.webp", "..%2Fsecret.webp", "%2e%2e/secret.webp", "%2e%2e%2fsecret.webp", "folder/../../secret.webp", "folder/%2E%2E/%2E%2E/secret.webp",
            "..%5Csecret.webp", "..\\secret.webp", "%252e%252e/secret.webp", "%252e%252e%252fsecret.webp", "..%00/secret.webp", "secret.webp%00.webp", "%00",
            "..%c0%afsecret.webp", "/etc/passwd", "//etc/passwd", "%2Fetc%2Fpasswd", "folder", "folder/", ".", "..", "%2e", "folder//a", "a#1", "a%231", "%0d%0aLocation:%20x",
            "日本.webp", &long, &format!("{long}.webp"), &"a/".repeat(600), "CON", "~root/secret.webp", "file:///etc/passwd",
        ] {
            for url in [format!("/uploads/{path}"), format!("/uploads/{path}?size=500")] {
                // A client that does not encode sends some of these as they are, others cannot be sent.
                let Ok(request) = Request::builder().uri(&url).body(Body::empty()) else { continue };
                let response = app.router.clone().oneshot(request).await.unwrap();
                let is_refused = response.status() == 404 || (path.contains("%c0") && response.status() == 400);
                assert!(is_refused, "{url}: {}", response.status());
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
                assert!(!body.windows(6).any(|part| part == b"secret" && !url.contains("secret")) && !body.starts_with(b"secret"), "{url}");
            }
        }
    }

    async fn options_are_answered_without_a_preflight(db: Database) {
        let app = App::on(&db).await;
        let answer = app.send(Method::OPTIONS, "/uploads/a/b.webp", &[("origin", OURS)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, OURS));
        assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
        assert_eq!(answer.header("access-control-allow-headers"), "Content-Type, Authorization, User-Agent");
        assert_eq!(answer.header("access-control-max-age"), "86400");
        let answer = app.send(Method::OPTIONS, "/uploads/a.webp", &[("origin", FOREIGN)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, ""));
        let preflight = [("origin", OURS), ("access-control-request-method", "GET")];
        assert_eq!(app.send(Method::OPTIONS, "/uploads/a.webp", &preflight).await.header("access-control-max-age"), "600");
    }

    async fn files_are_delivered_while_the_store_is_down(db: Database) {
        let app = App::on(&db).await;
        put(&app.media(), "a.webp", b"x").await;
        db.close().await;
        assert_eq!(app.get("/uploads/a.webp").await.bytes, b"x");
    }

    async fn a_folder_that_cannot_be_read_is_503(db: Database) {
        let taken = tempfile::NamedTempFile::new().unwrap();
        // Opening anything below a file fails; so does one that refers to itself.
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("uploads")).unwrap();
        std::os::unix::fs::symlink("loop.webp", folder.path().join("uploads/loop.webp")).unwrap();
        let app = app_with(&db, StorageSettings { location: Location::Folder(folder.path().into()), options: Vec::new() }).await;
        let answer = app.get("/uploads/loop.webp").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
        assert!(is_problem(&answer, "the storage of media is unavailable at present"));
        let app = app_with(&db, StorageSettings { location: Location::Folder(taken.path().into()), options: Vec::new() }).await;
        assert_eq!(app.get("/uploads/a.webp").await.status, 404);
    }
}

/// Runs a test on a server of object storage, with an application on the embedded store.
fn with_bucket<F>(kind: BucketKind, body: impl FnOnce(App, Storage, BucketServer) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_bucket_server(kind, async move |server: BucketServer| {
        let settings = settings(&server);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let created = match kind {
            BucketKind::S3 => client.put(format!("{}/site", server.url())).send().await,
            BucketKind::Google => {
                let url = format!("{}/storage/v1/b?project=tests", server.url());
                client.post(url).json(&serde_json::json!({ "name": "site" })).send().await
            }
        };
        created.and_then(reqwest::Response::error_for_status).expect("the bucket is created");
        let storage = Storage::open(&settings).expect("the settings are good");
        let folder = testkit::scratch("media-").expect("a folder can be created");
        let db = testkit::open_location!(testkit::StoreLocation::Embedded(folder.path().join("store.db")));
        let app = app_with(&db, settings).await;
        body(app, storage, server).await;
        db.close().await;
    });
}

fn settings(server: &BucketServer) -> StorageSettings {
    let option = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let bucket = Bucket { name: "site".to_owned(), prefix: "a b".to_owned() };
    match server.kind() {
        BucketKind::S3 => StorageSettings {
            location: Location::S3(bucket),
            options: [
                ("aws_endpoint_url", &*server.url()),
                ("aws_access_key_id", "key"),
                ("aws_secret_access_key", "secret"),
            ]
            .map(option)
            .into(),
        },
        BucketKind::Google => StorageSettings {
            location: Location::Google(bucket),
            options: [("google_base_url", &*server.url()), ("google_bearer_token", "emulator")]
                .map(option)
                .into(),
        },
    }
}

#[test]
fn files_of_s3_are_delivered_with_ranges_and_conditions() {
    with_bucket(BucketKind::S3, async |app: App, storage: Storage, _server: BucketServer| {
        delivery(&app, &Files::Storage(storage.clone())).await;
        // More than one part, and bytes that are sent while others are read.
        let content = bytes(9_000_000);
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &content).unwrap();
        storage.put_file(&Key::in_uploads("long.mp4").unwrap(), file).await.unwrap();
        let answer = app.get("/uploads/long.mp4").await;
        assert_eq!((answer.header("content-type"), answer.bytes == content), ("video/mp4", true));
        let mut names: Vec<_> =
            storage.list(None).map_ok(|info| info.key.to_string()).try_collect().await.unwrap();
        names.sort();
        assert_eq!(names[0], "uploads/empty.webp");
        assert_eq!(names.len(), 3);
        let (long, copy) = (Key::in_uploads("long.mp4").unwrap(), Key::in_uploads("copy").unwrap());
        assert_eq!(storage.put_new(&long, Bytes::new()).await.unwrap(), Put::Exists);
        storage.copy(&long, &copy).await.unwrap();
        // Without an extension, the type is the one that the bucket has.
        let answer = app.get("/uploads/copy").await;
        assert_eq!(
            (answer.header("content-type"), answer.header("content-length")),
            ("video/mp4", "9000000")
        );
        storage.delete(&long).await.unwrap();
        storage.delete(&long).await.unwrap();
        assert_eq!(app.get("/uploads/long.mp4").await.status, 404);
    });
}

#[test]
fn files_of_google_are_delivered_with_ranges_and_conditions() {
    with_bucket(BucketKind::Google, async |app: App, storage: Storage, server: BucketServer| {
        let files = Files::Google(reqwest::Client::new(), server.url());
        delivery(&app, &files).await;
        let names: Vec<_> =
            storage.list(None).map_ok(|info| info.key.to_string()).try_collect().await.unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        let key = Key::in_uploads("empty.webp").unwrap();
        storage.delete(&key).await.unwrap();
        assert_eq!(app.get("/uploads/empty.webp").await.status, 404);
    });
}

#[test]
fn a_bucket_that_fails_is_503() {
    testkit::on(Engine::Embedded, async |target: Arc<Target>| {
        let db = testkit::open!(target);
        // One that refuses, one that fails, one where nothing listens.
        let (denied, broken) = (failing(403).await, failing(500).await);
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in [denied.uri(), broken.uri(), format!("http://{gone}")] {
            let options = [
                ("aws_endpoint_url", &*url),
                ("aws_access_key_id", "key"),
                ("aws_secret_access_key", "hunter2"),
            ];
            let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let location = Location::S3(Bucket { name: "site".to_owned(), prefix: String::new() });
            let app = app_with(&db, StorageSettings { location, options }).await;
            let answer = app.get("/uploads/a.webp").await;
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"), "{url}");
            assert!(is_problem(&answer, "the storage of media is unavailable at present"), "{url}");
            assert!(!answer.json().to_string().contains("127.0.0.1"), "{url}");
        }
        db.close().await;
    });
}
