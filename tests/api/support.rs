use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bson::{Document, doc, oid::ObjectId};
use chrono::DateTime;
use docstore::Database;
use field_notes::clock::FixedClock;
use field_notes::config::Config;
use field_notes::http::{self, CachedService, ConcurrencyLimit, Gate, MiddlewareState, ResponseCache};
use field_notes::media::{Location, Storage};
use field_notes::{repository, startup};
use futures_util::TryStreamExt as _;
use migrator::{Settings, UpMode};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::conform;

/// 2026-01-02T03:04:05.678Z
pub(crate) const NOW_MS: i64 = 1_767_323_045_678;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) router: CachedService,
    pub(crate) gate: Arc<Gate>,
    pub(crate) cache: Arc<ResponseCache>,
    pub(crate) config: Config,
    pub(crate) clock: FixedClock,
    /// The files, unless the configuration was changed.
    media: Arc<TempDir>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.decoded()).expect("the body is JSON")
    }

    /// The body as it was before it was coded.
    pub(crate) fn decoded(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        let read = match self.header("content-encoding") {
            "br" => brotli::Decompressor::new(&*self.bytes, 4096).read_to_end(&mut plain),
            "gzip" => flate2::read::GzDecoder::new(&*self.bytes).read_to_end(&mut plain),
            "zstd" => zstd::bulk::decompress(&self.bytes, 1 << 20)
                .and_then(|bytes| bytes.as_slice().read_to_end(&mut plain)),
            "" => self.bytes.as_slice().read_to_end(&mut plain),
            other => panic!("{other} is no coding of ours"),
        };
        read.expect("the body can be decoded");
        plain
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The slugs of a list, in order.
    pub(crate) fn slugs(&self) -> Vec<String> {
        let body = self.json();
        let items = body["items"].as_array().expect("a list");
        items.iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect()
    }
}

impl App {
    /// With its gate still closed.
    pub(crate) fn closed() -> Self {
        Self::closed_with(|_| {})
    }

    /// As [`App::closed`], with a configuration of its own.
    pub(crate) fn closed_with(change: impl FnOnce(&mut Config)) -> Self {
        let lookup = |name: &str| match name {
            "ADMIN_EMAIL" => Some("admin@example.com".to_owned()),
            "ALLOW_DEV_AUTH" => Some("true".to_owned()),
            // So that all of these can be run without rendered responses, too.
            "CACHE_MAX_BYTES" => std::env::var(name).ok(),
            _ => None,
        };
        let mut config = Config::read(lookup).expect("the configuration of tests is good");
        let media = Arc::new(testkit::scratch("media-").expect("a folder can be created"));
        config.media.location = Location::Folder(media.path().to_owned());
        change(&mut config);
        let clock = FixedClock::at(DateTime::from_timestamp_millis(NOW_MS).expect("in range"));
        let gate = Arc::new(Gate::default());
        let cache = Arc::new(ResponseCache::new(&config.cache));
        let app = http::AppState::from(http::AppStateParts {
            gate: Arc::clone(&gate),
            clock: Arc::new(clock.clone()),
            request_timeout: Duration::from_secs(20),
            middleware: MiddlewareState::new(config.middleware.clone()),
            cache: Arc::clone(&cache),
            concurrency: ConcurrencyLimit::new(config.max_concurrent),
        });
        Self { router: http::router(app), gate, cache, config, clock, media }
    }

    /// Returns the folder of the files.
    pub(crate) fn media_folder(&self) -> &std::path::Path {
        self.media.path()
    }

    /// Returns the storage of the files.
    pub(crate) fn media(&self) -> Storage {
        Storage::open(&self.config.media).expect("a folder can be opened")
    }

    pub(crate) fn open(&self, db: &Database) {
        self.gate.open(startup::services(&self.config, db, Arc::new(self.clock.clone())));
    }

    /// Migrated, indexed, open.
    pub(crate) async fn on(db: &Database) -> Self {
        Self::on_with(db, |_| {}).await
    }

    /// As [`App::on`], with a configuration of its own.
    pub(crate) async fn on_with(db: &Database, change: impl FnOnce(&mut Config)) -> Self {
        let app = Self::closed_with(change);
        let clock = Arc::new(|| bson::DateTime::from_millis(NOW_MS));
        let settings = Settings { clock, ..startup::settings(&app.config, db, "test").await };
        let migrator = startup::migrator(db, settings).expect("the migrations are a graph");
        // Unlike a real start, indexes come first: building them on empty collections takes MongoDB a fraction of the time.
        repository::ensure_all(db).await.expect("the indexes can be made");
        migrator.up(UpMode::Start).await.expect("the migrations apply");
        app.open(db);
        app
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(&method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.ask(request).await;
        conform::check(&method, path, &answer);
        answer
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        // Like a socket, this keeps no piece: files are only sent as fast as their pieces are dropped.
        let (mut bytes, mut pieces) = (Vec::new(), body.into_data_stream());
        while let Some(piece) = pieces.try_next().await.expect("a body") {
            bytes.extend_from_slice(&piece);
        }
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// GET whose answer is not compared with the document, for those who ask very often.
    pub(crate) async fn quick(&self, path: &str) -> Answer {
        self.ask(Request::builder().uri(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    /// As somebody: `admin`, `author` or `commenter`.
    pub(crate) async fn get_as(&self, who: &str, path: &str) -> Answer {
        let token = format!("Bearer dev-mock-{who}");
        self.send(Method::GET, path, &[("authorization", &token)]).await
    }
}

/// A section with what every section has, and then `more`.
pub(crate) fn section(slug: &str, more: Document) -> Document {
    let at = bson::DateTime::from_millis(NOW_MS);
    let mut document = doc! {
        "_id": ObjectId::new(), "title": slug, "slug": slug, "parent_id": null, "display_type": "feed",
        "content_type": "story", "nav_visibility": "main", "sort_order": 10, "is_published": true,
        "createdDate": at, "updatedDate": at,
    };
    document.extend(more);
    document
}

pub(crate) async fn insert(db: &Database, document: Document) -> String {
    let id = db.collection("sections").insert_one(document).await.expect("a section is inserted");
    id.as_object_id().map(ObjectId::to_hex).unwrap_or_default()
}

/// The id that the user of a development token has; they are created if they never asked before.
pub(crate) async fn user_id(app: &App, db: &Database, who: &str, email: &str) -> String {
    assert_eq!(app.get_as(who, "/sections?include_unpublished=true").await.status, StatusCode::OK);
    let find = docstore::Find::new(docstore::Filter::eq("email", email));
    let user =
        db.collection("users").find_one(find).await.expect("users are read").expect("the user is there");
    user.get_object_id("_id").expect("an id").to_hex()
}
