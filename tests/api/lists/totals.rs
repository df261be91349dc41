use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bson::{DateTime, Document, doc, oid::ObjectId};
use docstore::{Database, Filter, StalenessBound, Update};
use field_notes::domain::{Story, StoryFilter, Visibility, Window};
use field_notes::repository::{ChangeTracker, Repository, ensure_all};
use testkit::Target;

const PUBLISHED: StoryFilter = StoryFilter { visibility: Visibility::Published, section: None };
const GIVE_UP: Duration = Duration::from_secs(30);

fn story() -> Document {
    let at = DateTime::from_millis(1_767_323_045_678);
    doc! { "_id": ObjectId::new(), "slug": ObjectId::new().to_hex(), "is_published": true, "createdDate": at }
}

/// A store with a number of stories.
async fn filled(db: &Database, stories: usize) {
    ensure_all(db).await.expect("the indexes can be created");
    let documents = (0..stories).map(|_| story()).collect();
    db.collection("stories").insert_many(documents).await.expect("inserts");
}

/// One of the processes on a store, as it is once it follows what others write.
struct Process {
    db: Database,
    stories: Repository<Story>,
}

impl Process {
    async fn new(db: &Database) -> Self {
        let db = db.completing_writes();
        let freshness = ChangeTracker::new(&db);
        tokio::spawn(async move { freshness.follow(Duration::from_hours(1)).await });
        while db.versions().staleness_bound() == StalenessBound::Unknown {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { stories: Repository::new(&db), db }
    }

    async fn total(&self) -> i64 {
        let list = self.stories.list(&PUBLISHED, Window { limit: 1, offset: 0 }).await.expect("a list");
        i64::try_from(list.total).expect("the count fits")
    }

    async fn counted(&self) -> i64 {
        let all = Filter::eq("is_published", true).also(Filter::ne("deleted", true));
        i64::try_from(self.db.collection("stories").count(&all).await.expect("a count"))
            .expect("the count fits")
    }

    async fn until_total(&self, wanted: i64) {
        let began = Instant::now();
        loop {
            let total = self.total().await;
            if total == wanted {
                return;
            }
            assert!(began.elapsed() < GIVE_UP, "{total} is not {wanted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The numbers of documents that the writers have inserted and deleted: of those that have begun, and of those that are done.
#[derive(Default)]
struct Tally {
    adding: AtomicI64,
    added: AtomicI64,
    taking: AtomicI64,
    taken: AtomicI64,
}

/// Writes in one of the ways there are; returns what it has come to.
async fn write(process: &Process, tally: &Tally, nth: usize, own: &mut Vec<ObjectId>) {
    let stories = process.db.collection("stories");
    match nth % 5 {
        0 | 1 => {
            let new = story();
            own.push(new.get_object_id("_id").expect("an id"));
            tally.adding.fetch_add(1, SeqCst);
            stories.insert_one(new).await.expect("an insert");
            tally.added.fetch_add(1, SeqCst);
        }
        2 => {
            // By a handle that does not see its writes through, as migrations have it, and many at once.
            let new: Vec<_> = (0..30).map(|_| story()).collect();
            own.extend(new.iter().map(|new| new.get_object_id("_id").expect("an id")));
            tally.adding.fetch_add(30, SeqCst);
            Database::clone(&process.db).collection("stories").insert_many(new).await.expect("inserts");
            tally.added.fetch_add(30, SeqCst);
        }
        3 => {
            let id = own.swap_remove(nth % own.len());
            tally.taking.fetch_add(1, SeqCst);
            let gone = Update::new().set("deleted", true);
            stories.update_one(&Filter::id(id), &gone).await.expect("an update");
            tally.taken.fetch_add(1, SeqCst);
        }
        _ => {
            // Which documents it touches is not known before.
            let slugs: Vec<_> = own.drain(own.len() / 2..).collect();
            let many = i64::try_from(slugs.len()).expect("few");
            tally.taking.fetch_add(many, SeqCst);
            let those = Filter::or(slugs.chunks(7).map(|ids| Filter::is_in("_id", ids.iter().copied())));
            stories.delete_many(&those).await.expect("deletions");
            tally.taken.fetch_add(many, SeqCst);
        }
    }
}

testkit::stores! {
    async fn every_total_has_every_write_that_was_acknowledged(db: Database) {
        filled(&db, 4_500).await;
        let process = Arc::new(Process::new(&db).await);
        assert_eq!(process.total().await, 4_500);
        let tally = Arc::new(Tally::default());
        let writers = (0..4).map(|writer| {
            let (process, tally) = (Arc::clone(&process), Arc::clone(&tally));
            tokio::spawn(async move {
                let mut own = Vec::new();
                for nth in 0..60 {
                    write(&process, &tally, nth + writer * 5, &mut own).await;
                    let (added, taken) = (tally.added.load(SeqCst), tally.taken.load(SeqCst));
                    let total = process.total().await - 4_500;
                    let (adding, taking) = (tally.adding.load(SeqCst), tally.taking.load(SeqCst));
                    let (least, most) = (added - taking, adding - taken);
                    assert!((least..=most).contains(&total), "{total} is not within {least} and {most}");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let left = 4_500 + tally.added.load(SeqCst) - tally.taken.load(SeqCst);
        assert_eq!((process.total().await, process.counted().await), (left, left));
    }

    async fn a_window_has_the_total_wherever_it_ends(db: Database) {
        filled(&db, 0).await;
        let process = Process::new(&db).await;
        let mut id = ObjectId::new();
        for n in 0..5 {
            for (limit, offset) in (1..=n + 2).flat_map(|limit| (0..=n + 1).map(move |offset| (limit, offset))) {
                // Doubtful each time, known the second time.
                let touch = Update::new().set("touched", i64::try_from(limit + offset).expect("small"));
                process.db.collection("stories").update_one(&Filter::id(id), &touch).await.unwrap();
                for _ in 0..2 {
                    let list = process.stories.list(&PUBLISHED, Window { limit, offset }).await.unwrap();
                    let shown = list.items.len() as u64;
                    assert_eq!((list.total, shown), (n, n.saturating_sub(offset).min(limit)), "{limit} from {offset}");
                }
            }
            let mut one = story();
            let at = one.get("createdDate").cloned();
            one.extend(doc! { "title": "A title", "content": "<p>text</p>", "updatedDate": at });
            id = one.get_object_id("_id").expect("its id");
            process.db.collection("stories").insert_one(one).await.unwrap();
        }
    }

    async fn ids_of_other_types_count(db: Database) {
        filled(&db, 3_000).await;
        let process = Process::new(&db).await;
        let stories = db.collection("stories");
        assert_eq!(process.total().await, 3_000);
        let odd = doc! { "_id": "odd", "slug": "odd", "is_published": true };
        stories.insert_one(odd).await.unwrap();
        assert_eq!(process.total().await, 3_001);
        stories.insert_one(story()).await.unwrap();
        assert_eq!(process.total().await, 3_002);
        stories.delete_one(&Filter::id("odd")).await.unwrap();
        assert_eq!(process.total().await, 3_001);
        stories.insert_one(story()).await.unwrap();
        assert_eq!(process.total().await, 3_002);
    }

    async fn an_aborted_transaction_does_not_count_and_a_committed_one_does(db: Database) {
        filled(&db, 10).await;
        let process = Process::new(&db).await;
        assert_eq!(process.total().await, 10);
        for (commits, total) in [(false, 10), (true, 11)] {
            let transaction = process.db.begin().await.unwrap();
            transaction.collection("stories").insert_one(story()).await.unwrap();
            if commits { transaction.commit().await.unwrap() } else { transaction.abort().await.unwrap() }
            assert_eq!(process.total().await, total);
        }
    }
}

testkit::targets! {
    async fn only_the_range_of_a_write_is_recounted(target: Arc<Target>) {
        let (db, other) = (testkit::open!(target), testkit::open!(target));
        filled(&db, 5_000).await;
        // As if others' writes were learned, which they are not.
        db.versions().set_staleness_bound(StalenessBound::Zero);
        let process = Process { stories: Repository::new(&db), db: db.clone() };
        assert_eq!(process.total().await, 5_000);
        let low = |n: u8| doc! { "_id": ObjectId::from_bytes([n; 12]), "slug": format!("low-{n}"), "is_published": true };
        other.collection("stories").insert_one(low(0)).await.unwrap();
        assert_eq!(process.total().await, 5_000, "nothing is counted");
        db.collection("stories").insert_one(story()).await.unwrap();
        assert_eq!(process.total().await, 5_001, "the last range is counted, the first is not");
        db.collection("stories").insert_one(low(1)).await.unwrap();
        assert_eq!(process.total().await, 5_003, "now the first is");
        other.collection("stories").insert_one(low(2)).await.unwrap();
        db.versions().set_staleness_bound(StalenessBound::AtMost(Duration::ZERO));
        assert_eq!(process.total().await, 5_004, "what is too old is not trusted");
        other.close().await;
        db.close().await;
    }

    async fn what_another_process_writes_is_seen(target: Arc<Target>) {
        let (db, other) = (testkit::open!(target), testkit::open!(target));
        filled(&db, 5_000).await;
        let process = Process::new(&db).await;
        assert_eq!(process.total().await, 5_000);
        let stories = other.collection("stories");
        stories.insert_one(story()).await.unwrap();
        process.until_total(5_001).await;
        stories.insert_many((0..2_500).map(|_| story()).collect()).await.unwrap();
        process.until_total(7_501).await;
        stories.update_many(&Filter::eq("is_published", true), &Update::new().set("is_deleted", true)).await.unwrap();
        process.until_total(0).await;
        stories.update_many(&Filter::All, &Update::new().set("is_deleted", false)).await.unwrap();
        process.until_total(7_501).await;
        stories.delete_many(&Filter::All).await.unwrap();
        process.until_total(0).await;
        other.close().await;
        db.close().await;
    }
}
