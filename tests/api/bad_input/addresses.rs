use axum::body::Body;
use axum::http::Method;
use docstore::Database;
use serde_json::json;

use super::{KINDS, ways};
use crate::support::App;
use crate::writing::ANONYMOUS;

/// Lists, and what of them is asked for.
const LISTS: [&str; 4] = ["/stories", "/projects", "/sections", "/navlinks"];

testkit::stores! {
    async fn names_that_look_like_operators_are_422(db: Database) {
        let app = App::on(&db).await;
        for list in LISTS {
            for (query, name) in [
                ("slug[$ne]=x", "slug[$ne]"), ("slug%5B%24ne%5D=x", "slug[$ne]"), ("$where=1", "$where"), ("%24or=1", "$or"),
                ("a%5Bb%5D=1", "a[b]"), ("limit[]=1", "limit[]"), ("limit=1&$ne", "$ne"),
            ] {
                let errors = app.get(&format!("{list}?{query}")).await.errors();
                assert_eq!(errors, [(json!(["query", name]), "value_error".to_owned())], "{list} {query}");
            }
            // What has no meaning is passed over; of what is said twice the last counts.
            assert_eq!(app.get(&format!("{list}?slug=x&colour=red&limit=x&limit=1&=&&%ff=%fe")).await.status, 200, "{list}");
        }
    }

    async fn values_that_look_like_operators_are_values(db: Database) {
        let app = App::on(&db).await;
        ways(&app).await;
        for value in ["%7B%22$ne%22:null%7D", "$ne", ".*", "%5E", "a'%20OR%20'1'='1", "%00", "%F0%9F%98%80"] {
            for kind in ["stories", "projects", "sections"] {
                assert_eq!(app.get(&format!("/{kind}/slug/{value}")).await.status, 404, "{kind} {value}");
                let by_id = app.get_as("admin", &format!("/{kind}/{value}")).await;
                assert_eq!(by_id.status, 400, "{kind} {value}");
            }
            assert_eq!(app.get(&format!("/pages/{value}")).await.status, 404, "{value}");
            for (list, parameter) in [("/stories", "section_id"), ("/projects", "section_id"), ("/sections", "parent_id")] {
                assert_eq!(app.get(&format!("{list}?{parameter}={value}")).await.status, 400, "{list} {value}");
            }
        }
        // What is no UTF-8 is no address.
        for path in ["/stories/slug/%ff", "/pages/%c0%af", "/sections/%80"] {
            assert_eq!(app.get(path).await.status, 400, "{path}");
        }
    }

    async fn a_path_is_taken_as_it_is_written(db: Database) {
        let app = App::on(&db).await;
        ways(&app).await;
        for path in [
            "//", "///", "//stories", "/stories//", "/stories//slug/a", "//example.com/", "/./stories", "/stories/../sections/",
            "/nothing/", "/STORIES", "/stories;a=b", "/stories%2f", "/%73tories/x/y",
        ] {
            let answer = app.get(path).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["detail"]), (404, &json!("Not Found")), "{path}");
            assert_eq!(app.write("admin", Method::POST, path, &[], "{}").await.status, 404, "{path}");
        }
        // Dots are a name like any other, and there is nothing of that name.
        for dots in ["%2e", "%2e%2e", "%2E%2E", "..", "%2e%2e%2fsections", "..%2f..%2fetc%2fpasswd"] {
            assert_eq!(app.get(&format!("/stories/slug/{dots}")).await.status, 404, "{dots}");
            assert_eq!(app.get(&format!("/pages/{dots}")).await.status, 404, "{dots}");
            assert_eq!(app.get_as("admin", &format!("/stories/{dots}")).await.status, 400, "{dots}");
        }
    }

    async fn a_slash_at_the_end_is_led_to_the_form_without(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = testkit::dump!(db);
        for (path, location) in [
            ("/sections/?limit=2", "/sections?limit=2"), ("/stories/", "/stories"), ("/stories/slug/a/", "/stories/slug/a"),
            ("/pages/about/", "/pages/about"), ("/navlinks/zzz/", "/navlinks/zzz"), ("/health/", "/health"),
        ] {
            let answer = app.get(path).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (307, location), "{path}");
        }
        // With the method and the body that it had, but not before it is sent again.
        for way in &ways {
            let path = format!("{}/", way.path);
            let answer = app.write("admin", way.method.clone(), &path, &[], way.good.to_string()).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (307, &*way.path), "{path}");
            let answer = app.delete("admin", &path).await;
            assert_eq!(answer.status, 307, "{path}");
        }
        assert_eq!(testkit::dump!(db), before);
    }

    async fn head_says_what_get_would(db: Database) {
        let app = App::on(&db).await;
        let mut paths = ["/", "/health", "/readyz", "/me", "/docs", "/openapi.json", "/trash", "/stories/zzz", "/nothing", "/stories?limit=0"]
            .map(str::to_owned).to_vec();
        paths.extend(ways(&app).await.iter().filter(|way| way.method == Method::PUT).map(|way| way.path.clone()));
        paths.extend(KINDS.iter().filter(|kind| **kind != "pages").map(|kind| format!("/{kind}")));
        paths.extend(["/stories/slug/a", "/projects/slug/a", "/sections/slug/a", "/sections/"].map(str::to_owned));
        for path in &paths {
            let (get, head) = (app.get(path).await, app.send(Method::HEAD, path, &[]).await);
            assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{path}");
            for name in ["etag", "content-type", "cache-control", "location", "vary", "www-authenticate", "content-length"] {
                if name != "content-length" || get.headers.contains_key(name) {
                    assert_eq!(head.header(name), get.header(name), "{path}: {name}");
                }
            }
        }
        // Where nothing can be read there is no head.
        let path = "/trash/stories/65a0b1c2d3e4f50617283940/restore";
        assert_eq!(app.send(Method::HEAD, path, &[]).await.status, 405);
    }

    async fn a_method_is_the_one_that_was_sent(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = testkit::dump!(db);
        let disguises = ["x-http-method-override", "x-http-method", "x-method-override"];
        for way in ways.iter().filter(|way| way.changes()) {
            let override_path = format!("{}?_method=DELETE", way.path);
            for name in disguises {
                for method in ["DELETE", "PUT"] {
                    let headers = [(name, method)];
                    let answer = app.write("admin", Method::POST, &override_path, &headers, way.good.to_string()).await;
                    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD,PUT,DELETE"), "{}: {name}", way.path);
                    assert_eq!(app.write("admin", Method::GET, &override_path, &headers, Body::empty()).await.status, 200, "{}: {name}", way.path);
                }
            }
        }
        for list in LISTS {
            for name in disguises {
                assert_eq!(app.write("admin", Method::GET, list, &[(name, "POST")], "{}").await.status, 200, "{list}");
                let answer = app.write(ANONYMOUS, Method::POST, list, &[(name, "GET")], "{}").await;
                assert_eq!(answer.status, 401, "{list}: it is still a POST");
            }
        }
        for method in ["TRACE", "CONNECT", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(app.send(method.clone(), "/stories", &[]).await.status, 405, "{method}");
        }
        assert_eq!(testkit::dump!(db), before);
    }
}
