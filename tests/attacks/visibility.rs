use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Method;
use bson::{Document, doc};
use docstore::Database;
use field_notes::http::routes;
use serde_json::{Value, json};
use wiremock::matchers::{path as path_is, query_param};
use wiremock::{Mock, MockServer};

use crate::google_double::{but, said};
use crate::site::{KINDS, NO_ID, Site, comparable, item, path, unlimited, upload};
use crate::support::{Answer, App, NOW_MS};
use crate::writing::ANONYMOUS;

/// Returns all documents but those of users: a sign-in is recorded even if the request is rejected.
pub(crate) async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.remove("users");
    all
}

/// Asserts that two responses are indistinguishable.
fn assert_same(hidden: &Answer, unknown: &Answer, what: &str) {
    assert_eq!((hidden.status, comparable(hidden)), (unknown.status, comparable(unknown)), "{what}");
    let names = |answer: &Answer| {
        let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(hidden), names(unknown), "{what}");
}

/// Returns the target of the `next` link.
pub(crate) fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link").split(", ").find(|link| link.ends_with("rel=\"next\""))?;
    Some(link.trim_start_matches('<').split('>').next()?.to_owned())
}

testkit::stores! {
    async fn t01_drafts_are_on_no_public_list(db: Database) {
        let app = unlimited(&db).await;
        for kind in KINDS {
            let list = format!("/{kind}");
            app.create("author", &list, &item(kind, "Public", true)).await;
            app.create("author", &list, &item(kind, "Secret draft", false)).await;
            if kind != "navlinks" {
                let deleted = app.create("author", &list, &item(kind, "Secret deleted", true)).await;
                assert_eq!(app.delete("author", &path(kind, &deleted)).await.status, 204);
            }
        }
        // As other programs leave them: one mark of deletion, no flag, a flag of another type.
        let at = bson::DateTime::from_millis(NOW_MS);
        for more in [doc! { "deleted": true }, doc! { "is_deleted": true }, doc! { "is_published": null }, doc! { "is_published": "true" }] {
            let mut story = doc! {
                "title": "Secret", "content": "secret", "slug": format!("secret-{more}"), "is_published": true, "date": at,
                "createdDate": at, "updatedDate": at, "user_id": NO_ID,
            };
            story.extend(more);
            db.collection("stories").insert_one(story).await.unwrap();
        }
        for kind in KINDS {
            let total = if kind == "sections" { 5 } else { 1 };
            for query in [
                "", "include_drafts=true", "include_unpublished=true", "include_drafts=true&include_unpublished=true", "is_published=false",
                "published=false", "deleted=true", "is_deleted=true", "include_deleted=true", "status=draft", "status=all", "preview=true",
                "featured_only=false&include_drafts=1", "cursor=&include_drafts=true", "fields=title&include_drafts=yes",
            ] {
                for who in [ANONYMOUS, "stranger", "commenter"] {
                    let what = format!("/{kind}?limit=50&{query} as {who:?}");
                    let answer = app.read(who, &format!("/{kind}?limit=50&{query}")).await;
                    if answer.status == 401 {
                        assert!(query.contains("include_unpublished") && who != "commenter", "{what}");
                        continue;
                    }
                    assert_eq!((answer.status.as_u16(), &answer.json()["total"]), (200, &json!(total)), "{what}");
                    let all = format!("{:?} {}", answer.headers, answer.json()).to_lowercase();
                    assert!(all.contains("public\"") && !all.contains("secret"), "{what}: {all}");
                }
            }
        }
    }

    async fn t02_hidden_items_are_on_no_surface(db: Database) {
        let app = unlimited(&db).await;
        for (kind, place) in [("stories", "section_id"), ("projects", "section_id"), ("sections", "parent_id")] {
            for hide in ["unpublish", "delete"] {
                let what = format!("{kind}: {hide}");
                let mut shelf = item("sections", &format!("Shelf {what}"), true);
                if kind == "projects" {
                    shelf["content_type"] = json!("project");
                }
                let shelf = app.create("author", "/sections", &shelf).await["id"].clone();
                let list = format!("/{kind}?{place}={}", shelf.as_str().unwrap());
                let mut first = item(kind, &format!("First {hide}"), true);
                first[place] = shelf;
                let created = app.create("author", &format!("/{kind}"), &first).await;
                let own = path(kind, &created);
                let renamed = app.change(&own, &json!({ "title": format!("Second {hide}"), "slug": format!("second-{hide}") })).await;
                let by_slug = |slug: &str| format!("/{kind}/slug/{slug}");
                let (former, current) = (by_slug(&format!("first-{hide}")), by_slug(&format!("second-{hide}")));
                // All surfaces work while it is public.
                assert_eq!(app.anonymous(&current).await.status, 200, "{what}");
                assert_eq!(app.anonymous(&former).await.header("location"), current, "{what}");
                assert_eq!(app.anonymous(&list).await.json()["total"], 1, "{what}");
                if hide == "delete" {
                    assert_eq!(app.delete("author", &own).await.status, 204, "{what}");
                } else {
                    app.change(&own, &json!({ "is_published": false })).await;
                }
                for who in [ANONYMOUS, "commenter"] {
                    let unknown = app.read(who, &by_slug("never-was")).await;
                    assert_eq!(unknown.status, 404, "{what}");
                    for hidden in [&former, &current] {
                        assert_same(&app.read(who, hidden).await, &unknown, &format!("{hidden} {what} as {who:?}"));
                        let tag = [("if-none-match", renamed.header("etag"))];
                        assert_same(&app.write(who, Method::GET, hidden, &tag, Body::empty()).await, &unknown, hidden);
                    }
                    let nothing = format!("/{kind}/{NO_ID}");
                    assert_same(&app.read(who, &own).await, &app.read(who, &nothing).await, &what);
                    for method in [Method::PUT, Method::DELETE] {
                        let ask = async |path: &str| app.write(who, method.clone(), path, &[], json!({}).to_string()).await;
                        assert_same(&ask(&own).await, &ask(&nothing).await, &format!("{method} {what} as {who:?}"));
                    }
                    let inside = app.read(who, &list).await;
                    assert_eq!((inside.json()["items"].clone(), inside.json()["total"].clone()), (json!([]), json!(0)), "{what}");
                }
                if kind == "sections" {
                    let alias = app.anonymous(&format!("/sections/by-slug/second-{hide}")).await;
                    assert_same(&alias, &app.anonymous("/sections/by-slug/never-was").await, &what);
                }
            }
        }
        // No page of a list leads over a hidden item.
        for kind in KINDS {
            app.create("author", &format!("/{kind}"), &item(kind, "Hidden", false)).await;
            let (mut target, mut seen) = (Some(format!("/{kind}?limit=1&cursor=")), 0);
            while let Some(path) = target {
                let answer = app.anonymous(&path).await;
                let items = answer.json()["items"].as_array().expect("a list").clone();
                assert!(items.iter().all(|item| item["is_published"] != false), "{path}: {items:?}");
                seen += items.len();
                target = next(&answer);
            }
            assert_eq!(json!(seen), app.anonymous(&format!("/{kind}")).await.json()["total"], "{kind}");
        }
        // Pages and links, which have no former address.
        app.put("author", "/pages/about", &item("pages", "Hidden", false)).await;
        assert_same(&app.anonymous("/pages/about").await, &app.anonymous("/pages/contact").await, "pages");
        let hidden = app.create("author", "/navlinks", &item("navlinks", "Hidden", false)).await;
        let hidden = app.anonymous(&path("navlinks", &hidden)).await;
        assert_same(&hidden, &app.anonymous(&format!("/navlinks/{NO_ID}")).await, "navlinks");
    }

    async fn t22_author_reaches_nothing_of_another_author(db: Database) {
        let google = MockServer::start().await;
        for (token, account) in [("jo", "42"), ("amy", "43")] {
            let mut info = but("email", format!("{token}@example.com"));
            info["sub"] = account.into();
            Mock::given(path_is("/oauth2/v3/tokeninfo")).and(query_param("access_token", token)).respond_with(said(&info)).mount(&google).await;
        }
        let base = google.uri();
        let app = App::on_with(&db, |config| {
            config.middleware.unlimited = true;
            config.google.base = base;
            config.google.audiences = vec!["ours".into()];
            config.author_emails.extend(["jo@example.com".to_owned(), "amy@example.com".to_owned()]);
        })
        .await;
        let ask = async |who: &str, method: Method, path: &str, tag: &str, body: &Value| {
            let token = format!("Bearer {who}");
            let mut headers = vec![("authorization", &*token)];
            if !tag.is_empty() {
                headers.push(("if-match", tag));
            }
            let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
            app.write(ANONYMOUS, method, path, &headers, body).await
        };
        let none = Value::Null;
        // Jo's items, hidden and public; each with the tag that only Jo knows.
        let mut items = Vec::new();
        for kind in KINDS {
            for is_published in [false, true] {
                let title = if is_published { "Shown" } else { "Hidden" };
                let made = ask("jo", Method::POST, &format!("/{kind}"), "", &item(kind, title, is_published)).await;
                assert_eq!(made.status, 201, "{kind}");
                items.push((kind, is_published, path(kind, &made.json()), made.header("etag").to_owned()));
            }
        }
        for (page, is_published) in [("about", false), ("contact", true)] {
            let made = ask("jo", Method::PUT, &format!("/pages/{page}"), "", &item("pages", "Hidden", is_published)).await;
            items.push(("pages", is_published, format!("/pages/{page}"), made.header("etag").to_owned()));
        }
        let deleted = ask("jo", Method::POST, "/stories", "", &item("stories", "Deleted", true)).await.json();
        assert_eq!(ask("jo", Method::DELETE, &path("stories", &deleted), "", &none).await.status, 204);
        // Amy's own.
        let story = ask("amy", Method::POST, "/stories", "", &item("stories", "Mine", true)).await.json();
        let section = ask("amy", Method::POST, "/sections", "", &item("sections", "Mine", true)).await.json();
        let file = format!("/media/{}", upload(&app, "admin").await);
        let before = content(&db).await;
        for (kind, is_published, path, tag) in &items {
            let read = ask("amy", Method::GET, path, "", &none).await;
            assert_eq!(read.status, if *is_published { 200 } else { 404 }, "{path}");
            for tag in ["", "*", tag.as_str()] {
                for (method, body) in [(Method::PUT, item(kind, "Taken", true)), (Method::DELETE, none.clone())] {
                    let status = ask("amy", method.clone(), path, tag, &body).await.status.as_u16();
                    let expected = if *is_published || *kind == "navlinks" { 403 } else { 404 };
                    // The draft of a page is as if it were not there, and then a tag cannot match.
                    let hidden_page = *kind == "pages" && !is_published && matches!(status, 403 | 404 | 409 | 412);
                    assert!(status == expected || hidden_page, "{method} {path} {tag}: {status}");
                }
            }
        }
        let hidden_section = items.iter().find(|(kind, is_published, ..)| *kind == "sections" && !is_published).unwrap();
        let hidden_id = hidden_section.2.rsplit('/').next().unwrap();
        let mine = path("stories", &story);
        let my_section = path("sections", &section);
        for (method, path, body, statuses) in [
            (Method::GET, "/trash?type=stories".to_owned(), none.clone(), vec![403]),
            (Method::POST, format!("/trash/stories/{}/restore", deleted["id"].as_str().unwrap()), none.clone(), vec![403]),
            (Method::DELETE, format!("/trash/stories/{}", deleted["id"].as_str().unwrap()), none.clone(), vec![403]),
            (Method::PATCH, file.clone(), json!({ "alt_text": "Taken" }), vec![403]),
            (Method::DELETE, format!("{file}?force=true"), none.clone(), vec![403]),
            (Method::PUT, mine, json!({ "section_id": hidden_id }), vec![422]),
            (Method::PUT, my_section.clone(), json!({ "parent_id": hidden_id }), vec![404, 422]),
            (Method::DELETE, format!("{my_section}?reassign_to={hidden_id}"), none.clone(), vec![400, 404]),
            (Method::PUT, "/sections/order".to_owned(), json!([{ "id": hidden_id, "sort_order": 1 }]), vec![403, 404]),
        ] {
            let answer = ask("amy", method.clone(), &path, "", &body).await;
            assert!(statuses.contains(&answer.status.as_u16()), "{method} {path}: {}", answer.status);
        }
        for list in ["/stories?include_drafts=true", "/projects?include_unpublished=true", "/sections?include_unpublished=true&limit=50",
            "/navlinks?include_unpublished=true"] {
            let text = ask("amy", Method::GET, list, "", &none).await.json().to_string();
            assert!(text.contains("Shown") && !text.contains("Hidden"), "{list}: {text}");
        }
        assert_eq!(content(&db).await, before);
    }

    async fn t02_reactions_and_comments_reveal_no_hidden_item(db: Database) {
        let app = unlimited(&db).await;
        let draft = app.create("author", "/stories", &item("stories", "Secret", true)).await;
        let about = |kind: &str, id: &str| format!("/api/engagement/{kind}/{id}");
        let id = draft["id"].as_str().expect("an id").to_owned();
        for (end, body) in [("reactions", json!({ "reaction_tag": "heart" })), ("comments", json!({ "content": "Secret" }))] {
            let answer = app.post("author", &format!("{}/{end}", about("story", &id)), &body).await;
            assert!(answer.status.is_success(), "{}", answer.status);
        }
        app.change(&path("stories", &draft), &json!({ "is_published": false })).await;
        for who in [ANONYMOUS, "commenter", "author", "admin"] {
            for end in ["reactions", "comments"] {
                let (hidden, unknown) = (format!("{}/{end}", about("story", &id)), format!("{}/{end}", about("story", NO_ID)));
                assert_same(&app.read(who, &hidden).await, &app.read(who, &unknown).await, &format!("{end} as {who}"));
                let body = json!({ "reaction_tag": "heart", "content": "Guess" });
                let (hidden, unknown) = (app.post(who, &hidden, &body).await, app.post(who, &unknown, &body).await);
                assert_eq!((hidden.status, comparable(&hidden)), (unknown.status, comparable(&unknown)), "{end} as {who}");
            }
            let count = async |id: &str| {
                let body = json!({ "targets": [{ "type": "story", "id": id }] });
                let counts = app.post(who, "/api/engagement/bulk/counts", &body).await.json();
                counts["counts"][format!("story:{id}")].clone()
            };
            assert_eq!(count(&id).await, count(NO_ID).await, "{who}");
        }
    }

    async fn t23_responses_to_callers_are_never_shared(db: Database) {
        let app = unlimited(&db).await;
        let site = Site::create(&app).await;
        for kind in KINDS {
            app.create("admin", &format!("/{kind}"), &item(kind, "Secret", false)).await;
        }
        for route in routes().iter().filter(|route| route.method == Method::GET) {
            let path = site.path(route).replace("/trash", "/trash?type=stories");
            let before = app.anonymous(&path).await;
            for who in ["admin", "author", "stranger"] {
                for path in [path.clone(), format!("{path}{}include_drafts=true&include_unpublished=true", if path.contains('?') { '&' } else { '?' })] {
                    let answer = app.read(who, &path).await;
                    let control = answer.header("cache-control");
                    assert!(control.contains("no-store"), "{path} as {who}: {control:?}");
                    assert!(!control.contains("public"), "{path} as {who}: {control:?}");
                    assert_eq!(answer.header("cache-status"), "", "{path} as {who}");
                }
            }
            let after = app.anonymous(&path).await;
            let volatile = ["/readyz", "/health", "/livez", "/warmup"].contains(&route.path);
            if !volatile {
                assert_eq!(after.decoded(), if before.status == 200 { before.decoded() } else { after.decoded() }, "{path}");
            }
            assert!(!String::from_utf8_lossy(&after.decoded()).contains("Secret"), "{path}");
            if after.status == 200 && after.headers.contains_key("etag") {
                for name in ["Authorization", "Accept-Encoding", "Origin"] {
                    assert!(after.header("vary").split(", ").any(|varies| varies == name), "{path}: {}", after.header("vary"));
                }
            }
        }
        // Errors are stored by no cache.
        for path in ["/stories/slug/never-was", "/sections?limit=0", "/sections/zzz", "/nothing", "/me", "/trash?type=stories"] {
            let answer = app.anonymous(path).await;
            assert!(answer.status.is_client_error() && answer.header("cache-control") == "no-store", "{path}");
        }
    }

    async fn t24_conditional_requests_reveal_nothing(db: Database) {
        let app = unlimited(&db).await;
        app.create("author", "/stories", &item("stories", "Public", true)).await;
        let shown = app.anonymous("/stories").await;
        let draft = app.post("author", "/stories", &item("stories", "Draft", false)).await;
        let tag = draft.header("etag");
        let own = path("stories", &draft.json());
        for who in [ANONYMOUS, "commenter"] {
            for known in [tag, "*", &format!("W/{tag}"), &format!("\"x\", {tag}")] {
                for method in [Method::GET, Method::HEAD] {
                    let headers = [("if-none-match", known)];
                    let answer = app.write(who, method.clone(), "/stories/slug/draft", &headers, Body::empty()).await;
                    assert_eq!((answer.status.as_u16(), answer.header("etag")), (404, ""), "{method} {known} as {who:?}");
                }
            }
        }
        for known in [tag, "*", "\"x\""] {
            for path in [&own, &format!("/stories/{NO_ID}")] {
                for header in ["if-match", "if-none-match"] {
                    let answer = app.write("commenter", Method::PUT, path, &[(header, known)], item("stories", "x", true).to_string()).await;
                    assert_eq!((answer.status.as_u16(), answer.header("etag")), (404, ""), "{path} {header}: {known}");
                }
            }
        }
        // A tag of what is public says nothing of what is hidden.
        app.change(&own, &json!({ "title": "Changed" })).await;
        assert_eq!(app.anonymous("/stories").await.header("etag"), shown.header("etag"));
        assert_eq!(app.delete("author", &own).await.status, 204);
        let after = app.anonymous("/stories").await;
        assert_eq!((after.header("etag"), after.json()), (shown.header("etag"), shown.json()));
        // An item that does not exist matches no tag.
        assert_eq!(app.put_if("author", "/pages/about", "*", &item("pages", "x", true)).await.status, 412);
    }
}
