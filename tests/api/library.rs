use std::sync::Arc;

use axum::http::Method;
use bson::{doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Find, Update};
use field_notes::domain::TrashType;
use field_notes::startup;
use serde_json::{Value, json};

use crate::support::{Answer, App, NOW_MS};
use crate::uploads::{MP4, Site, file, png};
use crate::writing::ANONYMOUS;

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

/// Returns the id in the names of an uploaded file.
fn asset_id(uploaded: &Value) -> String {
    let url = uploaded["urls"][0].as_str().expect("an address");
    let (_, name) = url.rsplit_once('/').expect("a name");
    name.split_once('.').expect("an extension").0.to_owned()
}

fn picture(id: &str) -> String {
    format!("<p><img src=\"/uploads/images/originals/{id}.webp\"></p>")
}

fn story(title: &str, content: &str, is_published: bool) -> Value {
    json!({ "title": title, "content": content, "is_published": is_published })
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["asset_id"].as_str().expect("an id"))
        .collect()
}

impl App {
    async fn read_as(&self, who: &str, path: &str) -> Value {
        let answer = self.get_as(who, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    async fn patch(&self, who: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.write(who, Method::PATCH, path, headers, body.to_string()).await
    }
}

testkit::stores! {
    async fn uploads_of_stored_bytes_change_nothing_unless_they_succeed(db: Database) {
        let site = Site::on(&db).await;
        let (app, bytes) = (&site.app, png(30, 20));
        let id = asset_id(&site.upload("author", &[file(&bytes)]).await.json());
        let path = format!("/media/{id}");
        assert_eq!(app.write("author", Method::DELETE, &path, &[], "").await.status, 204);
        // The broken file comes last, after the stored one.
        let broken = png(31, 21);
        let refused = site.upload("author", &[file(&bytes), file(&broken[..broken.len() / 2])]).await;
        assert_eq!(refused.status, 422);
        assert_eq!(app.get_as("author", &path).await.status, 404, "it stays in the trash");
        assert_eq!(site.upload("author", &[file(&bytes), file(&bytes)]).await.status, 200);
        let etag = app.get_as("author", &path).await.header("etag").to_owned();
        // A request that stored the bytes must see that another one uses them: it would remove them if it failed.
        assert_eq!(site.upload("admin", &[file(&bytes)]).await.status, 200);
        assert_ne!(app.get_as("author", &path).await.header("etag"), etag);
    }

    async fn content_refers_to_files_by_any_address(db: Database) {
        let site = Site::on(&db).await;
        let app = &site.app;
        let id = asset_id(&site.upload("author", &[file(&png(30, 20))]).await.json());
        let content = format!("<p><img src=\"/_next/image?url=%2Fuploads%2Fimages%2Foriginals%2F{id}.webp&amp;w=640\"></p>");
        app.create("author", "/stories", &story("Shown", &content, true)).await;
        assert_eq!(app.write("author", Method::DELETE, &format!("/media/{id}"), &[], "").await.status, 409);
    }

    async fn asset_lists_have_the_shape_of_the_contract(db: Database) {
        let site = Site::on(&db).await;
        let app = &site.app;
        let first = asset_id(&site.upload("author", &[file(&png(450, 30))]).await.json());
        app.clock.advance(TimeDelta::seconds(1));
        let video = asset_id(&site.upload("author", &[file(MP4)]).await.json());
        app.clock.advance(TimeDelta::seconds(1));
        let second = asset_id(&site.upload("admin", &[file(&png(20, 20))]).await.json());

        let section = app.create("admin", "/sections", &json!({ "title": "S", "display_type": "feed", "content_type": "story" })).await;
        let section = section["id"].as_str().unwrap();
        let mut shown = story("Shown", &picture(&first), true);
        shown["section_id"] = json!(section);
        let shown = app.create("author", "/stories", &shown).await;
        let mut draft = story("Draft", &picture(&second), false);
        draft["section_id"] = json!(section);
        let draft = app.create("admin", "/stories", &draft).await;
        let project = json!({ "title": "P", "summary": "s", "content": "<p>c</p>", "image_url": format!("https://x.example/uploads/images/medium/{first}.webp") });
        let project = app.create("admin", "/projects", &project).await;
        let essay = doc! {
            "title": "E", "is_published": true, "section_id": section, "photos": [{ "url": format!("/uploads/images/large/{first}.webp") }],
        };
        db.collection("photo_essays").insert_one(essay).await.unwrap();

        assert_eq!(app.get("/assets/list").await.status, 401);
        assert_eq!(app.get(&format!("/assets/by-section/{section}")).await.status, 401);
        let answer = app.get_as("commenter", "/assets/list?limit=2").await;
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let page = answer.json();
        assert_eq!((ids(&page), &page["next_cursor"], &page["total_count"]), (vec![&*second, &*video], &json!("2"), &json!(3)));
        let rest = app.read_as("commenter", "/assets/list?limit=2&cursor=2").await;
        let originals = format!("images/originals/{first}.webp");
        let thumbnails = format!("images/thumbnails/{first}.webp");
        let size = |path: &str| std::fs::metadata(site.folder.path().join("uploads").join(path)).unwrap().len();
        let named = |kind: &str, item: &Value| json!({ "content_type": kind, "title": item["title"], "id": item["id"] });
        let mut item = rest["items"][0].clone();
        let essay_id = item["referenced_by"][2]["id"].take();
        assert_eq!(essay_id.as_str().map(str::len), Some(24));
        let expected = json!({
            "asset_id": first, "type": "image",
            "variants": [
                { "variant": "originals", "path": originals, "size_bytes": size(&originals) },
                { "variant": "thumbnails", "path": thumbnails, "size_bytes": size(&thumbnails) },
            ],
            "total_size_bytes": size(&originals) + size(&thumbnails), "created_date": "2026-01-02T03:04:05+00:00",
            "referenced_by": [named("story", &shown), named("project", &project), { "content_type": "photo_essay", "title": "E", "id": null }],
        });
        assert_eq!(item, expected);
        assert_eq!((&rest["next_cursor"], &rest["total_count"]), (&Value::Null, &json!(3)));

        // Drafts are named to their owners and to administrators.
        let references = |page: &Value| page["items"][0]["referenced_by"].clone();
        for who in ["author", "commenter"] {
            assert_eq!(references(&app.read_as(who, "/assets/list").await), json!([]), "{who}");
            assert_eq!(ids(&app.read_as(who, &format!("/assets/by-section/{section}")).await), [&*first], "{who}");
        }
        assert_eq!(references(&app.read_as("admin", "/assets/list").await), json!([named("story", &draft)]));
        let own = app.create("author", "/stories", &story("Own", &picture(&second), false)).await;
        assert_eq!(references(&app.read_as("author", "/assets/list").await), json!([named("story", &own)]));

        // A page of a section, and only what its content refers to.
        let page = app.read_as("admin", &format!("/assets/by-section/{section}?limit=1")).await;
        assert_eq!((ids(&page), &page["next_cursor"], &page["total_count"]), (vec![&*second], &json!("1"), &json!(2)));
        let page = app.read_as("admin", &format!("/assets/by-section/{section}?limit=1&cursor=1")).await;
        assert_eq!((ids(&page), &page["next_cursor"]), (vec![&*first], &Value::Null));
        assert_eq!(references(&page).as_array().unwrap().len(), 2, "{page}");
        let empty = json!({ "items": [], "next_cursor": null, "total_count": 0 });
        assert_eq!(app.read_as("admin", &format!("/assets/by-section/{NO_ID}")).await, empty);
        assert_eq!(app.get_as("admin", "/assets/by-section/zzz").await.status, 400);

        // What changes is seen by the next request, and content in the trash does not count.
        let path = format!("/stories/{}", own["id"].as_str().unwrap());
        assert_eq!(app.delete("author", &path).await.status, 204);
        assert_eq!(references(&app.read_as("author", "/assets/list").await), json!([]));

        for (prefix, expected) in [("", vec![&*second, &*video, &*first]), ("images", vec![&*second, &*first]), ("video", vec![&*video])] {
            let page = app.read_as("author", &format!("/assets/list?prefix={prefix}&cursor=")).await;
            assert_eq!((ids(&page), &page["total_count"]), (expected.clone(), &json!(expected.len())), "{prefix}");
        }
        for (query, detail) in [
            ("prefix=../../etc", "Invalid prefix"), ("prefix=Images", "Invalid prefix"), ("cursor=abc", "Invalid cursor"),
            ("cursor=-1", "Invalid cursor"), ("cursor=%2B1", "Invalid cursor"), ("cursor=1.0", "Invalid cursor"),
            ("cursor=99999999999999999999", "Invalid cursor"),
        ] {
            let answer = app.get_as("author", &format!("/assets/list?{query}")).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["detail"]), (400, &json!(detail)), "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=x"] {
            assert_eq!(app.get_as("author", &format!("/assets/list?{query}")).await.errors()[0].0, json!(["query", "limit"]));
        }
        let beyond = app.read_as("author", "/assets/list?cursor=999999999999999").await;
        assert_eq!(beyond, json!({ "items": [], "next_cursor": null, "total_count": 3 }));
    }

    async fn files_of_the_library_are_shown_and_described(db: Database) {
        let site = Site::on(&db).await;
        let app = &site.app;
        let id = asset_id(&site.upload("author", &[file(&png(450, 30))]).await.json());
        assert_eq!(site.upload("admin", &[file(MP4)]).await.status, 200);
        let by_name = app.get_as("commenter", &format!("/media/{id}")).await;
        let item = by_name.json();
        let path = format!("/media/{}", item["id"].as_str().unwrap());
        let by_id = app.get_as("commenter", &path).await;
        assert_eq!((by_id.json(), by_id.header("etag")), (item.clone(), by_name.header("etag")));
        assert_eq!((&item["asset_id"], &item["width"], &item["alt_text"]), (&json!(id), &json!(450), &Value::Null));
        assert_eq!(item["variants"][1]["path"], format!("uploads/images/thumbnails/{id}.webp"));
        assert_eq!(app.read_as("author", "/media?type=video").await["total"], 1);
        let listed = app.read_as("author", "/media?type=image").await;
        assert_eq!((&listed["items"], &listed["total"]), (&json!([item]), &json!(1)));

        let described = app.patch("author", &path, &[("if-match", by_id.header("etag"))], &json!({ "alt_text": "A river", "names": ["x"], "width": 5 })).await;
        assert_eq!(described.status, 200);
        let now = described.json();
        assert_eq!((&now["alt_text"], &now["names"], &now["width"]), (&json!("A river"), &item["names"], &json!(450)));
        let stale = app.patch("author", &path, &[("if-match", by_id.header("etag"))], &json!({ "alt_text": "x" })).await;
        assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, described.header("etag")));
        assert_eq!(app.patch("admin", &path, &[], &json!({})).await.json()["alt_text"], "A river");
        let longest = "ä".repeat(1000);
        assert_eq!(app.patch("author", &path, &[], &json!({ "alt_text": longest })).await.json()["alt_text"], longest);
        for bad in [json!("ä".repeat(1001)), json!(5), json!("a\0b")] {
            assert_eq!(app.patch("author", &path, &[], &json!({ "alt_text": bad })).await.errors()[0].0, json!(["body", "alt_text"]));
        }
        assert_eq!(app.patch("author", &path, &[], &json!({ "alt_text": null })).await.json()["alt_text"], Value::Null);
        // Only the uploader and administrators change a file.
        let video = app.read_as("author", "/media?type=video").await["items"][0]["id"].clone();
        let of_admin = format!("/media/{}", video.as_str().unwrap());
        for (who, path, status) in [(ANONYMOUS, &path, 401), ("commenter", &path, 403), ("author", &of_admin, 403)] {
            assert_eq!(app.patch(who, path, &[], &json!({ "alt_text": "x" })).await.status, status, "{who:?}");
            assert_eq!(app.delete(who, path).await.status, status, "{who:?}");
        }
        assert_eq!(app.get(&path).await.status, 401);
        for (path, status) in [(format!("/media/{NO_ID}"), 404), ("/media/20260102_030405_00000000".to_owned(), 404), ("/media/zzz".to_owned(), 400)] {
            assert_eq!(app.get_as("admin", &path).await.status, status, "{path}");
            assert_eq!(app.patch("admin", &path, &[], &json!({ "alt_text": "x" })).await.status, status, "{path}");
            assert_eq!(app.delete("admin", &path).await.status, status, "{path}");
        }
    }

    async fn files_in_use_are_only_deleted_by_force(db: Database) {
        let site = Site::on(&db).await;
        let app = &site.app;
        let id = asset_id(&site.upload("author", &[file(&png(30, 30))]).await.json());
        let path = format!("/media/{id}");
        let shown = app.create("author", "/stories", &story("Shown", &picture(&id), true)).await;
        app.create("admin", "/stories", &story("Secret", &picture(&id), false)).await;
        let refused = app.delete("author", &path).await;
        assert_eq!(refused.status, 409);
        let detail = refused.json()["detail"].clone();
        assert_eq!((&detail["error_code"], &detail["request_id"]), (&json!("MEDIA_IN_USE"), &Value::Null));
        // A draft of another author is counted, and not named.
        let named = json!([{ "content_type": "story", "title": "Shown", "id": shown["id"] }]);
        assert_eq!((&detail["details"]["reference_count"], &detail["details"]["referenced_by"]), (&json!(2), &named));
        assert!(!refused.json().to_string().contains("Secret"));
        assert_eq!(app.delete("admin", &path).await.json()["detail"]["details"]["referenced_by"].as_array().unwrap().len(), 2);
        assert_eq!(app.delete("author", &format!("{path}?force=false")).await.status, 409);

        let more = (0..60).map(|n| {
            let title = format!("Page {n}");
            doc! { "_id": ObjectId::new(), "title": &title, "page_type": &title, "content": picture(&id) }
        });
        db.collection("pages").insert_many(more.collect()).await.unwrap();
        let details = app.delete("author", &path).await.json()["detail"]["details"].clone();
        assert_eq!((&details["reference_count"], details["referenced_by"].as_array().unwrap().len()), (&json!(62), 50));

        let stale = app.write("author", Method::DELETE, &format!("{path}?force=true"), &[("if-match", "\"x\"")], "").await;
        assert_eq!(stale.status, 412);
        assert_eq!(app.delete("author", &format!("{path}?force=true")).await.status, 204);
        assert_eq!(app.get_as("author", &path).await.status, 404);
        assert_eq!(app.delete("author", &format!("{path}?force=true")).await.status, 404);
        assert_eq!(app.read_as("author", "/assets/list").await["total_count"], 0);
        // Content still shows it.
        assert_eq!(app.get(&format!("/uploads/images/originals/{id}.webp")).await.status, 200);
        assert_eq!(app.get_as("author", "/trash?type=media").await.status, 403);
    }

    async fn deleted_files_keep_their_bytes_until_they_are_purged(db: Database) {
        let site = Site::on(&db).await;
        let app = &site.app;
        let content = png(450, 30);
        let uploaded = site.upload("author", &[file(&content)]).await.json();
        let id = asset_id(&uploaded);
        let item = app.read_as("author", &format!("/media/{id}")).await;
        let own = format!("/trash/media/{}", item["id"].as_str().unwrap());
        let restore = format!("{own}/restore");
        let delete = async || assert_eq!(app.delete("author", &format!("/media/{id}")).await.status, 204);
        let send = async |method: Method, path: &str| app.write("admin", method, path, &[], "").await;

        delete().await;
        let now = "2026-01-02T03:04:05.678000Z";
        let listed = app.read_as("admin", "/trash?type=media").await["items"].clone();
        assert_eq!(listed, json!([{ "id": item["id"], "type": "media", "title": "a picture.jpg", "slug": id, "deletedDate": now, "updatedDate": now }]));
        let restored = send(Method::POST, &restore).await.json();
        assert_eq!(restored, json!({ "id": item["id"], "type": "media", "title": "a picture.jpg", "slug": id }));
        assert_eq!(app.read_as("author", &format!("/media/{id}")).await["variants"], item["variants"]);
        assert_eq!(send(Method::POST, &restore).await.status, 404);
        assert_eq!(send(Method::DELETE, &own).await.status, 404);
        // An upload of the same bytes takes it out of the trash.
        delete().await;
        assert_eq!(site.upload("author", &[file(&content)]).await.json(), uploaded);
        assert_eq!(app.read_as("admin", "/trash?type=media").await["total"], 0);

        // A storage that fails loses nothing: the file stays in the trash, and is purged later.
        delete().await;
        let originals = site.folder.path().join("uploads/images/originals");
        let aside = originals.with_file_name("aside");
        std::fs::rename(&originals, &aside).unwrap();
        std::os::unix::fs::symlink(&originals, &originals).unwrap();
        assert_eq!(send(Method::DELETE, &own).await.status, 503);
        assert_eq!(app.read_as("admin", "/trash?type=media").await["total"], 1);
        assert_eq!(send(Method::POST, &restore).await.status, 404, "half of it is gone");
        std::fs::remove_file(&originals).unwrap();
        std::fs::rename(&aside, &originals).unwrap();
        assert_eq!(site.files().len(), 1);
        assert_eq!(send(Method::DELETE, &own).await.status, 204);
        assert_eq!(send(Method::DELETE, &own).await.status, 404);
        assert_eq!((site.files(), db.collection("media").count(&Filter::All).await.unwrap()), (vec![], 0));

        // The same bytes are a new file. Old trash takes the files with it: also those that were made of a video.
        app.clock.advance(TimeDelta::seconds(5));
        let again = asset_id(&site.upload("author", &[file(&content)]).await.json());
        assert_ne!(again, id);
        let video = asset_id(&site.upload("author", &[file(MP4)]).await.json());
        for made in [format!("thumbnails/{video}_poster.jpg"), format!("thumbnails/{video}_thumb_4.jpg"), format!("video/mp4_720p/{video}.mp4")] {
            let path = site.folder.path().join("uploads").join(made);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        assert_eq!(app.delete("author", &format!("/media/{video}")).await.status, 204);
        app.clock.advance(TimeDelta::days(30));
        assert_eq!(app.delete("author", &format!("/media/{again}")).await.status, 204);
        let trash = startup::services(&app.config, &db, Arc::new(app.clock.clone())).trash;
        assert_eq!(trash.count_older(TrashType::Media, TimeDelta::days(30)).await.unwrap(), 1);
        assert_eq!(trash.purge_older(TrashType::Media, TimeDelta::days(30)).await.unwrap(), 1);
        assert_eq!(site.files(), [format!("uploads/images/originals/{again}.webp"), format!("uploads/images/thumbnails/{again}.webp")]);
        assert_eq!(db.collection("video_processing_jobs").count(&Filter::All).await.unwrap(), 0);

        // A document that cannot be read is purged, too; and no file of another one.
        let broken = doc! {
            "_id": ObjectId::new(), "asset_id": &again, "deleted": true, "variants": "none",
            "updatedDate": bson::DateTime::from_millis(NOW_MS),
        };
        db.collection("media").insert_one(broken).await.unwrap();
        assert_eq!(trash.purge_older(TrashType::Media, TimeDelta::days(1)).await.unwrap(), 1);
        assert_eq!(site.files().len(), 2);
        let undone = Update::new().set("deleted", false).set("is_deleted", false);
        db.collection("media").update_many(&Filter::All, &undone).await.unwrap();
        assert_eq!(trash.purge_older(TrashType::Media, TimeDelta::zero()).await.unwrap(), 0);
        assert_eq!(db.collection("media").find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap().len(), 1);
    }
}
