use docstore::bson::{Bson, doc};
use docstore::{Database, Filter, Index, Update};
use migrator::{Mode, Rule, Step, UpMode};

use crate::declared::{Declared, declared, migrator, numbered};
use crate::toys::{Action, toy};

/// The rules that need data; each is tripped below.
pub(crate) const RULES: &[Rule] = &[
    Rule::NotForeseen,
    Rule::LargeTransaction,
    // With numbers alone, in `src/lint/data.rs`.
    Rule::LargeWithoutBatches,
    Rule::UnindexedFilter,
    Rule::UnknownCollection,
    Rule::CopyOverExisting,
    Rule::IndexConflict,
    Rule::UniqueOverDuplicates,
    Rule::IndexOnMissingField,
    Rule::IndexedTypeChange,
];

async fn rules(db: &Database, list: &[Declared]) -> Vec<Rule> {
    let before = testkit::dump!(db).len();
    let lints = migrator(db, list).lint().await.unwrap();
    assert_eq!(testkit::dump!(db).len(), before, "looking made a collection");
    let needs_data = |rule: &Rule| RULES.contains(rule);
    lints.iter().map(|lint| lint.rule).filter(needs_data).collect()
}

fn one(step: Step) -> [Declared; 1] {
    [declared("0001_a", vec![step])]
}

fn unique(field: &'static str) -> [Declared; 1] {
    one(Step::create_index("index", "things", Index::on([field]).unique()))
}

