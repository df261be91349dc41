use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use docstore::sqlite::Options;
use docstore::{Filter, Find};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use testkit::Proxy;
use testkit::buckets::{BucketKind, BucketServer, with_bucket_server};
use testkit::proxy::Mode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::program::{Program, Server, read_one};

const MP4: &[u8] = include_bytes!("../../fuzz/corpus/video_headers/mp4");
/// The end of a body.
const END: &str = "\r\n--x--\r\n";
const MIB: usize = 1 << 20;
/// The time between two looks for something that another process does.
const POLL: Duration = Duration::from_millis(20);

fn program() -> Program {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("ALLOW_DEV_AUTH", "true");
    program.with("RATE_LIMITS", "off").with("VIDEO_PROCESSING", "off")
}

/// Returns a picture that is stored in three widths, other bytes for each number.
fn picture(number: u8) -> Vec<u8> {
    let pixel = |x: u32, y: u32| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], number]);
    let mut file = Cursor::new(Vec::new());
    RgbImage::from_fn(900, 40, pixel).write_to(&mut file, ImageFormat::Png).expect("a picture is written");
    file.into_inner()
}

/// Returns a video of a size, most of which no player reads.
fn video_of(size: usize) -> Vec<u8> {
    let rest = u32::try_from(size - MP4.len()).expect("a short video");
    let mut file = [MP4, &rest.to_be_bytes(), b"free"].concat();
    file.resize(size, 7);
    file
}

/// Returns the number of documents of the library.
async fn documents(program: &Program) -> usize {
    let path = program.folder().join("data/field-notes.db");
    let store = docstore::sqlite::open(Options { path }).await.expect("the store opens");
    let found = store.collection("media").find(Find::new(Filter::All)).await.expect("documents are read");
    let count = found.documents().await.expect("documents are read").len();
    store.close().await;
    count
}

/// Returns the number of files below a folder.
fn count_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// A server of object storage with a bucket `site`, and a client that reaches it directly.
struct Bucket {
    server: BucketServer,
    client: reqwest::Client,
}

