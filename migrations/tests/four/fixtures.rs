use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, DateTime, Document, doc};
use docstore::{Database, Field, Filter, Find, Index, Sort};
use migrator::{Graph, Migrator, Settings, UpMode};

pub(crate) const EMAIL: &str = "ada.lovelace@example.com";
pub(crate) const SLUGS: [&str; 4] = ["blog", "about", "projects", "contact"];

/// Returns the fixed current time of the tests.
pub(crate) fn now() -> DateTime {
    DateTime::from_millis(1_767_225_600_123)
}

pub(crate) fn settings() -> Settings {
    Settings {
        env: Arc::new(|name| (name == "ADMIN_EMAIL").then(|| EMAIL.into())),
        clock: Arc::new(now),
        import_from: Some("pymongo_migrate".into()),
        ..Settings::default()
    }
}

/// Returns a graph of the first four migrations only.
pub(crate) fn first_four() -> Graph {
    Graph::new(migrations::all().into_iter().filter(|m| m.meta().id < "0005").collect()).unwrap()
}

pub(crate) fn migrator(db: &Database) -> Migrator {
    Migrator::new(db.clone(), first_four(), settings())
}

pub(crate) async fn up(db: &Database) -> migrator::UpReport {
    migrator(db).up(UpMode::Start).await.unwrap()
}

pub(crate) async fn all(db: &Database, collection: &str) -> Vec<Document> {
    let find = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    db.collection(collection).find(find).await.unwrap().documents().await.unwrap()
}

pub(crate) async fn by_slug(db: &Database, slug: &str) -> Document {
    db.collection("sections").find_one(Find::new(Filter::eq("slug", slug))).await.unwrap().unwrap()
}

pub(crate) async fn id_of_section(db: &Database, slug: &str) -> ObjectId {
    by_slug(db, slug).await.get_object_id("_id").unwrap()
}

/// Inserts documents and returns their ids.
pub(crate) async fn insert(db: &Database, collection: &str, documents: Vec<Document>) -> Vec<Bson> {
    db.collection(collection).insert_many(documents).await.unwrap()
}

/// Returns all documents except those of the migration engine.
pub(crate) async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    all
}

/// Creates the unique indexes that a running program has.
pub(crate) async fn create_unique_indexes(db: &Database) {
    for (collection, field) in
        [("sections", "slug"), ("users", "email"), ("stories", "slug"), ("pages", "page_type")]
    {
        db.ensure_index(collection, &Index::on([field]).unique()).await.unwrap();
    }
}

/// Creates a site before any migration: content of every type, with and without owners and sections, with both deletion
/// flags, and more stories than fit in one batch.
pub(crate) async fn seed_site(db: &Database) {
    create_unique_indexes(db).await;
    let story = |i: i32| doc! { "title": format!("story {i}"), "slug": format!("story-{i}"), "is_published": i % 2 == 0 };
    let mut stories: Vec<_> = (0..1100).map(story).collect();
    stories[0].insert("deleted", true);
    stories[1].insert("user_id", "64b000000000000000000001");
    stories[2].insert("user_id", Bson::Null);
    stories[3].insert("section_id", "64b000000000000000000002");
    stories[4].insert("section_id", Bson::Null);
    stories[5].insert("section_id", ObjectId::from_bytes([7; 12]));
    insert(db, "stories", stories).await;
    insert(
        db,
        "projects",
        vec![
            doc! { "title": "p", "slug": "p" },
            doc! { "title": "q", "slug": "q", "deleted": true, "user_id": "someone" },
        ],
    )
    .await;
    let page = |kind: &str| doc! { "title": kind, "page_type": kind };
    insert(db, "pages", vec![page("about"), page("contact"), page("imprint")]).await;
    let api_made = doc! { "title": "Notes", "slug": "notes", "parent_id": Bson::Null, "user_id": "64b000000000000000000001" };
    insert(db, "sections", vec![api_made]).await;
}

/// Returns a seeded section as the original wrote it.
pub(crate) fn original_section(slug: &str, sort_order: i32) -> Document {
    let (title, display, content) = match slug {
        "blog" => ("Blog", "feed", "story"),
        "about" => ("About", "static-page", "page"),
        "projects" => ("Projects", "card-grid", "project"),
        _ => ("Contact", "static-page", "page"),
    };
    doc! {
        "title": title, "slug": slug, "parent_id": Bson::Null, "display_type": display, "content_type": content,
        "nav_visibility": "main", "sort_order": sort_order, "is_published": true, "is_deleted": false,
        "createdDate": DateTime::from_millis(1_000), "updatedDate": DateTime::from_millis(1_000),
    }
}
