use axum::body::Body;
use axum::http::Method;
use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::Database;
use serde_json::{Value, json};

use crate::counting::Counting;
use crate::support::{App, NOW_MS, insert, section};
use crate::writing::{ANONYMOUS, stored};

pub(crate) const NO_ID: &str = "65a0b1c2d3e4f50617283940";

pub(crate) fn new(title: &str) -> Value {
    json!({ "title": title, "display_type": "feed", "content_type": "story" })
}

pub(crate) fn inside(title: &str, parent: &Value) -> Value {
    let mut section = new(title);
    section["parent_id"] = parent["id"].clone();
    section
}

pub(crate) fn path(section: &Value) -> String {
    format!("/sections/{}", section["id"].as_str().expect("an id"))
}

pub(crate) fn error(field: &str, kind: &str) -> (Value, String) {
    (json!(["body", field]), kind.to_owned())
}

/// A document in a section, as a program of another age may have left it.
pub(crate) async fn insert_into_section(db: &Database, collection: &str, section: impl Into<Bson>) -> Value {
    let at = bson::DateTime::from_millis(NOW_MS);
    let id = ObjectId::new();
    let document = doc! {
        "_id": id, "title": "t", "content": "c", "slug": id.to_hex(), "page_type": id.to_hex(), "is_published": true,
        "createdDate": at, "updatedDate": at, "section_id": section.into(),
    };
    db.collection(collection).insert_one(document).await.expect("a document is inserted");
    json!(id.to_hex())
}

pub(crate) async fn field(db: &Database, collection: &str, id: &Value, field: &str) -> Option<Bson> {
    let document: Document = stored(db, collection, id).await;
    document.get(field).cloned()
}