impl Bucket {
    async fn create(server: BucketServer) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let request = match server.kind() {
            BucketKind::S3 => client.put(format!("{}/site", server.url())),
            BucketKind::Google => {
                let url = format!("{}/storage/v1/b?project=tests", server.url());
                client.post(url).json(&json!({ "name": "site" }))
            }
        };
        let created = request.send().await.and_then(reqwest::Response::error_for_status);
        created.expect("the bucket is created");
        Self { server, client }
    }

    /// Returns the names of all objects, in order.
    async fn keys(&self) -> Vec<String> {
        let url = format!("{}/site?list-type=2", self.server.url());
        let listed = self.client.get(url).send().await.expect("an answer");
        let listed = listed.error_for_status().expect("the bucket is listed").text().await.expect("a list");
        let names = listed.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default());
        names.map(str::to_owned).collect()
    }

    /// Returns the list of uploads in parts that were not completed.
    async fn unfinished_uploads(&self) -> String {
        let url = format!("{}/site?uploads", self.server.url());
        let listed = self.client.get(url).send().await.expect("an answer");
        let listed = listed.error_for_status().expect("the bucket is listed").text().await.expect("a list");
        assert!(listed.contains("ListMultipartUploadsResult"), "{listed}");
        listed
    }

    /// Makes the bucket deny writes.
    async fn deny_writes(&self) {
        let statement = json!({
            "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::site/*",
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        let request = self.client.put(format!("{}/site?policy", self.server.url())).body(policy.to_string());
        request.send().await.and_then(reqwest::Response::error_for_status).expect("the policy applies");
    }

    /// Makes the bucket allow writes again.
    async fn allow_writes(&self) {
        let request = self.client.delete(format!("{}/site?policy", self.server.url()));
        request.send().await.and_then(reqwest::Response::error_for_status).expect("the policy is removed");
    }
}

/// Panics unless an upload was answered as one that the storage does not take.
async fn assert_unavailable(case: &str, answer: reqwest::Response) {
    let (status, header) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
    let body: Value = answer.json().await.expect("JSON");
    let expected = json!("the storage of media is unavailable at present");
    assert_eq!((status, &body["detail"]), (503, &expected), "{case}");
    assert!(header.is_some_and(|seconds| seconds == "2"), "{case}");
    assert!(!body.to_string().contains("127.0.0.1") && !body.to_string().contains("hunter2"), "{case}");
}

#[test]
fn uploads_to_a_bucket_that_fails_are_503_and_leave_nothing() {
    with_bucket_server(BucketKind::S3, async |server: BucketServer| {
        let bucket = Bucket::create(server).await;
        let proxy = Proxy::to(bucket.server.host()).expect("a proxy");
        let program = program()
            .with("MEDIA_URL", "s3://site/notes")
            .with("AWS_ENDPOINT_URL", &format!("http://{}", proxy.host()))
            .with("AWS_ACCESS_KEY_ID", "key")
            .with("AWS_SECRET_ACCESS_KEY", "hunter2")
            .with("MEDIA_TIMEOUT_SECONDS", "1");
        let server = program.serve().await;
        assert_eq!(server.upload(&picture(0)).await.status(), 200);
        let kept = bucket.keys().await;
        assert_eq!(kept.len(), 3, "{kept:?}");

        proxy.set(Mode::Refuse);
        assert_unavailable("nothing listens", server.upload(&picture(1)).await).await;
        proxy.set(Mode::Pass);
        bucket.deny_writes().await;
        assert_unavailable("access is denied", server.upload(&picture(1)).await).await;
        bucket.allow_writes().await;
        assert_eq!(bucket.keys().await, kept);

        // The connections that send one of the widths, a part of a video and a stored file are lost without a trace, and so is the
        // one that would delete this width.
        let lost: &str = kept[2].clone().leak();
        proxy.set(Mode::HoldRequests(vec!["images/medium", "partNumber=2", lost].leak()));
        let (picture_of_three, video) = (picture(1), video_of(9 * MIB));
        let path = lost.replace("notes/", "/");
        let (width, part, file) =
            tokio::join!(server.upload(&picture_of_three), server.upload(&video), server.look(&path));
        assert_eq!(file.status, 503, "{}", file.body);
        assert_unavailable("a width is not answered", width).await;
        assert_unavailable("a part is not answered", part).await;
        assert_eq!(bucket.keys().await, kept, "the other widths are removed");
        assert!(!bucket.unfinished_uploads().await.contains("<UploadId>"), "the other part is removed");

        // Nothing can be removed either, once two widths are written.
        proxy.set(Mode::Refuse);
        proxy.set(Mode::HoldRequests(&["images/medium"]));
        let (answer, ()) = tokio::join!(server.upload(&picture_of_three), async {
            while bucket.keys().await.len() < kept.len() + 2 {
                tokio::time::sleep(POLL).await;
            }
            proxy.set(Mode::Refuse);
        });
        assert_unavailable("the bucket is lost meanwhile", answer).await;
        assert_eq!(documents(&program).await, 1);
        proxy.set(Mode::Pass);
        let mut orphans = bucket.keys().await;
        orphans.retain(|key| !kept.contains(key));
        let found = program.run(&["media", "gc", "--older-than", "0s"]).expect(0);
        for orphan in &orphans {
            assert!(found.stdout.contains(orphan.trim_start_matches("notes/")), "{orphan}: {}", found.stdout);
        }
        assert_eq!(orphans.len(), 2);
        program.run(&["media", "gc", "--older-than", "0s", "--yes"]).expect(0);
        assert_eq!(bucket.keys().await, kept);

        // The same file can be uploaded once the bucket is back.
        assert_eq!(server.upload(&picture(1)).await.status(), 200);
        assert_eq!((bucket.keys().await.len(), documents(&program).await), (6, 2));
        program.run(&["media", "verify"]).expect(0);
        assert!(!server.output().contains("hunter2"), "{}", server.output());
    });
}

#[test]
fn bucket_of_the_original_is_delivered_as_it_stands() {
    with_bucket_server(BucketKind::Google, async |server: BucketServer| {
        let bucket = Bucket::create(server).await;
        let id = "20251201_101112_0a1b2c3d";
        let video = video_of(500_000);
        let files = [
            (format!("uploads/{id}.webp"), "image/webp", b"1200".to_vec()),
            (format!("uploads/{id}_750.webp"), "image/webp", b"750".to_vec()),
            (format!("uploads/{id}_500.webp"), "image/webp", b"500".to_vec()),
            (format!("uploads/images/originals/{id}.webp"), "image/webp", b"2048".to_vec()),
            (format!("uploads/images/medium/{id}.webp"), "image/webp", b"768".to_vec()),
            (format!("uploads/photos/65a0b1c2d3e4f50617283940/{id}_400.webp"), "image/webp", b"400".to_vec()),
            (format!("uploads/thumbnails/{id}_thumb_0.jpg"), "image/jpeg", b"thumb".to_vec()),
            ("uploads/an old ünïcode picture.PNG".to_owned(), "image/png", b"old".to_vec()),
            (format!("uploads/video/originals/{id}.mp4"), "video/mp4", video.clone()),
        ];
        for (name, kind, bytes) in &files {
            // As the client library of the original sends files.
            let metadata = json!({ "name": name, "contentType": kind });
            let head = format!(
                "--related\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
                 --related\r\nContent-Type: {kind}\r\n\r\n"
            );
            let url = format!("{}/upload/storage/v1/b/site/o?uploadType=multipart", bucket.server.url());
            let request =
                bucket.client.post(url).header("content-type", "multipart/related; boundary=related");
            let body = [head.as_bytes(), bytes, b"\r\n--related--"].concat();
            request.body(body).send().await.unwrap().error_for_status().expect("a file is written");
        }
        let program =
            program().with("GCS_BUCKET_NAME", "site").with("STORAGE_EMULATOR_HOST", &bucket.server.url());
        let server = program.serve().await;
        let get = async |path: &str, range: &str| {
            let url = reqwest::Url::parse(&format!("{}/{path}", server.base())).expect("a URL");
            let request = bucket.client.get(url);
            let request = if range.is_empty() { request } else { request.header("range", range) };
            request.send().await.expect("an answer")
        };
        let header = |answer: &reqwest::Response, name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().expect("text").to_owned())
                .unwrap_or_default()
        };
        for (name, kind, bytes) in &files {
            let answer = get(name, "").await;
            assert_eq!(
                (answer.status().as_u16(), header(&answer, "content-type")),
                (200, (*kind).to_owned()),
                "{name}"
            );
            assert!(answer.bytes().await.expect("a body") == *bytes, "{name}");
        }
        let clip = &files[8].0;
        for (range, expected) in
            [("bytes=100-1099", 100..1100), ("bytes=-70000", video.len() - 70_000..video.len())]
        {
            let answer = get(clip, range).await;
            let place = format!("bytes {}-{}/{}", expected.start, expected.end - 1, video.len());
            assert_eq!((answer.status().as_u16(), header(&answer, "content-range")), (206, place));
            assert!(answer.bytes().await.expect("a body") == video[expected], "{range}");
        }
        assert_eq!(get(clip, "bytes=9000000-").await.status(), 416);
        for (size, expected) in [("500", "500"), ("750", "750"), ("1200", "1200")] {
            let answer = get(&format!("{}?size={size}", files[0].0), "").await;
            assert_eq!(answer.text().await.expect("a body"), expected);
        }
        assert_eq!(get("uploads/20251201_101112_ffffffff.webp", "").await.status(), 404);
        // A story that refers to them is complete.
        let content = format!("<p><img src=\"/{}\"></p><video src=\"/{clip}\"></video>", files[0].0);
        let story = json!({ "title": "Old", "content": content, "is_published": true });
        assert_eq!(server.post_as_admin("/stories", &story).await.0, 201);
        let verified = program.run(&["media", "verify"]).expect(0);
        assert!(verified.stdout.contains("0 of 2 files"), "{}", verified.stdout);
    });
}

