use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::bson::{Bson, DateTime, Document, doc};
use docstore::{Database, Filter, Index, Update};
use migrator::{DownRequest, DownTarget, Settings, Step, UpMode, Value};

use crate::declared::{Declared, declared, migrator, with};
use crate::toys::{all, settings};

const NO: DownRequest = DownRequest { target: DownTarget::Last, confirmed: false };

/// Everything that a migration may change.
async fn picture(db: &Database) -> Vec<(String, Vec<Document>, Vec<Index>)> {
    let mut picture = Vec::new();
    for name in db.collection_names().await.unwrap() {
        if name.starts_with("_migration") {
            continue;
        }
        let (documents, indexes) = (all(db, &name).await, db.list_indexes(&name).await.unwrap());
        if !documents.is_empty() || !indexes.is_empty() {
            picture.push((name, documents, indexes));
        }
    }
    picture
}

/// Applies it, looks at what came of it, takes it back, and makes sure that all is as it was; then once more, since what
/// was rolled back can be applied again.
async fn there_and_back(db: &Database, one: Declared, expected: &[Document]) {
    let before = picture(db).await;
    let migrator = migrator(db, &[one]);
    for _ in 0..2 {
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(all(db, "things").await, expected);
        let after = picture(db).await;
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(picture(db).await, after);
        assert_eq!(migrator.down(NO).await.unwrap().len(), 1);
        assert_eq!(picture(db).await, before);
    }
}

async fn fill(db: &Database) {
    let documents = vec![
        doc! { "_id": 1, "a": 1 },
        doc! { "_id": 2, "b": "two" },
        doc! { "_id": 3, "b": Bson::Null, "a": 3 },
    ];
    db.collection("things").insert_many(documents).await.unwrap();
}

