use axum::http::Method;
use bson::doc;
use docstore::Database;
use futures_util::future::join_all;
use serde_json::json;

use super::{HIT, MADE, RENEWED, app, coded, keeping, status};
use crate::support::{App, insert, section};

testkit::stores! {
    async fn an_answer_is_made_once(db: Database) {
        let app = app(&db).await;
        for path in ["/sections", "/sections?limit=2", "/sections/slug/blog", "/stories", "/openapi.json", "/docs/style.css"] {
            let made = app.get(path).await;
            assert_eq!(status(&made), (200, MADE), "{path}");
            for _ in 0..3 {
                let hit = app.get(path).await;
                assert_eq!((status(&hit), &hit.bytes), ((200, HIT), &made.bytes), "{path}");
                for name in ["etag", "content-type", "cache-control", "vary", "link", "x-content-type-options",
                    "content-security-policy", "x-frame-options", "referrer-policy"] {
                    assert_eq!(hit.header(name), made.header(name), "{path} {name}");
                }
                assert_ne!(hit.header("x-request-id"), made.header("x-request-id"));
            }
        }
        let own = app.send(Method::GET, "/sections", &[("x-request-id", "mine-1"), ("origin", "https://ghostmonk.com")]).await;
        assert_eq!((status(&own), own.header("x-request-id")), ((200, HIT), "mine-1"));
        assert_eq!(own.header("access-control-allow-origin"), "https://ghostmonk.com");
        let foreign = app.send(Method::GET, "/sections", &[("origin", "https://evil.example")]).await;
        assert_eq!(foreign.header("access-control-allow-origin"), "");
        let counts = app.cache.counts();
        assert_eq!((counts.entries, counts.loads, counts.hits, counts.stale), (6, 6, 20, 0));
    }

    async fn a_write_to_one_collection_leaves_what_is_made_of_others(db: Database) {
        let app = app(&db).await;
        for path in ["/sections", "/navlinks", "/stories", "/docs"] {
            app.get(path).await;
        }
        app.create("author", "/navlinks", &json!({ "label": "About", "url": "/about" })).await;
        assert_eq!(app.get("/navlinks").await.header("cache-status"), RENEWED);
        for path in ["/sections", "/stories"] {
            assert_eq!(app.get(path).await.header("cache-status"), HIT, "{path}");
        }
        // Somebody who signs in is written down, and nothing that is shown depends on it.
        app.get_as("commenter", "/me").await;
        assert_eq!(app.get("/sections").await.header("cache-status"), HIT);
    }

    async fn what_depends_on_the_caller_is_never_kept(db: Database) {
        let app = app(&db).await;
        insert(&db, section("hidden", doc! { "is_published": false })).await;
        let with_hidden = "/sections?include_unpublished=true&limit=50";
        for who in ["admin", "author", "commenter"] {
            let answer = app.get_as(who, with_hidden).await;
            assert_eq!(answer.slugs().contains(&"hidden".to_owned()), who == "admin", "{who}");
            assert_eq!((answer.header("cache-status"), answer.header("cache-control")), ("", "private, no-store"));
            app.get_as(who, "/sections").await;
            app.get_as(who, "/me").await;
        }
        assert_eq!(app.cache.counts().entries, 0);
        assert_eq!(app.get(with_hidden).await.status, 401);
        assert!(!app.get("/sections").await.slugs().contains(&"hidden".to_owned()));
        // Neither is anything but a 200.
        for path in ["/sections/slug/none", "/sections?limit=0", "/me", "/stories/slug/none"] {
            assert!(app.get(path).await.status.is_client_error(), "{path}");
        }
        assert_eq!(app.cache.counts().entries, 1);
        // What is ready is not for those who show a token, were it a bad one.
        let bad = app.send(Method::GET, "/sections", &[("authorization", "Bearer nonsense")]).await;
        assert_eq!((status(&bad), bad.header("cache-control")), ((200, ""), "private, no-store"));
        assert_eq!(app.get_as("admin", "/sections").await.header("cache-status"), "");
    }

    async fn what_is_kept_stays_within_its_bytes(db: Database) {
        const MOST: u64 = 64 * 1024;
        let app = keeping(&db, MOST).await;
        for n in 0..2_000 {
            assert_eq!(app.quick(&format!("/sections?offset={n}")).await.status, 200);
            if n % 100 == 0 {
                let counts = app.cache.counts();
                assert!(counts.bytes <= MOST, "{n}: {counts:?}");
            }
        }
        let counts = app.cache.counts();
        assert!((1..=MOST).contains(&counts.bytes) && counts.entries > 1, "{counts:?}");
        // One that would take all of it is not kept.
        let small = keeping(&db, 1000).await;
        assert_eq!((small.get("/docs").await.status.as_u16(), small.get("/docs").await.status.as_u16()), (200, 200));
        assert_eq!(small.cache.counts().entries, 0);
    }

    async fn one_response_is_kept_once_whatever_its_address(db: Database) {
        let app = app(&db).await;
        let first = app.get("/sections?limit=2&parent_id=null").await;
        for same in [
            "/sections?limit=2&parent_id=null&utm_source=x", "/sections?z=1&limit=2&parent_id=null", "/sections?parent_id=null&limit=2",
            "/sections?limit=9&limit=2&parent_id=null", "/sections?l%69mit=2&parent_id=%6eull", "/sections?&limit=2&&parent_id=null&",
        ] {
            let answer = app.get(same).await;
            assert_eq!((status(&answer), &answer.bytes), ((200, HIT), &first.bytes), "{same}");
            assert_eq!(answer.header("link"), first.header("link"), "{same}");
        }
        app.get("/sections/slug/blog").await;
        for same in ["/sections/slug/%62log", "/sections/slug/blo%67?x", "/sections/slug/blog?", "/sections/slug/blog?limit=2"] {
            assert_eq!(status(&app.get(same).await), (200, HIT), "{same}");
        }
        assert_eq!(app.cache.counts().entries, 2);
        // The first to ask may not leave traces for others, either.
        let first = app.get("/stories?x=%3Cscript%3E&limit=3").await;
        assert!(!first.header("link").contains("script"), "{}", first.header("link"));
        assert_eq!(status(&app.get("/stories?limit=3").await), (200, HIT));
        // What is an error stays one.
        assert_eq!(app.get("/sections?limit=2&parent_id[$ne]=1").await.status, 422);
        assert_eq!(app.get("/sections?limit=0&x=1").await.status, 422);
        assert_eq!(app.get("/sections/slug/%ff?x=1").await.status, 400);
    }

    async fn bodies_beyond_the_budget_are_refused(db: Database) {
        let app = App::on_with(&db, |config| {
            config.cache.max_bytes = None;
            config.cache.in_flight_bytes = 400_000;
        })
        .await;
        let ask = async || {
            let request = axum::http::Request::get("/openapi.json").body(axum::body::Body::empty()).unwrap();
            tower::ServiceExt::oneshot(app.router.clone(), request).await.unwrap()
        };
        // No one reads them.
        let mut unread = Vec::new();
        let refused = loop {
            let answer = ask().await;
            if answer.status() != 200 {
                break answer;
            }
            unread.push(answer);
            assert!(unread.len() < 100, "a document has more than 4 kB");
        };
        assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "2"));
        assert!(!unread.is_empty());
        drop(unread);
        assert_eq!(ask().await.status(), 200);
    }

    async fn many_who_ask_at_once_make_one_load(db: Database) {
        let app = app(&db).await;
        let answers = join_all((0..200).map(|_| app.get("/sections"))).await;
        let first = &answers[0].bytes;
        assert!(answers.iter().all(|answer| answer.status == 200 && &answer.bytes == first));
        let counts = app.cache.counts();
        assert_eq!((counts.loads, counts.joined + counts.hits), (1, 199), "{counts:?}");
    }

    async fn without_bytes_nothing_is_kept_and_all_is_answered(db: Database) {
        let app: App = keeping(&db, 0).await;
        for _ in 0..2 {
            let answer = app.get("/sections").await;
            assert_eq!(status(&answer), (200, MADE));
            let tag = answer.header("etag").to_owned();
            let held = app.send(Method::GET, "/sections", &[("if-none-match", &tag)]).await;
            assert_eq!(status(&held), (304, MADE));
            let head = app.send(Method::HEAD, "/sections", &[]).await;
            assert_eq!((head.header("content-length"), head.header("etag")), (&*answer.bytes.len().to_string(), &*tag));
            let coded = coded(&app, "/openapi.json", "br").await;
            assert_eq!((coded.status.as_u16(), coded.header("content-encoding")), (200, ""));
        }
        insert(&db, section("more", doc! {})).await;
        assert!(app.get("/sections").await.slugs().contains(&"more".to_owned()));
        assert_eq!(app.cache.counts().entries, 0);
    }
}
