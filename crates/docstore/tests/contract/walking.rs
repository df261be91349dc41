use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use docstore::{Collection, Database, Direction, Filter, Find, Index, Sort};

/// Values of every sortable type, some of them equal.
fn values() -> Vec<Option<Bson>> {
    let some = [
        Bson::Null,
        Bson::from(3),
        Bson::from(3.0),
        Bson::from(-1_i64),
        Bson::from(f64::NAN),
        Bson::from(f64::NEG_INFINITY),
        Bson::from("text"),
        Bson::from(""),
        Bson::from(doc! { "a": 1 }),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        Bson::from(true),
        Bson::from(false),
        Bson::from(DateTime::from_millis(5)),
        Bson::from(DateTime::from_millis(-5)),
    ];
    some.into_iter().map(Some).chain([None]).collect()
}

async fn filled(db: &Database) -> Collection {
    let c = db.collection("things");
    let mut documents = Vec::new();
    for twice in 0..2 {
        for (n, value) in values().into_iter().enumerate() {
            let mut document = doc! { "_id": ObjectId::new(), "group": n % 2 == 0, "other": twice };
            document.extend(value.map(|value| ("v".to_owned(), value)));
            documents.push(document);
        }
    }
    documents.push(doc! { "_id": "an id of another type", "group": true, "v": 3 });
    c.insert_many(documents).await.expect("inserts");
    c
}

async fn read(c: &Collection, find: Find) -> Vec<Document> {
    c.find(find).await.expect("a read").documents().await.expect("documents")
}

/// Reads two documents at a time, from position to position.
async fn walked(c: &Collection, find: &Find) -> Vec<Document> {
    let mut all: Vec<Document> = Vec::new();
    loop {
        let mut page = find.clone().limit(2).after(Vec::new());
        if let Some(last) = all.last() {
            let last = RawDocumentBuf::try_from(last).expect("a document");
            page = page.after(find.sort.position(&last).expect("a position"));
        }
        let page = read(c, page).await;
        if page.is_empty() {
            return all;
        }
        all.extend(page);
        assert!(all.len() < 100, "the walk goes in circles");
    }
}

fn orders() -> Vec<Sort> {
    use Direction::{Ascending, Descending};
    let mut orders = Vec::new();
    for (v, other, id) in [
        (Ascending, Ascending, Ascending),
        (Descending, Descending, Ascending),
        (Ascending, Descending, Descending),
        (Descending, Ascending, Descending),
    ] {
        let by = |sort: Sort, field: &'static str, direction| match direction {
            Ascending => sort.then_ascending(field),
            Descending => sort.then_descending(field),
        };
        orders.push(by(by(Sort::default(), "v", v), "_id", id));
        orders.push(by(by(by(Sort::default(), "v", v), "other", other), "_id", id));
        orders.push(by(by(by(Sort::default(), "other", other), "v", v), "_id", id));
    }
    orders
}

async fn check(c: &Collection) {
    let either = Filter::or([Filter::eq("group", true), Filter::eq("other", 0)]);
    for filter in [Filter::All, Filter::eq("group", true), Filter::is_in("other", [0, 1]), either] {
        for sort in orders() {
            let merges = matches!(filter, Filter::Or(_) | Filter::In(..));
            if merges && sort.fields()[0].0.as_str() != "v" {
                // Where MongoDB merges, null and a missing value are equal in the first field only.
                continue;
            }
            let find = Find::new(filter.clone()).sort(sort);
            let whole = read(c, find.clone()).await;
            assert!(whole.len() > 10);
            let ids = |documents: &[Document]| documents.iter().map(|d| d["_id"].clone()).collect::<Vec<_>>();
            assert_eq!(ids(&walked(c, &find).await), ids(&whole), "{find:?}");
        }
    }
}

testkit::stores! {
    async fn cursor_walk_returns_every_value_type_once(db: Database) {
        check(&filled(&db).await).await;
    }

    async fn indexed_cursor_walk_returns_everything_once(db: Database) {
        let c = filled(&db).await;
        for sort in orders() {
            let fields = sort.fields().to_vec();
            db.ensure_index("things", &Index::by(fields.clone())).await.unwrap();
            let fields = [("group".into(), Direction::Ascending)].into_iter().chain(fields);
            db.ensure_index("things", &Index::by(fields)).await.unwrap();
        }
        check(&c).await;
    }

    async fn position_needs_a_value_for_each_field(db: Database) {
        let c = db.collection("things");
        let find = Find::new(Filter::All).sort(Sort::ascending("v"));
        for bad in [vec![Bson::Null, Bson::Null], vec![Bson::Array(Vec::new())]] {
            assert!(c.find(find.clone().after(bad)).await.is_err());
        }
    }

    async fn documents_that_a_filter_excludes_need_no_position(db: Database) {
        let c = db.collection("things");
        c.insert_many(vec![
            doc! { "_id": 1, "v": 1, "other": 1, "group": true },
            // Arrays in two fields of an order have no place in it.
            doc! { "_id": 2, "v": [1, 2], "other": [3], "group": false },
            doc! { "_id": 3, "v": 2, "other": 1, "group": true },
        ])
        .await
        .expect("inserts");
        let sort = Sort::ascending("v").then_ascending("other").then_ascending("_id");
        let find = Find::new(Filter::eq("group", true)).sort(sort).after(vec![Bson::from(1); 3]);
        let ids: Vec<_> = read(&c, find).await.iter().map(|document| document["_id"].clone()).collect();
        assert_eq!(ids, [Bson::from(3)]);
    }
}