testkit::stores! {
    async fn unpublished_sections_of_others_take_no_sections_and_no_contents(db: Database) {
        let app = App::on(&db).await;
        let mut hidden = new("Hidden");
        hidden["is_published"] = json!(false);
        let hidden = app.create("admin", "/sections", &hidden).await;
        let own = app.create("author", "/sections", &new("Own")).await;
        let to_hidden = json!({ "parent_id": hidden["id"] });
        let id = hidden["id"].as_str().unwrap();
        let places = json!([{ "id": own["id"], "parent_id": hidden["id"], "sort_order": 1 }]);
        let reassign = format!("{}?reassign_to={id}", path(&own));
        for (role, created, updated, deleted) in [("author", 422, 422, 400), ("admin", 201, 200, 204)] {
            let answer = app.post(role, "/sections", &inside("Child", &hidden)).await;
            assert_eq!(answer.status, created, "{role}");
            assert_eq!(app.put(role, &path(&own), &to_hidden).await.status, updated, "{role}");
            let reordered = app.put(role, "/sections/order", &places).await.status.as_u16();
            assert_eq!(reordered, if updated == 200 { 204 } else { updated }, "{role}");
            assert_eq!(app.delete(role, &reassign).await.status, deleted, "{role}");
        }
    }

    async fn a_section_has_the_fields_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let body = json!({ "title": "My Notes", "display_type": "card-grid", "content_type": "project", "slug": "ignored" });
        let created = app.post("author", "/sections", &body).await;
        assert_eq!(created.status, 201);
        let section = created.json();
        let author = stored(&db, "sections", &section["id"]).await.get_str("user_id").unwrap().to_owned();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "title": "My Notes", "slug": "my-notes", "parent_id": null, "display_type": "card-grid",
            "content_type": "project", "nav_visibility": "main", "sort_order": 0, "is_published": true,
            "id": section["id"], "createdDate": now, "updatedDate": now, "user_id": author,
        });
        assert_eq!(section, expected);
        for address in [&*path(&section), "/sections/slug/my-notes", "/sections/by-slug/my-notes"] {
            let got = app.get(address).await;
            assert_eq!((got.json(), got.header("etag")), (section.clone(), created.header("etag")), "{address}");
        }
        let again = app.create("author", "/sections", &body).await;
        assert_eq!(again["slug"], "my-notes-2");
    }

    async fn bad_bodies_are_422_before_anything_else(db: Database) {
        let app = App::on(&db).await;
        let missing = [error("title", "missing"), error("display_type", "missing"), error("content_type", "missing")];
        assert_eq!(app.post("author", "/sections", &json!({})).await.errors(), missing);
        let bad = json!({
            "title": "", "display_type": "list", "content_type": 5, "slug": "a".repeat(201), "parent_id": 7,
            "nav_visibility": "Main", "sort_order": -1, "is_published": "maybe",
        });
        let expected = [
            error("title", "string_too_short"),
            error("display_type", "literal_error"),
            error("content_type", "literal_error"),
            error("slug", "string_too_long"),
            error("parent_id", "string_type"),
            error("nav_visibility", "literal_error"),
            error("sort_order", "greater_than_equal"),
            error("is_published", "bool_parsing"),
        ];
        assert_eq!(app.post("author", "/sections", &bad).await.errors(), expected);
        let mut put = app.put("author", "/sections/zzz", &bad).await.errors();
        put.sort_by_key(|error| error.0.to_string());
        let mut expected = expected.to_vec();
        expected.sort_by_key(|error| error.0.to_string());
        assert_eq!(put, expected);
    }

    async fn who_may_do_what(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.post(ANONYMOUS, "/sections", &new("x")).await.status, 401);
        assert_eq!(app.post("commenter", "/sections", &new("x")).await.status, 403);
        let own = path(&app.create("author", "/sections", &new("Own")).await);
        let foreign = path(&app.create("admin", "/sections", &new("Foreign")).await);
        let seeded = path(&app.get("/sections/slug/blog").await.json());
        let change = json!({ "sort_order": 7 });
        for (who, path, status) in [
            (ANONYMOUS, &own, 401), ("commenter", &own, 403), ("author", &own, 200), ("admin", &own, 200),
            ("author", &foreign, 403), ("author", &seeded, 403), ("admin", &seeded, 200),
            (ANONYMOUS, &"/sections/zzz".to_owned(), 401), ("author", &"/sections/zzz".to_owned(), 400),
            ("author", &format!("/sections/{NO_ID}"), 404),
        ] {
            app.clock.advance(TimeDelta::minutes(1));
            assert_eq!(app.put(who, path, &change).await.status, status, "{who} {path}");
        }
        for (who, path, status) in [
            (ANONYMOUS, &own, 401), ("commenter", &own, 403), ("author", &foreign, 403), ("author", &own, 204),
            ("author", &own, 404), ("author", &"/sections/zzz".to_owned(), 400),
        ] {
            app.clock.advance(TimeDelta::minutes(1));
            assert_eq!(app.delete(who, path).await.status, status, "{who} {path}");
        }
        // An unpublished one is not there for others.
        let mut hidden = new("Hidden");
        hidden["is_published"] = json!(false);
        app.clock.advance(TimeDelta::minutes(1));
        let hidden = path(&app.create("author", "/sections", &hidden).await);
        assert_eq!(app.put("commenter", &hidden, &change).await.status, 404);
        assert_eq!(app.delete("commenter", &hidden).await.status, 404);
        assert_eq!(app.put("author", &hidden, &change).await.status, 200);
    }

    async fn only_what_is_given_changes(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/sections", &new("Notes")).await;
        let changed = app.put("author", &path(&created), &json!({ "nav_visibility": "hidden", "sort_order": "5" })).await;
        let mut expected = created.clone();
        expected["nav_visibility"] = json!("hidden");
        expected["sort_order"] = json!(5);
        assert_eq!(changed.json(), expected);
        assert_eq!(app.put("author", &path(&created), &json!({})).await.json(), expected);
    }

    async fn moves_at_once_make_no_ring(db: Database) {
        let app = App::on(&db).await;
        let a = app.create("author", "/sections", &new("A")).await;
        let b = app.create("author", "/sections", &new("B")).await;
        let put = |(section, parent): (Value, Value)| {
            let app = app.clone();
            async move { app.put("author", &path(&section), &json!({ "parent_id": parent["id"] })).await }
        };
        let answers = app.at_once([(a.clone(), b.clone()), (b, a)].map(put)).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422]);
    }

    async fn contents_of_a_deleted_section_can_move_to_another(db: Database) {
        let app = App::on(&db).await;
        let blog = app.get("/sections/slug/blog").await.json();
        let parent = app.create("author", "/sections", &new("Parent")).await;
        let child = app.create("author", "/sections", &inside("Child", &parent)).await;
        let story = insert_into_section(&db, "stories", parent["id"].as_str().unwrap()).await;
        let contact = app.get("/sections/slug/contact").await.json();
        let to = |target: &Value| format!("{}?reassign_to={}", path(&parent), target.as_str().unwrap());
        // To itself, to a descendant, to a section of another content type, to a missing section.
        for target in [&parent["id"], &child["id"], &contact["id"], &json!(NO_ID), &json!("zzz")] {
            app.clock.advance(TimeDelta::minutes(1));
            let refused = app.delete("admin", &to(target)).await;
            assert_eq!(refused.status, 400, "{target}");
            assert!(refused.json()["detail"].as_str().unwrap().contains("reassign_to"));
        }
        assert_eq!(app.get(&path(&child)).await.json()["parent_id"], parent["id"]);
        let before = app.get(&path(&child)).await.header("etag").to_owned();
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(app.delete("admin", &to(&blog["id"])).await.status, 204);
        let moved = app.get(&path(&child)).await;
        assert_eq!(moved.json()["parent_id"], blog["id"]);
        assert_ne!(moved.header("etag"), before);
        assert_eq!(field(&db, "stories", &story, "section_id").await, Some(blog["id"].as_str().unwrap().into()));
        assert_eq!(app.get(&path(&parent)).await.status, 404);
    }

    async fn section_can_be_deleted_without_its_contents(db: Database) {
        let app = App::on(&db).await;
        let top = app.create("author", "/sections", &new("Top")).await;
        let middle = app.create("author", "/sections", &inside("Middle", &top)).await;
        let child = app.create("author", "/sections", &inside("Child", &middle)).await;
        let story = insert_into_section(&db, "stories", middle["id"].as_str().unwrap()).await;
        assert_eq!(app.delete("admin", &format!("{}?force=maybe", path(&middle))).await.status, 422);
        assert_eq!(app.delete("admin", &format!("{}?force=false", path(&middle))).await.status, 409);
        assert_eq!(app.delete("admin", &format!("{}?force=true", path(&middle))).await.status, 204);
        assert_eq!(app.get(&path(&child)).await.json()["parent_id"], top["id"]);
        assert_eq!(field(&db, "stories", &story, "section_id").await, None);
        assert_eq!(app.delete("admin", &format!("{}?force=true", path(&top))).await.status, 204);
        assert_eq!(app.get(&path(&child)).await.json()["parent_id"], Value::Null);
    }

    async fn sections_are_reordered_at_once(db: Database) {
        let app = App::on(&db).await;
        let mut sections = Vec::new();
        for title in ["A", "B", "C", "D"] {
            sections.push(app.create("author", "/sections", &new(title)).await);
        }
        let [a, b, c, d] = sections.as_slice() else { panic!("four sections") };
        let place = |section: &Value, order: i64| json!({ "id": section["id"], "sort_order": order });
        let under = |section: &Value, order: i64, parent: &Value| {
            json!({ "id": section["id"], "sort_order": order, "parent_id": parent })
        };
        let moved = json!([place(d, 100), under(c, 101, &a["id"]), under(b, 102, &c["id"]), place(a, 103)]);
        let done = app.put("author", "/sections/order", &moved).await;
        assert_eq!((done.status.as_u16(), done.bytes.len()), (204, 0));
        let shown = async |section: &Value| {
            let body = app.get(&path(section)).await.json();
            (body["sort_order"].clone(), body["parent_id"].clone())
        };
        assert_eq!(shown(d).await, (json!(100), Value::Null));
        assert_eq!(shown(c).await, (json!(101), a["id"].clone()));
        assert_eq!(shown(b).await, (json!(102), c["id"].clone()));
        assert_eq!(shown(a).await, (json!(103), Value::Null));
        // None is moved if one may not be: a ring, a missing or a foreign section, one that is named twice, a bad field.
        let blog = app.get("/sections/slug/blog").await.json();
        let before = testkit::dump!(db).remove("sections");
        for (bad, status) in [
            (json!([place(d, 1), under(a, 2, &b["id"])]), 422),
            (json!([place(d, 1), under(a, 2, &d["id"]), under(d, 3, &c["id"])]), 422),
            (json!([place(d, 1), under(a, 2, &json!(NO_ID))]), 422),
            (json!([place(d, 1), { "id": NO_ID, "sort_order": 1 }]), 404),
            (json!([place(d, 1), { "id": "zzz", "sort_order": 1 }]), 400),
            (json!([place(d, 1), place(&blog, 2)]), 403),
            (json!([place(d, 1), place(d, 2)]), 422),
            (json!([place(d, 1), { "id": a["id"] }]), 422),
            (json!({ "id": a["id"], "sort_order": 1 }), 422),
        ] {
            app.clock.advance(TimeDelta::minutes(1));
            assert_eq!(app.put("author", "/sections/order", &bad).await.status, status, "{bad}");
        }
        assert_eq!(testkit::dump!(db).remove("sections"), before);
        for (who, status) in [(ANONYMOUS, 401), ("commenter", 403), ("author", 204), ("admin", 204)] {
            assert_eq!(app.put(who, "/sections/order", &json!([place(d, 7)])).await.status, status, "{who}");
        }
        // To the root again, all at once; the lists show the new order.
        app.clock.advance(TimeDelta::minutes(1));
        let roots: Vec<_> = [b, c, a].iter().enumerate().map(|(n, section)| under(section, 200 + i64::try_from(n).unwrap(), &json!(""))).collect();
        assert_eq!(app.put("admin", "/sections/order", &json!(roots)).await.status, 204);
        let list = app.get("/sections?parent_id=null&limit=100").await.slugs();
        assert_eq!(list[list.len() - 3..], ["b", "c", "a"]);
    }

    async fn reordering_takes_the_same_reads_for_any_number_of_sections(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on(&counted).await;
        let parent = app.create("author", "/sections", &new("Parent")).await;
        let mut places = Vec::new();
        for n in 0..8 {
            let section = app.create("author", "/sections", &new(&format!("Child {n}"))).await;
            places.push(json!({ "id": section["id"], "sort_order": n, "parent_id": parent["id"] }));
        }
        let mut reads = Vec::new();
        for places in [&places[..1], &places[1..]] {
            let before = counts.reads();
            assert_eq!(app.put("author", "/sections/order", &json!(places)).await.status, 204);
            reads.push(counts.reads() - before);
        }
        assert_eq!(reads[0], reads[1]);
        assert_eq!(app.get(&format!("/sections?parent_id={}", parent["id"].as_str().unwrap())).await.json()["total"], 8);
    }

    async fn reorders_at_once_are_each_whole(db: Database) {
        let app = App::on(&db).await;
        let mut sections = Vec::new();
        for title in ["A", "B", "C", "D", "E"] {
            sections.push(app.create("author", "/sections", &new(title)).await);
        }
        let request = |round: i64| {
            let places: Vec<_> = (sections.iter().map(|section| json!({ "id": section["id"], "sort_order": 100 + round }))).collect();
            let app = app.clone();
            async move { app.put("author", "/sections/order", &json!(places)).await }
        };
        let answers = app.at_once((0..6).map(request)).await;
        assert!(answers.iter().all(|answer| answer.status == 204));
        let mut orders = std::collections::BTreeSet::new();
        for section in &sections {
            orders.insert(app.get(&path(section)).await.json()["sort_order"].as_i64());
        }
        assert_eq!(orders.len(), 1, "{orders:?}");
    }

    async fn rings_of_old_databases_can_be_undone(db: Database) {
        let app = App::on(&db).await;
        let (a, b) = (ObjectId::new(), ObjectId::new());
        insert(&db, section("a", doc! { "_id": a, "parent_id": b.to_hex() })).await;
        insert(&db, section("b", doc! { "_id": b, "parent_id": a })).await;
        let own = ObjectId::new();
        insert(&db, section("own", doc! { "_id": own, "parent_id": own.to_hex() })).await;
        let undone = app.put("admin", &format!("/sections/{}", a.to_hex()), &json!({ "parent_id": null })).await;
        assert_eq!(undone.json()["parent_id"], Value::Null);
        assert_eq!(app.delete("admin", &format!("/sections/{}?force=true", own.to_hex())).await.status, 204);
        assert_eq!(app.get("/sections?parent_id=null&limit=100").await.json()["total"], 5);
    }

    async fn changes_may_name_the_state_that_they_are_for(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/sections", &new("Notes")).await;
        let section = path(&created.json());
        let change = json!({ "sort_order": 1 });
        assert_eq!(app.put_if("author", &section, created.header("etag"), &change).await.status, 200);
        let stale = app.put_if("author", &section, created.header("etag"), &change).await;
        assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, app.get(&section).await.header("etag")));
        let headers = [("if-match", created.header("etag"))];
        assert_eq!(app.write("author", Method::DELETE, &section, &headers, Body::empty()).await.status, 412);
    }
}
