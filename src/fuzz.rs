//! Fuzz targets: functions of arbitrary bytes that panic if a property does not hold. The tests run them on the inputs of
//! `fuzz/corpus` and on mutations of these, `make fuzz` guided by coverage. Those of the store are in
//! `docstore::sqlite::fuzz`.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use bson::{RawDocument, doc};
use docstore::Database;
use docstore::sqlite::{Options, open};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::{
    Draft, NavLink, NavLinkDraft, NavLinkPatch, Page, PagePatch, Project, ProjectDraft, ProjectPatch,
    Section, SectionDraft, Story, StoryDraft, StoryPatch,
};
use crate::http::fuzz::{
    NavLinksQuery, ProjectsQuery, ReadinessQuery, SectionsQuery, StoriesQuery, TrashQuery, assert_page,
    exchange, read_body, read_list_query, read_query, response,
};
use crate::http::{
    AppState, AppStateParts, CachedService, ConcurrencyLimit, Gate, MiddlewareState, ResponseCache, router,
};
use crate::repository::fuzz::{assert_draft_is_read_back, assert_patch_sets, read_row, read_user};
use crate::repository::{self, DraftFields};
use crate::service::{OnDelete, SectionPlace, UpdateSection, Write};
use crate::startup;

pub use crate::config::fuzz::settings;
pub use crate::html::fuzz::sanitizer;
pub use crate::http::fuzz::multipart_bodies;
pub use crate::media::video::fuzz::video_headers;

/// Reads a body as that of every request. What is accepted can be stored and is read as it was, and a body that creates an
/// item is one that changes it to the same.
pub fn json_bodies(data: &[u8]) {
    if let Some(write) = read_body::<Write<StoryDraft>>(data) {
        let patch = read_body::<Write<StoryPatch>>(data).expect("the body of a new story changes one");
        assert_stored(&write.fields, &patch.fields);
    }
    if let Some(write) = read_body::<Write<ProjectDraft>>(data) {
        let patch = read_body::<Write<ProjectPatch>>(data).expect("the body of a new project changes one");
        assert_stored(&write.fields, &patch.fields);
    }
    if let Some(draft) = read_body::<NavLinkDraft>(data) {
        let patch = read_body::<NavLinkPatch>(data).expect("the body of a new link changes one");
        assert_stored(&draft, &patch);
    }
    if let Some(draft) = read_body::<SectionDraft>(data) {
        let change = read_body::<UpdateSection>(data).expect("the body of a new section changes one");
        assert_stored(&draft, &change.patch);
    }
    read_body::<Write<StoryPatch>>(data);
    read_body::<Write<ProjectPatch>>(data);
    read_body::<Write<PagePatch>>(data);
    read_body::<NavLinkPatch>(data);
    read_body::<UpdateSection>(data);
    read_body::<Vec<SectionPlace>>(data);
}

fn assert_stored<D: DraftFields + PartialEq + Debug>(draft: &D, patch: &<D as Draft>::Patch) {
    assert_draft_is_read_back(draft);
    assert_patch_sets(draft, patch);
}

/// Reads a query string as that of every list. Pages stay within their bounds, operators are refused, and the canonical
/// form is read alike.
pub fn query_strings(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let pages = [
        read_list_query::<StoriesQuery>("/stories", text).map(|query| query.page),
        read_list_query::<ProjectsQuery>("/projects", text).map(|query| query.page),
        read_list_query::<NavLinksQuery>("/navlinks", text).map(|query| query.page),
        read_list_query::<SectionsQuery>("/sections", text).map(|query| query.page),
        read_list_query::<TrashQuery>("/trash", text).map(|query| query.page),
    ];
    pages.iter().flatten().for_each(assert_page);
    read_list_query::<ReadinessQuery>("/readyz", text);
    read_query::<OnDelete>(text);
}

/// Opens, signs and alters cursors of lists.
pub fn cursors(data: &[u8]) {
    repository::fuzz::cursors(store(), data);
}

