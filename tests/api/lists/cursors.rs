use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use docstore::{Database, Filter};
use serde_json::Value;

use crate::support::{Answer, App, NOW_MS};

/// The lists there are: where, who asks, and what they are of.
const LISTS: [(&str, &str, &str); 8] = [
    ("/stories", "", "stories"),
    ("/stories?include_drafts=true", "admin", "stories"),
    ("/stories?section_id=65a0b1c2d3e4f50617283940", "author", "stories"),
    ("/projects", "", "projects"),
    ("/projects?section_id=65a0b1c2d3e4f50617283940&include_unpublished=true", "admin", "projects"),
    ("/sections?parent_id=65a0b1c2d3e4f50617283940", "", "sections"),
    ("/navlinks", "", "navlinks"),
    ("/trash?type=stories", "admin", "stories"),
];

/// A document of any collection, the nth: many are equal in what they are sorted by, and in some it is missing or odd.
fn item(n: i32, deleted: bool) -> Document {
    let at = DateTime::from_millis(NOW_MS - i64::from(n % 3) * 1000);
    let id = ObjectId::new();
    let section = "65a0b1c2d3e4f50617283940";
    let reference =
        if n % 2 == 0 { Bson::from(section) } else { ObjectId::parse_str(section).expect("an id").into() };
    let mut document = doc! {
        "_id": id, "title": "t", "content": "<p>c</p>", "summary": "s", "label": "l", "url": "/", "slug": id.to_hex(),
        "is_published": true, "createdDate": at, "updatedDate": at, "display_type": "feed", "content_type": "story",
        "nav_visibility": "main", "section_id": reference.clone(), "parent_id": reference,
    };
    match n % 4 {
        0 => {}
        1 => drop(document.insert("sort_order", 7.0)),
        _ => drop(document.insert("sort_order", 7)),
    }
    if deleted {
        document.insert(if n % 2 == 0 { "deleted" } else { "is_deleted" }, true);
        match n % 5 {
            0 => {}
            1 => drop(document.insert("deletedDate", "long ago")),
            2 => drop(document.insert("deletedDate", 3)),
            _ => drop(document.insert("deletedDate", at)),
        }
    }
    document
}

async fn add(db: &Database, collection: &str, numbers: std::ops::Range<i32>, deleted: bool) -> Vec<ObjectId> {
    let items: Vec<_> = numbers.map(|n| item(n, deleted)).collect();
    let ids = items.iter().map(|item| item.get_object_id("_id").expect("an id")).collect();
    db.collection(collection).insert_many(items).await.expect("inserts");
    ids
}

impl App {
    async fn part(&self, who: &str, path: &str) -> Answer {
        if who.is_empty() { self.get(path).await } else { self.get_as(who, path).await }
    }
}

fn with(path: &str, more: &str) -> String {
    format!("{path}{}{more}", if path.contains('?') { '&' } else { '?' })
}

/// Returns the target of the `Link` with this relation.
fn link(answer: &Answer, relation: &str) -> Option<String> {
    let links = answer.header("link").split(", ").map(str::to_owned).collect::<Vec<_>>();
    let ours = links.iter().find(|link| link.ends_with(&format!("rel=\"{relation}\"")))?;
    Some(ours.strip_prefix('<')?.split_once('>')?.0.to_owned())
}

fn ids(body: &Value) -> Vec<String> {
    body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|i| i["id"].as_str().expect("an id").to_owned())
        .collect()
}

