use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use bson::{doc, oid::ObjectId};
use docstore::{Database, Filter};
use field_notes::domain::Authorship;
use field_notes::http::{Policy, Route, routes};
use field_notes::media::Key;
use serde_json::json;

use crate::support::{App, NOW_MS, user_id};
use crate::writing::ANONYMOUS;

/// The slug and page type of the item that a route is called with.
const SLUG: &str = "contact";

/// Callers, and whether they own the item.
const CALLERS: [(&str, bool); 5] =
    [(ANONYMOUS, false), ("commenter", false), ("author", true), ("author", false), ("admin", false)];

/// Returns the status of a rejection; none if the caller is admitted.
fn refusal(policy: Policy, who: &str, owns: bool) -> Option<u16> {
    let may = match policy {
        Policy::Everyone => return None,
        _ if who == ANONYMOUS => return Some(401),
        Policy::SignedIn => true,
        Policy::Authors => who != "commenter",
        Policy::Owner => owns || who == "admin",
        Policy::OwnerAlone => owns,
        Policy::Admins => who == "admin",
    };
    if may { None } else { Some(403) }
}

/// Puts an item in place that the route is about, and says how it is called. The item fits every kind of content.
async fn concrete(app: &App, db: &Database, route: &Route, owner: &str) -> String {
    if route.path.starts_with("/video-processing/") {
        let (jobs, at) = (db.collection("video_processing_jobs"), bson::DateTime::from_millis(NOW_MS));
        jobs.delete_many(&Filter::All).await.expect("the job before is deleted");
        let job = doc! {
            "job_id": SLUG, "original_file": "uploads/a.mp4", "status": "started", "created_at": at,
            "thumbnail_options": [{ "id": "thumb_0", "url": "/uploads/t.jpg", "timestamp_seconds": 0.0 }],
        };
        jobs.insert_one(job).await.expect("a job is inserted");
        return route.path.replace("{job_id}", SLUG);
    }
    if route.path.starts_with("/assets/") {
        return route.path.replace("{section_id}", &ObjectId::new().to_hex());
    }
    let in_trash = route.path.starts_with("/trash/");
    if route.path.starts_with("/api/engagement/") {
        return concrete_engagement(db, route, owner).await;
    }
    if !route.path.contains('{') {
        return route.path.replace("/trash", "/trash?type=stories");
    }
    if route.path == "/uploads/{path}" {
        let key = Key::in_uploads("here.webp").expect("a name");
        app.media().put(&key, "x".into()).await.expect("a file is written");
        return key.url();
    }
    let collection =
        if in_trash { "stories" } else { route.path.split('/').nth(1).expect("a path has a first part") };
    let known = ["stories", "projects", "pages", "sections", "navlinks", "media"];
    assert!(known.contains(&collection), "{}: say here how an item of it is created", route.path);
    let items = db.collection(collection);
    let before = Filter::or([Filter::eq("slug", SLUG), Filter::eq("page_type", SLUG)]);
    items.delete_many(&before).await.expect("the item before is deleted");
    let (id, at) = (ObjectId::new(), bson::DateTime::from_millis(NOW_MS));
    let item = doc! {
        "_id": id, "title": "t", "slug": SLUG, "page_type": SLUG, "label": "l", "url": "/u", "summary": "s",
        "content": "c", "technologies": [], "parent_id": null, "display_type": "feed", "content_type": "story",
        "nav_visibility": "main", "sort_order": 0, "is_published": true, "is_featured": false, "date": at,
        "createdDate": at, "updatedDate": at, "user_id": owner, "type": "image", "filter": "none", "names": [],
        "asset_id": id.to_hex(), "content_hash": id.to_hex(), "variants": [],
        "deleted": in_trash,
    };
    items.insert_one(item).await.expect("an item is inserted");
    route
        .path
        .replace("{id}", &id.to_hex())
        .replace("{slug}", SLUG)
        .replace("{page_type}", SLUG)
        .replace("{type}", collection)
}

/// As [`concrete`], for reactions and comments.
async fn concrete_engagement(db: &Database, route: &Route, owner: &str) -> String {
    let (story, comment, at) = (ObjectId::new(), ObjectId::new(), bson::DateTime::from_millis(NOW_MS));
    let document = doc! {
        "_id": story, "title": "t", "slug": story.to_hex(), "content": "c", "is_published": true, "date": at,
        "createdDate": at, "updatedDate": at, "user_id": owner,
    };
    db.collection("stories").insert_one(document).await.expect("a story is inserted");
    let document = doc! {
        "_id": comment, "target_type": "story", "target_id": story.to_hex(), "parent_id": null, "user_id": owner,
        "user_name": "n", "user_avatar": null, "content": "c", "mentions": [], "created_at": at, "updated_at": at,
        "deleted_at": null,
    };
    db.collection("comments").insert_one(document).await.expect("a comment is inserted");
    route
        .path
        .replace("{target_type}", "story")
        .replace("{target_id}", &story.to_hex())
        .replace("{id}", &comment.to_hex())
}

