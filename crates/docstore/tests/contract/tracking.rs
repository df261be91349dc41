use std::time::Duration;

use bson::doc;
use docstore::{Database, Filter, Find, ReadSet, Update, Write, track_reads};

async fn read(db: &Database, collection: &str) -> ReadSet {
    let collection = db.collection(collection);
    track_reads(async { collection.count(&Filter::All).await.expect("it is counted") }).await.1
}

testkit::stores! {
    async fn read_set_is_current_until_a_write(db: Database) {
        let things = db.collection("things");
        let id = Filter::eq("_id", 1);
        let bump = Update::new().inc("n", 1);
        for write in 0..9 {
            let (mine, other) = (read(&db, "things").await, read(&db, "others").await);
            assert!(mine.are_current() && other.are_current(), "{write}");
            match write {
                0 => _ = things.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap(),
                1 => _ = things.insert_many(vec![doc! { "n": 0 }, doc! { "n": 0 }]).await.unwrap(),
                2 => _ = things.update_one(&id, &bump).await.unwrap(),
                3 => _ = things.update_many(&Filter::All, &bump).await.unwrap(),
                4 => _ = things.upsert_one(&Filter::eq("_id", 2), &bump).await.unwrap(),
                5 => _ = things.find_one_and_update(id.clone(), bump.clone()).await.unwrap(),
                6 => _ = things.bulk_write(vec![Write::Insert(doc! { "n": 0 })]).await.unwrap(),
                // One that fails may have been carried out, for all that is known.
                7 => assert!(things.insert_one(doc! { "_id": 1 }).await.is_err()),
                _ => db.drop_collection("things").await.unwrap(),
            }
            assert!(!mine.are_current() && other.are_current(), "{write}");
        }
        let everything = db.versions().everything();
        things.delete_many(&Filter::All).await.unwrap();
        assert!(!everything.are_current());
    }

    async fn every_read_is_recorded_with_its_first_version(db: Database) {
        let (a, b) = (db.collection("a"), db.collection("b"));
        let ((), reads) = track_reads(async {
            a.find(Find::new(Filter::All)).await.unwrap();
            b.find_one(Find::new(Filter::All)).await.unwrap();
            a.insert_one(doc! {}).await.unwrap();
            a.count(&Filter::All).await.unwrap();
        }).await;
        assert_eq!(reads.collections().collect::<Vec<_>>(), ["a", "b"]);
        assert!(!reads.are_current(), "it was read before it was written");
        assert!(track_reads(async {}).await.1.is_empty());
    }

    async fn a_split_collection_invalidates_only_the_parts_that_are_written(db: Database) {
        db.versions().split_by("things", "part");
        db.versions().split_by("names", docstore::Field::ID);
        let things = db.collection("things");
        let of = |part: &str| Filter::eq("part", part);
        let part = async |part: &str| {
            let find = Find::new(of(part).also(Filter::ne("n", 9)));
            track_reads(async { things.find_one(find).await.expect("it is read") }).await.1
        };
        let bump = Update::new().inc("n", 1);
        for write in 0..8 {
            let (a, b, all) = (part("a").await, part("b").await, read(&db, "things").await);
            match write {
                0 => _ = things.insert_one(doc! { "part": "a" }).await.unwrap(),
                1 => _ = things.update_many(&of("a"), &bump).await.unwrap(),
                2 => _ = things.bulk_write(vec![Write::DeleteMany(of("a"))]).await.unwrap(),
                3 => db.versions().record_document_change("things", &1.into(), true),
                // These may concern any part.
                4 => _ = things.update_many(&Filter::All, &bump).await.unwrap(),
                5 => _ = things.update_many(&of("a"), &Update::new().set("part", "b")).await.unwrap(),
                6 => db.versions().record_document_change("things", &1.into(), false),
                _ => db.versions().record_change_anywhere(),
            }
            assert!(!all.are_current(), "{write}");
            assert_eq!(a.are_current(), write == 3, "{write}");
            assert_eq!(b.are_current(), write < 4, "{write}");
        }
        let name = async |name: &str| {
            let find = Find::new(Filter::id(name));
            track_reads(async { db.collection("names").find_one(find).await.expect("it is read") }).await.1
        };
        let (a, b) = (name("a").await, name("b").await);
        db.versions().record_document_change("names", &"a".into(), true);
        assert!(!a.are_current() && b.are_current());
        // A part that is read without asking the store.
        let noted = async |part: &str| {
            track_reads(async { db.versions().record_part_read("names", part) }).await.1
        };
        let (a, b) = (noted("a").await, noted("b").await);
        db.collection("names").insert_one(doc! { "_id": "b" }).await.unwrap();
        assert!(a.are_current() && !b.are_current());
    }

    async fn changes_of_other_processes_invalidate_too(db: Database) {
        let (a, b) = (read(&db, "a").await, read(&db, "b").await);
        db.versions().record_change("a");
        assert!(!a.are_current() && b.are_current());
        db.versions().record_change_anywhere();
        assert!(!b.are_current());
    }

    async fn canceled_writes_run_to_completion_on_request(db: Database) {
        let db = db.completing_writes();
        let things = db.collection("things");
        let before = read(&db, "things").await;
        // Dropped after it was begun.
        let write = things.insert_one(doc! { "_id": 1 });
        _ = tokio::time::timeout(Duration::ZERO, write).await;
        assert_eq!(db.versions().own_writes().await.into_iter().collect::<Vec<_>>(), ["things"]);
        assert!(!before.are_current());
        assert_eq!(things.count(&Filter::All).await.unwrap(), 1, "it is noted when it is done");
    }

    async fn own_writes_are_reported_once(db: Database) {
        db.collection("b").insert_one(doc! {}).await.unwrap();
        db.collection("a").insert_many(vec![doc! {}, doc! {}]).await.unwrap();
        assert_eq!(db.versions().own_writes().await.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        let waiting = tokio::spawn({ let db = db.clone(); async move { db.versions().own_writes().await } });
        db.collection("c").insert_one(doc! {}).await.unwrap();
        assert_eq!(waiting.await.unwrap().into_iter().collect::<Vec<_>>(), ["c"]);
    }

    async fn transaction_is_recorded_at_commit(db: Database) {
        if !db.facts().await.unwrap().transactions {
            return;
        }
        let before = read(&db, "things").await;
        let transaction = db.begin().await.unwrap();
        transaction.collection("things").insert_one(doc! {}).await.unwrap();
        assert!(before.are_current(), "the write is not visible yet");
        // What is read in a transaction may be older than it seems.
        let (_, within) = track_reads(transaction.collection("things").count(&Filter::All)).await;
        assert!(!within.are_current());
        transaction.commit().await.unwrap();
        assert!(!before.are_current());
        let before = read(&db, "things").await;
        let transaction = db.begin().await.unwrap();
        transaction.collection("things").insert_one(doc! {}).await.unwrap();
        transaction.abort().await.unwrap();
        assert!(before.are_current());
    }
}