testkit::stores! {
    async fn field_is_set_where_missing(db: Database) {
        fill(&db).await;
        let steps = vec![
            Step::add_field("add", "things", "b", "new"),
            Step::add_field("when", "things", "at", Value::Now).only(Filter::eq("_id", 2)),
        ];
        let at = DateTime::from_millis(1_700_000_000_000);
        let expected = [
            doc! { "_id": 1, "a": 1, "b": "new" },
            doc! { "_id": 2, "b": "two", "at": at },
            doc! { "_id": 3, "b": Bson::Null, "a": 3 },
        ];
        there_and_back(&db, declared("0001_a", steps), &expected).await;
    }

    async fn step_value_comes_from_a_variable(db: Database) {
        fill(&db).await;
        let steps = vec![Step::set_field("set", "things", "b", Value::Env("COLOR")).only(Filter::eq("_id", 1))];
        let one = declared("0001_a", steps).meta(|meta| meta.requires_env(&["COLOR"]));
        let error = migrator(&db, std::slice::from_ref(&one)).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let red = Settings { env: Arc::new(|_| Some("red".into())), ..settings() };
        with(&db, &[one], red).up(UpMode::Start).await.unwrap();
        assert_eq!(all(&db, "things").await[0], doc! { "_id": 1, "a": 1, "b": "red" });
    }

    async fn unset_field_is_restored_by_down(db: Database) {
        db.collection("things").insert_many(vec![doc! { "_id": 1, "a": 1, "b": "x" }, doc! { "_id": 2 }]).await.unwrap();
        let expected = [doc! { "_id": 1, "a": 1 }, doc! { "_id": 2 }];
        let one = declared("0001_a", vec![Step::unset_field("unset", "things", "b")]).contract();
        there_and_back(&db, one, &expected).await;
    }

    async fn rename_loses_no_write_of_older_programs(db: Database) {
        let things = db.collection("things");
        things.insert_many(vec![doc! { "_id": 1, "old": "a" }, doc! { "_id": 2, "old": "b" }, doc! { "_id": 3, "old": "c" }]).await.unwrap();
        let write = async |id: i32, old: &str, new: Option<&str>| {
            let update = Update::new().set("old", old);
            let update = new.into_iter().fold(update, |update, new| update.set("new", new));
            assert!(things.update_one(&Filter::id(id), &update).await.unwrap().matched == 1);
        };
        let begin = declared("0001_begin", vec![Step::rename_begin("begin", "things", "old", "new")]);
        migrator(&db, std::slice::from_ref(&begin)).up(UpMode::Start).await.unwrap();
        assert_eq!(all(&db, "things").await[0], doc! { "_id": 1, "old": "a", "new": "a" });
        // Programs from before the rename write the old field alone, the first release writes both.
        things.insert_one(doc! { "_id": 4, "old": "d" }).await.unwrap();
        write(1, "a, edited", None).await;
        write(2, "b, edited", Some("b, edited")).await;
        let copy = declared("0002_copy", vec![Step::rename_copy("copy", "things", "old", "new")]).after(&["0001_begin"]);
        let report = migrator(&db, &[begin.clone(), copy.clone()]).up(UpMode::Start).await.unwrap();
        assert_eq!(report.applied[0].counts[0].updated, 2);
        let copied = all(&db, "things").await;
        let news: Vec<_> = copied.iter().map(|thing| thing.get_str("new").unwrap()).collect();
        assert_eq!(news, ["a, edited", "b, edited", "c", "d"]);
        // A program from before the rename that is still there changes and inserts: neither is lost.
        things.insert_one(doc! { "_id": 5, "old": "e" }).await.unwrap();
        write(3, "c, edited late", None).await;
        let end =
            declared("0003_end", vec![Step::rename_end("end", "things", "old", "new")]).after(&["0002_copy"]).contract();
        let before = all(&db, "things").await;
        let planned = migrator(&db, &[begin.clone(), copy.clone(), end.clone()]).preview(UpMode::Operator).await.unwrap();
        assert_eq!(planned.migrations[0].steps[0].matched, 3);
        let ended = migrator(&db, &[begin, copy, end]);
        let report = ended.up(UpMode::Start).await.unwrap();
        assert_eq!((report.applied[0].counts[0].updated, report.applied[0].counts[0].left), (3, 1));
        let expected = [
            doc! { "_id": 1, "new": "a, edited" },
            doc! { "_id": 2, "new": "b, edited" },
            doc! { "_id": 3, "old": "c, edited late", "new": "c" },
            doc! { "_id": 4, "new": "d" },
            doc! { "_id": 5, "old": "e" },
        ];
        assert_eq!(all(&db, "things").await, expected);
        ended.down(DownTarget::Last).await.unwrap();
        // A restored field is the last one.
        let by_field = |things: Vec<Document>| things.into_iter().map(BTreeMap::from_iter).collect::<Vec<_>>();
        assert_eq!(by_field(all(&db, "things").await), by_field(before));
    }

    async fn backfill_updates_by_a_function(db: Database) {
        fill(&db).await;
        let double = |document: &Document| {
            let a = document.get_i32("a").ok()?;
            let update = Update::new().set("twice", a * 2);
            Some(if document.contains_key("b") { update.unset("b") } else { update })
        };
        let expected = [
            doc! { "_id": 1, "a": 1, "twice": 2 },
            doc! { "_id": 2, "b": "two" },
            doc! { "_id": 3, "a": 3, "twice": 6 },
        ];
        let one = declared("0001_a", vec![Step::backfill("double", "things", ["a", "b"], double)]);
        let before = all(&db, "things").await;
        let migrator = migrator(&db, &[one]);
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(all(&db, "things").await, expected);
        migrator.down(NO).await.unwrap();
        let after = all(&db, "things").await;
        // A field that was taken away comes back as the last of its document.
        assert_eq!(after[2], doc! { "_id": 3, "a": 3, "b": Bson::Null });
        assert_eq!(after[..2], before[..2]);
    }

    async fn documents_are_seeded_by_their_natural_key(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1, "slug": "there", "by": "hand" }).await.unwrap();
        let documents = vec![doc! { "_id": 2, "slug": "there" }, doc! { "_id": 3, "slug": "new" }];
        let steps = vec![Step::seed("seed", "things", ["slug"], documents).with("made", Value::Now)];
        let at = DateTime::from_millis(1_700_000_000_000);
        let expected =
            [doc! { "_id": 1, "slug": "there", "by": "hand" }, doc! { "_id": 3, "slug": "new", "made": at }];
        there_and_back(&db, declared("0001_a", steps), &expected).await;
    }

    async fn deleted_documents_are_restored_by_down(db: Database) {
        fill(&db).await;
        let steps = vec![Step::delete("clean", "things", Filter::exists("b")).only(Filter::missing("a"))];
        let expected = [doc! { "_id": 1, "a": 1 }, doc! { "_id": 3, "b": Bson::Null, "a": 3 }];
        there_and_back(&db, declared("0001_a", steps).contract(), &expected).await;
    }

    async fn copy_step_copies_a_collection(db: Database) {
        fill(&db).await;
        let before = all(&db, "things").await;
        let one = declared("0001_a", vec![Step::copy_collection("copy", "things", "others")])
            .meta(|meta| meta.touches(&["others"]));
        let migrator = migrator(&db, &[one]);
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(all(&db, "others").await, before);
        migrator.down(NO).await.unwrap();
        assert_eq!(all(&db, "others").await, Vec::<Document>::new());
        assert_eq!(all(&db, "things").await, before);
    }

    async fn indexes_come_and_go(db: Database) {
        fill(&db).await;
        let old = Index::on(["b"]);
        db.ensure_index("things", &old).await.unwrap();
        let steps = vec![
            Step::create_index("make", "things", Index::on(["a"]).sparse()),
            Step::drop_index("drop", "things", "b_1"),
        ];
        let migrator = migrator(&db, &[declared("0001_a", steps).contract()]);
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(db.list_indexes("things").await.unwrap(), [Index::on(["a"]).sparse()]);
        migrator.down(NO).await.unwrap();
        assert_eq!(db.list_indexes("things").await.unwrap(), [old]);
    }
}