/// Reads a stored document as an item of every kind. One that can be read keeps its fields when they are stored again, and
/// is sent as valid JSON.
pub fn bson_rows(data: &[u8]) {
    let length = u32::try_from(data.len() + 5).expect("an input is short");
    let framed = [&length.to_le_bytes()[..], data, &[0]].concat();
    let Ok(document) = RawDocument::from_bytes(&framed) else { return };
    if let Some(story) = read_row::<Story>(document) {
        assert_draft_is_read_back(&story.draft);
        let sent = response(&story);
        assert_eq!(sent["title"], story.draft.title);
        assert_eq!(sent["content"], story.draft.content);
    }
    if let Some(project) = read_row::<Project>(document) {
        assert_draft_is_read_back(&project.draft);
        let sent = response(&project);
        let technologies = sent["technologies"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|word| word.as_str().expect("a word"));
        assert!(technologies.eq(&project.draft.technologies));
        for url in ["github_url", "live_url", "image_url"] {
            let is_web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
            assert!(sent[url].as_str().is_none_or(is_web), "{sent}");
        }
    }
    if let Some(page) = read_row::<Page>(document) {
        assert_draft_is_read_back(&page.draft);
        assert_eq!(response(&page)["page_type"], page.draft.page_type);
    }
    if let Some(section) = read_row::<Section>(document) {
        assert_draft_is_read_back(&section.draft);
        assert_eq!(response(&section)["sort_order"], section.draft.sort_order);
    }
    if let Some(link) = read_row::<NavLink>(document) {
        assert_draft_is_read_back(&link.draft);
        let sent = response(&link);
        let resolved = url::Url::parse("https://site.example/").and_then(|site| site.join(&link.draft.url));
        let runs = |url: url::Url| matches!(url.scheme(), "javascript" | "vbscript" | "data");
        assert!(!resolved.is_ok_and(runs), "{sent}");
    }
    read_user(document);
}

/// Sends bytes to the server as a connection. It answers or closes, and no handler panics.
pub fn connections(data: &[u8]) {
    thread_local! {
        static SERVER: RefCell<Option<(Runtime, CachedService)>> = const { RefCell::new(None) };
    }
    SERVER.with_borrow_mut(|server| {
        let (runtime, service) = server.get_or_insert_with(|| (runtime(), service(store())));
        let received = runtime.block_on(exchange(service.clone(), data));
        let panicked = b"HTTP/1.1 500 Internal Server Error\r\n";
        let text = String::from_utf8_lossy(&received);
        assert!(!received.windows(panicked.len()).any(|window| window == panicked), "{text}");
        // A client that begins with the preface of HTTP/2 gets frames.
        let is_http1 = received.is_empty() || received.starts_with(b"HTTP/1.");
        assert!(is_http1 || data.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "{text}");
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Returns a store with a few items, which the process keeps.
fn store() -> &'static Database {
    static STORE: OnceLock<(Database, TempDir)> = OnceLock::new();
    let (database, _) = STORE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        let database = runtime().block_on(async {
            let database = open(Options { path }).await.expect("the store opens");
            repository::ensure_all(&database).await.expect("the indexes are created");
            let at = bson::DateTime::from_millis(0);
            for n in 0..3 {
                let story = doc! {
                    "title": "t", "content": "<p>c</p>", "is_published": true, "slug": format!("s{n}"), "createdDate": at,
                    "updatedDate": at,
                };
                database.collection("stories").insert_one(story).await.expect("a story is inserted");
            }
            database
        });
        (database, folder)
    });
    database
}

fn service(database: &Database) -> CachedService {
    let variables = |name: &str| match name {
        "ADMIN_EMAIL" => Some("admin@example.com".to_owned()),
        "RATE_LIMITS" | "LOG_REQUESTS" => Some("off".to_owned()),
        _ => None,
    };
    let config = Config::read(variables).expect("the configuration is valid");
    let gate = Arc::new(Gate::default());
    gate.open(startup::services(&config, database, Arc::new(SystemClock)));
    router(AppState::from(AppStateParts {
        gate,
        clock: Arc::new(SystemClock),
        request_timeout: config.request_timeout,
        middleware: MiddlewareState::new(config.middleware),
        cache: Arc::new(ResponseCache::new(&config.cache)),
        concurrency: ConcurrencyLimit::new(config.max_concurrent),
    }))
}

#[cfg(test)]
mod tests {
    macro_rules! targets {
        ($($name:ident)+) => {
            $(#[test]
            fn $name() {
                testkit::fuzz::run(stringify!($name), super::$name);
            })+
        };
    }

    targets! { bson_rows connections cursors json_bodies multipart_bodies query_strings sanitizer settings video_headers }
}