/// Returns the type of a body, and a body from which every type of content can be created.
fn fields(route: &Route) -> (&'static str, Body) {
    const GIF: &[u8] =
        b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    if route.path == "/uploads" {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.gif\"\r\n\r\n";
        return ("multipart/form-data; boundary=x", [head, GIF, b"\r\n--x--"].concat().into());
    }
    let body = match route.method {
        Method::PUT if route.path == "/sections/order" => Body::from("[]"),
        _ if route.path.starts_with("/video-processing/") => Body::from(
            json!({
                "original_file": "uploads/a.mp4", "update_data": { "status": "failed" }, "thumbnail_id": "thumb_0",
                "metadata": {
                    "duration_seconds": 0, "width": 0, "height": 0, "file_size": 0, "content_type": "video/mp4",
                    "upload_time": "2026-01-02T03:04:05Z",
                },
            })
            .to_string(),
        ),
        Method::POST | Method::PUT | Method::PATCH => Body::from(
            json!({
                "title": "Title", "content": "<p>c</p>", "summary": "s", "is_published": true, "label": "l",
                "url": "/u", "display_type": "feed", "content_type": "story", "reaction_tag": "heart", "targets": [],
            })
            .to_string(),
        ),
        _ => Body::empty(),
    };
    ("application/json", body)
}

/// Restoring and hiding an item takes no body.
fn reads_a_body(route: &Route) -> bool {
    let takes_none = ["/restore", "/hide"].iter().any(|end| route.path.ends_with(end));
    matches!(route.method, Method::POST | Method::PUT | Method::PATCH) && !takes_none
}

testkit::stores! {
    async fn t12_every_route_admits_whom_its_policy_names(db: Database) {
        let app = App::on(&db).await;
        app.get_as("admin", "/me").await;
        app.get_as("commenter", "/me").await;
        let author = user_id(&app, &db, "author", "dev-author@dev.example.com").await;
        let stranger = ObjectId::new().to_hex();
        for route in routes() {
            for (who, owns) in CALLERS {
                let path = concrete(&app, &db, route, if owns { &author } else { &stranger }).await;
                let before = testkit::dump!(db);
                let (kind, body) = fields(route);
                let answer = app.write(who, route.method.clone(), &path, &[("content-type", kind)], body).await;
                let what = format!("{} {} as {who:?}, owner: {owns}", route.method.as_str(), route.path);
                match refusal(route.policy, who, owns) {
                    None => assert!(answer.status.is_success(), "{what}: {}", answer.status),
                    Some(status) => {
                        assert_eq!(answer.status, status, "{what}");
                        assert_eq!(testkit::dump!(db), before, "{what}");
                    }
                }
            }
        }
    }

    async fn callers_are_judged_before_bodies(db: Database) {
        let app = App::on(&db).await;
        for route in routes().iter().filter(|route| reads_a_body(route) && route.policy != Policy::Everyone) {
            let path = concrete(&app, &db, route, "anonymous").await;
            let answer = app.write(ANONYMOUS, route.method.clone(), &path, &[], "{").await;
            assert_eq!(answer.status, 401, "{} {}", route.method.as_str(), route.path);
            // Whether an owner may write depends on the item, not on the role alone.
            if matches!(route.policy, Policy::Authors | Policy::Admins) {
                let answer = app.write("commenter", route.method.clone(), &path, &[], "{").await;
                assert_eq!(answer.status, 403, "{} {}", route.method.as_str(), route.path);
            }
        }
    }

    async fn open_authorship_admits_every_role_to_authors_routes(db: Database) {
        let app = App::on_with(&db, |config| config.authorship = Authorship::Open).await;
        let answer = app.write("commenter", Method::POST, "/stories", &[], "{").await;
        assert_eq!(answer.status, 422);
    }

    async fn the_router_has_the_routes_of_the_table_and_no_others(db: Database) {
        let app = App::on(&db).await;
        for path in routes().iter().map(|route| route.path).collect::<BTreeSet<_>>() {
            let other = [Method::PATCH, Method::PUT].into_iter().find(|method| {
                !routes().iter().any(|route| route.path == path && route.method == method)
            });
            let other = other.expect("no path has both");
            let answer = app.send(other, &path.replace(['{', '}'], ""), &[]).await;
            assert_eq!(answer.status, 405, "{path}");
            let allowed: BTreeSet<_> = answer.header("allow").split(',').map(str::to_owned).collect();
            let mut declared: BTreeSet<_> =
                routes().iter().filter(|route| route.path == path).map(|route| route.method.as_str().to_owned()).collect();
            if declared.contains("GET") {
                declared.insert("HEAD".to_owned());
            }
            assert_eq!(allowed, declared, "{path}");
        }
    }
}
