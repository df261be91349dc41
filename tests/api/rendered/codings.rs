use std::time::Duration;

use axum::http::Method;
use docstore::Database;
use serde_json::json;

use super::{HIT, app, coded, status};
use crate::support::App;

async fn with_a_long_page(db: &Database) -> App {
    let app = app(db).await;
    let content = "<p>The river was still.</p>".repeat(200);
    let page = json!({ "title": "About", "content": content });
    assert_eq!(app.put("author", "/pages/about", &page).await.status, 200);
    app
}

testkit::stores! {
    async fn a_coded_form_is_rendered_for_those_who_come_later(db: Database) {
        let app = with_a_long_page(&db).await;
        let plain = app.get("/pages/about").await;
        assert_eq!(plain.header("content-encoding"), "");
        for coding in ["br", "zstd", "gzip"] {
            // No request waits for the encoder: the identity form is sent until the encoded variant exists.
            let answer = loop {
                let answer = coded(&app, "/pages/about", coding).await;
                assert_eq!(status(&answer), (200, HIT));
                assert_eq!(answer.decoded(), plain.bytes);
                assert!(answer.header("vary").contains("Accept-Encoding"));
                if answer.header("content-encoding") == coding {
                    break answer;
                }
                assert_eq!(answer.header("etag"), plain.header("etag"));
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            assert!(answer.bytes.len() < plain.bytes.len() / 5, "{coding}: {}", answer.bytes.len());
            // Other bytes, another tag.
            let tag = format!("{}-{coding}\"", plain.header("etag").trim_end_matches('"'));
            assert_eq!(answer.header("etag"), tag);
            let head = app.send(Method::HEAD, "/pages/about", &[("accept-encoding", coding)]).await;
            assert_eq!(head.header("content-length"), answer.bytes.len().to_string());
        }
        // The best of those that are there.
        assert_eq!(coded(&app, "/pages/about", "gzip, deflate, br, zstd").await.header("content-encoding"), "br");
        assert_eq!(coded(&app, "/pages/about", "gzip, br;q=0.5").await.header("content-encoding"), "gzip");
        assert_eq!(app.get("/pages/about").await.bytes, plain.bytes);
    }

    async fn who_takes_nothing_else_waits_for_it(db: Database) {
        let app = with_a_long_page(&db).await;
        for (accepted, coding) in [("identity;q=0, gzip", "gzip"), ("*;q=0, zstd;q=0.1", "zstd"), ("br, identity;q=0", "br")] {
            // Once when it is created, once when it is ready.
            for path in ["/pages/about", "/pages/about", "/sections?limit=1"] {
                let answer = coded(&app, path, accepted).await;
                assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, coding), "{path}");
                assert_eq!(answer.decoded(), app.get(path).await.bytes);
            }
        }
        for nothing in ["identity;q=0", "*;q=0", "deflate, identity;q=0"] {
            let refused = coded(&app, "/pages/about", nothing).await;
            assert_eq!(refused.status, 406, "{nothing}");
            assert!(refused.json()["detail"].as_str().unwrap().contains("Accept-Encoding"));
        }
    }

    async fn what_is_short_is_left_as_it_is(db: Database) {
        let app = app(&db).await;
        app.get("/sections/slug/blog").await;
        for _ in 0..3 {
            let answer = coded(&app, "/sections/slug/blog", "br, gzip").await;
            assert_eq!((status(&answer), answer.header("content-encoding")), ((200, HIT), ""));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn any_form_is_held_by_its_own_tag(db: Database) {
        let app = with_a_long_page(&db).await;
        let encoded = coded(&app, "/pages/about", "br, identity;q=0").await;
        for (accepted, tag) in [("br", encoded.header("etag")), ("identity", app.get("/pages/about").await.header("etag"))] {
            let held = app.send(Method::GET, "/pages/about", &[("if-none-match", "*"), ("accept-encoding", accepted)]).await;
            assert_eq!((held.status.as_u16(), held.header("etag")), (304, tag), "{accepted}");
        }
    }

    async fn the_tag_of_any_form_is_honoured(db: Database) {
        let app = with_a_long_page(&db).await;
        let first = coded(&app, "/pages/about", "br, identity;q=0").await;
        let plain = app.get("/pages/about").await.header("etag").to_owned();
        let of_br = first.header("etag").to_owned();
        let of_gzip = of_br.replace("-br", "-gzip");
        for held in [&plain, &of_br, &format!("W/{of_br}"), &format!("\"x\", {of_br}")] {
            let answer = app.send(Method::GET, "/pages/about", &[("if-none-match", held), ("accept-encoding", "br")]).await;
            assert_eq!((status(&answer), answer.bytes.len()), ((304, HIT), 0), "{held}");
            assert!(held.contains(answer.header("etag")), "{held}: {}", answer.header("etag"));
            assert_eq!(answer.header("content-encoding"), "");
        }
        // A cache that has the variant of another encoding gets no 304 for this one.
        let other = app.send(Method::GET, "/pages/about", &[("if-none-match", &of_gzip), ("accept-encoding", "br")]).await;
        assert_eq!((status(&other), other.header("content-encoding")), ((200, HIT), "br"));
        // A change may be created for it, too: it is the same state.
        let change = json!({ "title": "Me" });
        assert_eq!(app.put_if("author", "/pages/about", &of_br, &change).await.status, 200);
        assert_eq!(app.put_if("author", "/pages/about", &of_br, &change).await.status, 412);
        let stale = app.send(Method::GET, "/pages/about", &[("if-none-match", &of_br)]).await;
        assert_eq!(stale.status, 200);
    }
}