/// An upload over a socket, piece by piece.
struct Sender {
    stream: TcpStream,
    is_chunked: bool,
}

impl Sender {
    /// Sends the head of a request whose body has the head of a part, `length` bytes of a file, and its end. Without a length the
    /// body is sent in chunks.
    async fn begin(server: &Server, length: Option<usize>) -> Self {
        let address = server.base().strip_prefix("http://").expect("an address");
        let stream = TcpStream::connect(address).await.expect("a connection");
        let part = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"clip.mp4\"\r\n\r\n";
        let framing = match length {
            Some(length) => format!("Content-Length: {}", part.len() + length + END.len()),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST /uploads HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer dev-mock-admin\r\n\
             Content-Type: multipart/form-data; boundary=x\r\n{framing}\r\n\r\n"
        );
        let mut sender = Self { stream, is_chunked: length.is_none() };
        sender.stream.write_all(head.as_bytes()).await.expect("the head is sent");
        sender.send(part.as_bytes()).await;
        sender
    }

    async fn send(&mut self, bytes: &[u8]) {
        if self.is_chunked {
            let head = format!("{:x}\r\n", bytes.len());
            self.stream
                .write_all(&[head.as_bytes(), bytes, b"\r\n"].concat())
                .await
                .expect("the server reads on");
        } else {
            self.stream.write_all(bytes).await.expect("the server reads on");
        }
    }