testkit::stores! {
    async fn a_walk_passes_over_what_stands_where_no_position_says(db: Database) {
        let app = App::on(&db).await;
        let ids = add(&db, "navlinks", 0..12, false).await;
        for (at, odd) in [(2, Bson::Decimal128("7".parse().expect("a number"))), (5, Bson::Array(Vec::new()))] {
            let update = docstore::Update::new().set("sort_order", odd);
            // Another program wrote it; ours stores no such numbers.
            if db.collection("navlinks").update_one(&Filter::id(ids[at]), &update).await.is_err() {
                let Some(server) = docstore::mongo::as_mongo(&db) else { continue };
                let set = doc! { "$set": { "sort_order": Bson::Decimal128("7".parse().expect("a number")) } };
                let links = server.collection::<Document>("navlinks");
                links.update_one(doc! { "_id": ids[at] }, set).await.expect("an update");
            }
        }
        for limit in 1..6 {
            let mut path = format!("/navlinks?limit={limit}&cursor=");
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..40 {
                let answer = app.part("", &path).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.json());
                for item in answer.json()["items"].as_array().expect("items") {
                    assert!(seen.insert(item["id"].as_str().expect("an id").to_owned()), "{limit}: twice: {item}");
                }
                let Some(next) = link(&answer, "next") else { break };
                path = next;
            }
            // One or two cannot be read, and all others are there.
            assert!(seen.len() >= 10, "{limit}: {seen:?}");
        }
    }

    async fn a_walk_meets_what_was_there_all_along_once(db: Database) {
        let app = App::on(&db).await;
        for (path, who, collection) in LISTS {
            let deleted = path.starts_with("/trash");
            db.collection(collection).delete_many(&Filter::All).await.unwrap();
            let stay = add(&db, collection, 0..20, deleted).await;
            let mut go = add(&db, collection, 20..30, deleted).await;
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            let mut next = Some(with(path, "limit=3&cursor="));
            let mut passed = 0;
            let mut parts = 0;
            while let Some(path) = next {
                let answer = app.part(who, &path).await;
                assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
                let body = answer.json();
                assert_eq!((&body["offset"], &body["limit"]), (&passed.into(), &3.into()), "{path}");
                let there = db.collection(collection).count(&Filter::All).await.unwrap();
                assert_eq!(body["total"], there, "{path}");
                assert!(link(&answer, "first").unwrap().ends_with("limit=3&cursor="), "{path}");
                for id in ids(&body) {
                    *seen.entry(id).or_default() += 1;
                }
                next = link(&answer, "next");
                passed += 3;
                parts += 1;
                assert!(parts < 60, "{path}: the walk has no end");
                // Meanwhile others add and take away, before and behind.
                if parts <= 8 {
                    add(&db, collection, parts..parts + 2, deleted).await;
                    if let Some(id) = go.pop() {
                        db.collection(collection).delete_one(&Filter::id(id)).await.unwrap();
                    }
                }
            }
            for id in stay {
                assert_eq!(seen.get(&id.to_hex()), Some(&1), "{path}");
            }
            assert!(seen.values().all(|times| *times == 1), "{path}: {seen:?}");
        }
    }

    async fn a_cursor_is_good_for_its_list_and_nothing_else(db: Database) {
        let app = App::on(&db).await;
        for collection in ["stories", "projects"] {
            add(&db, collection, 0..6, false).await;
        }
        let cursor = async |path: &str| {
            let next = link(&app.part("", &with(path, "limit=2&cursor=")).await, "next").unwrap();
            next.rsplit_once("cursor=").unwrap().1.to_owned()
        };
        let ours = cursor("/stories").await;
        let good = app.get(&format!("/stories?limit=3&cursor={ours}")).await;
        assert_eq!((good.status.as_u16(), &good.json()["offset"]), (200, &2.into()), "another limit is allowed");
        let other = App::on(&db).await;
        assert_eq!(other.get(&format!("/stories?cursor={ours}")).await.status, 200, "processes share the key");

        let mut forged = ours.clone().into_bytes();
        forged[15] = if forged[15] == b'A' { b'B' } else { b'A' };
        let outdated = format!("B{}", &ours[1..]);
        let foreign = cursor("/projects").await;
        let filtered = cursor("/stories?section_id=65a0b1c2d3e4f50617283940").await;
        for bad in [
            String::from_utf8(forged).unwrap(), outdated, foreign, filtered, ours[..ours.len() - 4].to_owned(),
            format!("{ours}AAAA"), "A".to_owned(), "AQ".to_owned(), "not%20one".to_owned(), "x".repeat(500),
        ] {
            let answer = app.get(&format!("/stories?cursor={bad}")).await;
            let said = answer.json()["detail"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{bad}");
            assert!(said.contains("start again"), "{said}");
        }
        let drafts = app.get_as("admin", &format!("/stories?include_drafts=true&cursor={ours}")).await;
        assert_eq!(drafts.status, 400, "what is seen of the list is another");
        for both in [format!("/stories?offset=0&cursor={ours}"), "/stories?cursor=&offset=3".to_owned()] {
            let answer = app.get(&both).await;
            assert_eq!(answer.status, 422, "{both}");
            assert_eq!(answer.json()["errors"][0]["loc"][1], "cursor");
        }
    }

    async fn the_key_is_made_once_among_many(db: Database) {
        let app = App::on(&db).await;
        add(&db, "stories", 0..6, false).await;
        let mut begun = Vec::new();
        for _ in 0..6 {
            let app = App::on(&db).await;
            begun.push(tokio::spawn(async move { link(&app.get("/stories?limit=2&cursor=").await, "next").unwrap() }));
        }
        for next in begun {
            assert_eq!(app.get(&next.await.unwrap()).await.status, 200);
        }
        assert_eq!(db.collection("_secrets").count(&Filter::All).await.unwrap(), 1);
    }
}
