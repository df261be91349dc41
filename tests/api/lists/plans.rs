use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use docstore::{Database, EngineKind, Find};
use field_notes::domain::{
    AssetType, Id, Media, NavLink, NavVisibility, Page, ParentFilter, Project, ProjectFilter, Section,
    SectionFilter, Story, StoryFilter, Visibility,
};
use field_notes::repository::{Entity, Repository, SoftDelete, ensure_all};

const DOCUMENTS: i32 = 600;

/// A list, as it is read.
struct List {
    name: String,
    collection: &'static str,
    find: Find,
}

fn list<E: Entity>(filter: &E::Filter, name: &impl std::fmt::Debug) -> List {
    List {
        name: format!("{} {name:?}", E::COLLECTION),
        collection: E::COLLECTION,
        find: Repository::<E>::list_query(filter).limit(10),
    }
}

fn trash<E: SoftDelete>() -> List {
    let find = Repository::<E>::deleted_query().limit(10);
    List { name: format!("trash of {}", E::COLLECTION), collection: E::COLLECTION, find }
}

/// Every combination that the API allows. The filters are written out, so that a new one does not compile before it
/// is in here.
fn lists(id: Id) -> Vec<List> {
    let mut all =
        vec![trash::<Story>(), trash::<Project>(), trash::<Page>(), trash::<Section>(), trash::<Media>()];
    for kind in [None, Some(AssetType::Image), Some(AssetType::Video)] {
        all.push(list::<Media>(&kind, &kind));
    }
    for visibility in [Visibility::Published, Visibility::PublishedOrOwned(id), Visibility::All] {
        all.push(list::<NavLink>(&visibility, &visibility));
        for section in [None, Some(id)] {
            let filter = StoryFilter { visibility, section };
            all.push(list::<Story>(&filter, &filter));
            for featured_only in [false, true] {
                let filter = ProjectFilter { visibility, featured_only, section };
                all.push(list::<Project>(&filter, &filter));
            }
        }
        for parent in [None, Some(ParentFilter::Root), Some(ParentFilter::In(id))] {
            for nav in [None, Some(NavVisibility::Main), Some(NavVisibility::Hidden)] {
                let filter = SectionFilter { visibility, parent, nav_visibility: nav };
                all.push(list::<Section>(&filter, &filter));
            }
        }
    }
    all
}

/// Some of everything that a filter looks at, by either kind of reference.
async fn fill(db: &Database, id: Id) {
    let references = [Bson::String(id.to_string()), Bson::ObjectId(id.object_id()), Bson::Null];
    let reference = |n: i32| references[usize::try_from(n % 3).expect("small")].clone();
    for collection in ["stories", "projects", "sections", "navlinks", "pages", "media"] {
        let document = |n: i32| -> Document {
            let at = DateTime::from_millis(1_700_000_000_000 + i64::from(n % 50) * 1000);
            let slug = format!("{collection}-{n}");
            let mut document = doc! {
                "_id": ObjectId::new(), "slug": &slug, "page_type": &slug, "sort_order": n % 7,
                "createdDate": at, "is_published": n % 2 == 0, "is_featured": n % 3 == 0,
                "user_id": reference(n), "section_id": reference(n / 3), "parent_id": reference(n / 2),
                "nav_visibility": if n % 4 == 0 { "hidden" } else { "main" },
                "asset_id": &slug, "content_hash": &slug, "filter": "none",
                "type": if n % 2 == 0 { "image" } else { "video" },
            };
            match n % 10 {
                0 => drop(document.insert("deleted", true)),
                1 => document.extend(doc! { "is_deleted": true, "deletedDate": at }),
                2 => document.extend(doc! { "deleted": true, "is_deleted": true, "deletedDate": at }),
                _ => {}
            }
            document
        };
        db.collection(collection).insert_many((0..DOCUMENTS).map(document).collect()).await.expect("inserts");
    }
}

testkit::stores! {
    async fn names_are_looked_up_in_their_unique_index(db: Database) {
        let id = Id::from(ObjectId::new());
        ensure_all(&db).await.unwrap();
        fill(&db, id).await;
        for visibility in [Visibility::Published, Visibility::PublishedOrOwned(id), Visibility::All] {
            assert_eq!(lookup::<Story>(&db, visibility).await.as_deref(), Some("slug_1"), "{visibility:?}");
            assert_eq!(lookup::<Project>(&db, visibility).await.as_deref(), Some("slug_1"), "{visibility:?}");
            assert_eq!(lookup::<Section>(&db, visibility).await.as_deref(), Some("slug_1"), "{visibility:?}");
            assert_eq!(lookup::<Page>(&db, visibility).await.as_deref(), Some("page_type_1"), "{visibility:?}");
        }
    }

    async fn every_list_comes_from_an_index_in_its_order(db: Database) {
        let id = Id::from(ObjectId::new());
        ensure_all(&db).await.unwrap();
        fill(&db, id).await;
        let mut bad = Vec::new();
        for List { name, collection, find } in lists(id) {
            let plan = db.engine().explain(collection, &find).await.unwrap();
            if plan.index.is_none() || plan.sorts_in_memory {
                bad.push(format!("{name}: {plan:?}"));
            }
            let read = db.collection(collection).find(find.clone()).await.unwrap().documents().await.unwrap();
            assert_eq!(read.len(), 10, "{name}");
            // In the middle of a walk, too.
            let raw = bson::RawDocumentBuf::try_from(&full(&db, collection, &read[4]).await).unwrap();
            let rest = find.clone().after(find.sort.position(&raw).unwrap());
            let plan = db.engine().explain(collection, &rest).await.unwrap();
            // To MongoDB null is two keys, and it sorts what is left of the few sections at the root.
            let at_root = db.kind() == EngineKind::Mongo && name.contains("Root");
            if plan.index.is_none() || (plan.sorts_in_memory && !at_root) {
                bad.push(format!("{name}, after a position: {plan:?}"));
            }
            let ids = |documents: &[Document]| -> Vec<Bson> {
                documents.iter().map(|document| document["_id"].clone()).collect()
            };
            let rest = db.collection(collection).find(rest).await.unwrap().documents().await.unwrap();
            assert_eq!(ids(&rest)[..5], ids(&read)[5..], "{name}");
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }
}

/// Returns the plan of a look-up by name.
async fn lookup<E: SoftDelete>(db: &Database, visibility: Visibility) -> Option<String> {
    let find = Find::new(Repository::<E>::name_filter("stories-7", visibility)).limit(1);
    db.engine().explain(E::COLLECTION, &find).await.expect("a plan").index
}

/// The whole of a document of which a list shows a part.
async fn full(db: &Database, collection: &str, part: &Document) -> Document {
    let find = Find::new(docstore::Filter::id(part["_id"].clone()));
    db.collection(collection).find_one(find).await.expect("a read").expect("it is there")
}