    async fn send_file(&mut self, start: &[u8], length: usize) {
        self.send(start).await;
        let piece = vec![0; 1 << 20];
        let mut left = length - start.len();
        while left > 0 {
            let next = left.min(piece.len());
            self.send(&piece[..next]).await;
            left -= next;
        }
    }
}

#[tokio::test]
async fn large_files_are_refused_and_cut_ones_forgotten() {
    let program = program();
    let temporary = program.folder().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let program = program.with("TMPDIR", &temporary.display().to_string());
    let server = program.serve().await;
    // What a first upload takes once is not counted.
    assert_eq!(server.upload(&picture(0)).await.status(), 200);
    server.forget_peak();
    let before = server.resident_kib();
    for (case, start, length, is_chunked, limit) in [
        ("picture", &picture(1)[..], 6 * MIB, false, "5.0MB"),
        ("video", MP4, 101 * MIB, false, "101.0MB"),
        ("video of unknown length", MP4, 101 * MIB, true, "100.0MB"),
    ] {
        let mut sender = Sender::begin(&server, (!is_chunked).then_some(length)).await;
        let answer = if length > 6 * MIB && !is_chunked {
            // The length is known to be too large: the answer comes while the client sends.
            sender.send(start).await;
            let answer = read_one(&mut sender.stream).await;
            sender.send(&vec![0; MIB]).await;
            answer
        } else {
            // As Node does: everything is sent before the response is looked at.
            sender.send_file(start, length).await;
            sender.send(END.as_bytes()).await;
            if is_chunked {
                sender.stream.write_all(b"0\r\n\r\n").await.expect("the server reads on");
            }
            let answer = read_one(&mut sender.stream).await;
            // The connection can be used again.
            sender.stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is open");
            assert!(read_one(&mut sender.stream).await.starts_with("HTTP/1.1 200 "), "{case}");
            answer
        };
        assert!(answer.starts_with("HTTP/1.1 413 "), "{case}: {answer}");
        assert!(answer.contains("UPLOAD_FILE_TOO_LARGE") && answer.contains(limit), "{case}: {answer}");
    }
    let grown = server.peak_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB for 101 MiB");

    // Temporary files have no names, so the open ones are counted.
    let open = || {
        let files = fs::read_dir(format!("/proc/{}/fd", server.id())).expect("the process is there");
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(&temporary)).count()
    };
    for is_reset in [false, true] {
        let mut sender = Sender::begin(&server, Some(50 * MIB)).await;
        sender.send(MP4).await;
        sender.send(&vec![0; 2 * MIB]).await;
        while open() == 0 {
            tokio::time::sleep(POLL).await;
        }
        if is_reset {
            sender.stream.set_zero_linger().unwrap();
        }
        drop(sender);
        while open() > 0 {
            tokio::time::sleep(POLL).await;
        }
    }
    assert_eq!(count_files(&temporary), 0);
    assert_eq!((count_files(&program.folder().join("data/media")), documents(&program).await), (3, 1));
}