testkit::stores! {
    async fn lint_finds_unique_index_over_duplicates(db: Database) {
        let things = db.collection("things");
        things.insert_many(vec![doc! { "a": 1, "b": 1, "c": "x" }, doc! { "a": 1.0, "b": 2 }, doc! { "b": "1" }]).await.unwrap();
        // Numbers are equal by value, whatever their width.
        assert_eq!(rules(&db, &unique("a")).await, [Rule::UniqueOverDuplicates]);
        assert!(rules(&db, &unique("b")).await.is_empty());
        // A missing field counts as null, except where it is left out.
        assert_eq!(rules(&db, &unique("c")).await, [Rule::UniqueOverDuplicates]);
        let index = |index| one(Step::create_index("index", "things", index));
        assert!(rules(&db, &index(Index::on(["c"]).unique().sparse())).await.is_empty());
        assert!(rules(&db, &index(Index::on(["a"]).unique().partial(Filter::gt("b", 1)))).await.is_empty());
        assert!(rules(&db, &index(Index::on(["a", "b"]).unique())).await.is_empty());
        // What an earlier step leaves is not known.
        let cleans = declared("0001_a", vec![Step::delete("clean", "things", Filter::eq("b", 2))]).contract();
        let index = Step::create_index("index", "things", Index::on(["a"]).unique());
        let then = declared("0002_b", vec![index]).after(&["0001_a"]);
        assert!(rules(&db, &[cleans, then]).await.is_empty());
    }

    async fn lint_finds_conflicting_index(db: Database) {
        db.ensure_index("things", &Index::on(["a"])).await.unwrap();
        db.collection("things").insert_one(doc! { "a": 1 }).await.unwrap();
        assert_eq!(rules(&db, &unique("a")).await, [Rule::IndexConflict]);
        let same = one(Step::create_index("index", "things", Index::on(["a"])));
        assert!(rules(&db, &same).await.is_empty());
        let steps = vec![
            Step::drop_index("drop", "things", "a_1"),
            Step::create_index("index", "things", Index::on(["a"]).unique()),
        ];
        let in_turn = [declared("0001_a", vec![steps[0].clone()]), declared("0002_b", vec![steps[1].clone()]).after(&["0001_a"])];
        assert!(rules(&db, &in_turn).await.is_empty());
        assert!(rules(&db, &[declared("0001_a", steps)]).await.is_empty());
    }

    async fn lint_finds_index_on_absent_field(db: Database) {
        db.collection("things").insert_one(doc! { "color": 1 }).await.unwrap();
        let index = |field: &'static str| Step::create_index("index", "things", Index::on([field]));
        assert_eq!(rules(&db, &one(index("colour"))).await, [Rule::IndexOnMissingField]);
        assert!(rules(&db, &one(index("color"))).await.is_empty());
        let adds = declared("0001_a", vec![Step::add_field("add", "things", "size", 1), index("size")]);
        assert!(rules(&db, &[adds]).await.is_empty());
    }

    async fn unknown_collection_is_reported(db: Database) {
        let misspelt = one(Step::add_field("add", "thinks", "a", 1));
        assert!(rules(&db, &misspelt).await.is_empty(), "a new database has no collections yet");
        db.collection("things").insert_one(doc! { "b": 1 }).await.unwrap();
        assert_eq!(rules(&db, &misspelt).await, [Rule::UnknownCollection]);
        assert!(rules(&db, &one(Step::add_field("add", "things", "a", 1))).await.is_empty());
        let seeds = declared("0001_a", vec![Step::seed("seed", "new", ["a"], vec![doc! { "a": 1 }]), Step::add_field("add", "new", "b", 1)]);
        assert!(rules(&db, &[seeds]).await.is_empty());
    }

    async fn lint_finds_copy_over_existing_documents(db: Database) {
        db.collection("things").insert_one(doc! { "b": 1 }).await.unwrap();
        let copy = one(Step::copy_collection("copy", "things", "others"));
        assert!(rules(&db, &copy).await.is_empty());
        db.collection("others").insert_one(doc! { "b": 1 }).await.unwrap();
        assert_eq!(rules(&db, &copy).await, [Rule::CopyOverExisting]);
    }

    async fn lint_finds_type_change_of_indexed_field(db: Database) {
        db.collection("things").insert_many(vec![doc! { "a": "1", "b": "1" }, doc! { "a": Bson::Null }]).await.unwrap();
        db.ensure_index("things", &Index::on(["a"])).await.unwrap();
        let set = |field: &'static str, value: Bson| one(Step::set_field("set", "things", field, value));
        assert_eq!(rules(&db, &set("a", 1.into())).await, [Rule::IndexedTypeChange]);
        assert!(rules(&db, &set("a", "2".into())).await.is_empty());
        assert!(rules(&db, &set("b", 1.into())).await.is_empty());
    }

    async fn lint_finds_too_large_transactions_and_journals(db: Database) {
        let things = db.collection("things");
        let many = (0..10_001).map(|i| doc! { "_id": i, "n": i % 10, "m": i % 10 });
        things.insert_many(many.collect()).await.unwrap();
        db.ensure_index("things", &Index::on(["m"])).await.unwrap();
        let all = |mode| [declared("0001_a", vec![Step::set_field("set", "things", "a", 1)]).mode(mode)];
        assert!(rules(&db, &all(Mode::Transaction)).await.contains(&Rule::LargeTransaction));
        assert!(rules(&db, &all(Mode::Batched)).await.is_empty());
        let some = |filter, mode| [declared("0001_a", vec![Step::delete("clean", "things", filter)]).mode(mode)];
        assert_eq!(rules(&db, &some(Filter::eq("n", 1), Mode::Idempotent)).await, [Rule::UnindexedFilter]);
        assert!(rules(&db, &some(Filter::eq("n", 1), Mode::Batched)).await.is_empty());
        assert!(rules(&db, &some(Filter::eq("m", 1), Mode::Idempotent)).await.is_empty());
    }

    async fn lint_reports_unreadable_data_of_pending_migrations_only(db: Database) {
        let switch = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let toys = [toy("0001_a", &[], vec![Action::Fail(std::sync::Arc::clone(&switch))])];
        let migrator = crate::toys::migrator(&db, &toys);
        let reported = |lints: &[migrator::Lint]| lints.iter().any(|lint| lint.rule == Rule::NotForeseen);
        assert!(reported(&migrator.lint().await.unwrap()));
        switch.store(false, std::sync::atomic::Ordering::SeqCst);
        assert!(!reported(&migrator.lint().await.unwrap()));
        migrator.up(UpMode::Operator).await.unwrap();
        switch.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(!reported(&migrator.lint().await.unwrap()));
    }

    async fn lint_covers_steps_made_in_code(db: Database) {
        db.collection("things").insert_many(numbered(2)).await.unwrap();
        db.ensure_index("things", &Index::on(["n"])).await.unwrap();
        db.collection("things").update_one(&Filter::id(1), &Update::new().set("n", 5)).await.unwrap();
        let toys = [toy("0001_a", &[], vec![Action::Set("things", "n", "text".into())])];
        let lints = crate::toys::migrator(&db, &toys).lint().await.unwrap();
        assert!(lints.iter().any(|lint| lint.rule == Rule::IndexedTypeChange), "{lints:?}");
    }
}
