use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::{Bson, Document, doc};
use docstore::{Change, Database, Filter, Find, Index, Update};
use migrator::{
    Check, Finding, Graph, Inserted, Meta, Migration, Migrator, Phase, Preview, PreviewPath, Result,
    Settings, Step, Undo, Up, UpMode, Value,
};

use crate::declared::{declared, migrator, numbered, with};
use crate::toys::{Action, content, settings, toy};

const POLL: Duration = Duration::from_millis(50);

/// Everything there is, the names of empty collections and the indexes included.
async fn fingerprint(db: &Database) -> String {
    let documents = testkit::dump!(db);
    let mut indexes = Vec::new();
    for name in documents.keys() {
        indexes.push(db.list_indexes(name).await.unwrap());
    }
    format!("{documents:?} {indexes:?}")
}

/// Previews, and makes sure that nothing of it can be seen: not in the data, not in the change feed.
async fn unseen(db: &Database, migrator: &Migrator) -> Preview {
    let before = fingerprint(db).await;
    let mut feed = db.watch(POLL).await.unwrap();
    let preview = migrator.preview(UpMode::Operator).await.unwrap();
    assert_eq!(fingerprint(db).await, before);
    if db.facts().await.unwrap().precise_changes {
        // The first sample shows what is written after it.
        let id = db.collection("marks").insert_one(doc! { "mark": 1 }).await.unwrap();
        let first = feed.next().await.unwrap().unwrap();
        assert!(matches!(&first, Change::Document { id: seen, .. } if *seen == id), "{first:?}");
        db.drop_collection("marks").await.unwrap();
    }
    preview
}

fn counts(preview: &Preview) -> Vec<u64> {
    preview.migrations.iter().flat_map(|one| one.steps.iter().map(|step| step.matched)).collect()
}

/// Inserts a user and gives content to it: what it does to the content is known only once the user is there.
struct Owner;

const OWNER: Meta = Meta::new("0001_owner", "content belongs to somebody")
    .requires_env(&["MAIL"])
    .touches(&["things", "users"]);

#[async_trait]
impl Migration for Owner {
    fn meta(&self) -> &'static Meta {
        &OWNER
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let mail = cx.env("MAIL")?;
        let key = Filter::eq("mail", mail.as_str());
        let user = doc! { "mail": &mail, "name": format!("the one of {mail}") };
        let (Inserted::New(id) | Inserted::Present(id)) =
            cx.insert_if_absent("user", "users", &key, user).await?;
        cx.set_where_missing("own", "things", &Filter::All, "owner", id).await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// Needs what [`Owner`] leaves.
struct Greet;

const GREET: Meta = Meta::new("0002_greet", "greet the owner").after(&["0001_owner"]).touches(&["things"]);

#[async_trait]
impl Migration for Greet {
    fn meta(&self) -> &'static Meta {
        &GREET
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        if cx.find_one("users", Find::new(Filter::All)).await?.is_none() {
            return Err(migrator::Error::migration("there is no user"));
        }
        cx.set_where_missing("greet", "things", &Filter::exists("owner"), "greeting", "hello").await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("greetings stay")
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

fn code(db: &Database) -> Migrator {
    let env = Arc::new(|_: &str| Some("ada@example.org".to_owned()));
    let graph = Graph::new(vec![Box::new(Owner), Box::new(Greet)]).unwrap();
    Migrator::new(db.clone(), graph, Settings { env, ..settings() })
}

fn rich() -> Vec<Step> {
    vec![
        Step::add_field("add", "things", "color", "red"),
        Step::set_field("set", "things", "n", 7).only(Filter::lt("n", 2)),
        Step::unset_field("unset", "things", "old"),
        Step::rename_begin("copy", "things", "n", "number"),
        Step::backfill("double", "things", ["n"], |document: &Document| {
            let n = document.get_i32("n").ok()?;
            (n % 2 == 0).then(|| Update::new().set("even", true))
        }),
        Step::seed("seed", "things", ["slug"], vec![doc! { "slug": "a" }, doc! { "slug": "b" }])
            .with("at", Value::Now),
        Step::delete("delete", "things", Filter::eq("n", 9)),
        Step::copy_collection("keep", "things", "others"),
        Step::create_index("index", "things", Index::on(["color"])),
        Step::drop_index("no index", "things", "absent_1"),
    ]
}

testkit::stores! {
    async fn preview_matches_up_and_writes_nothing(db: Database) {
        let things = db.collection("things");
        things.insert_many(numbered(10)).await.unwrap();
        things.insert_many(vec![doc! { "_id": "x", "old": 1 }, doc! { "_id": "y", "slug": "a" }]).await.unwrap();
        let migrator = migrator(&db, &[declared("0001_a", rich()).contract()]);
        let preview = unseen(&db, &migrator).await;
        assert_eq!(preview.path, PreviewPath::Tried, "{:?}", preview.not_tried);
        assert_eq!(counts(&preview), [12, 2, 1, 10, 4, 1, 1, 12, 1, 0]);
        let one = &preview.migrations[0];
        assert_eq!((one.id.as_str(), one.phase, one.error.as_ref()), ("0001_a", Phase::Contract, None));
        assert_eq!(one.documents, 43);
        assert!(one.journal_bytes > 0 && one.estimate_ms > 0 && one.steps.iter().all(|step| step.exact));
        let set = &one.steps[1];
        assert_eq!(set.samples.len(), 2);
        assert_eq!((set.samples[0].id.clone(), set.samples[0].before.clone()), (Bson::Int32(0), doc! { "n": 0 }));
        assert_eq!(set.samples[0].after, doc! { "n": 7 });
        assert_eq!(set.operation.get_document("with").unwrap(), &doc! { "$set": { "n": 7 } });
        let written = serde_json::to_value(&preview).unwrap();
        assert_eq!(written["path"], "tried");
        assert_eq!(written["migrations"][0]["steps"][0]["matched"], 12);

        let report = migrator.up(UpMode::Operator).await.unwrap();
        let real: Vec<u64> = report.applied[0].counts.iter().take(8).map(|c| c.inserted + c.updated + c.deleted).collect();
        assert_eq!(real, counts(&preview)[..8]);
        // There was nothing to measure how long it would take with.
        assert!(one.estimate_from.contains("nothing was measured here"), "{}", one.estimate_from);
        assert!(migrator.preview(UpMode::Operator).await.unwrap().migrations.is_empty());
    }

    async fn preview_of_a_migration_sees_earlier_pending_changes(db: Database) {
        db.collection("things").insert_many(numbered(3)).await.unwrap();
        let preview = unseen(&db, &code(&db)).await;
        assert_eq!(preview.path, PreviewPath::Tried);
        assert_eq!(counts(&preview), [1, 3, 3]);
        assert_eq!(preview.migrations[1].undo, Undo::Irreversible("greetings stay"));
        // On an empty database too, where collections come to be on the way.
        let empty = unseen(&db, &code(&db)).await;
        assert_eq!(empty.migrations.len(), 2);
        assert!(!db.collection_names().await.unwrap().contains(&"users".to_owned()));
    }

    async fn preview_counts_large_steps_and_names_unseen_changes(db: Database) {
        db.collection("things").insert_many(numbered(10_001)).await.unwrap();
        let preview = unseen(&db, &code(&db)).await;
        assert_eq!(preview.path, PreviewPath::Counted);
        assert!(preview.not_tried.as_ref().unwrap().contains("10000"), "{:?}", preview.not_tried);
        // How long it would take was measured on these very documents, and nothing is left of that.
        let from = &preview.migrations[0].estimate_from;
        assert!(from.contains("measured by changing 1000 of things in a transaction that was aborted"), "{from}");
        let [first, second] = &preview.migrations[..] else { panic!("two migrations") };
        assert_eq!((first.documents, first.without.len()), (10_002, 0));
        assert_eq!(second.without, ["0001_owner"]);
        assert!(second.error.as_ref().unwrap().contains("there is no user"));
    }

    async fn preview_estimates_duration_from_earlier_runs(db: Database) {
        db.collection("things").insert_many(numbered(2000)).await.unwrap();
        let first = declared("0001_a", vec![Step::add_field("add", "things", "color", "red")]);
        migrator(&db, std::slice::from_ref(&first)).up(UpMode::Start).await.unwrap();
        let took = crate::toys::entry(&db, "0001_a").await.get_i64("duration_ms").unwrap();
        let second = declared("0002_b", vec![Step::add_field("add", "things", "size", 1)]).after(&["0001_a"]);
        let preview = unseen(&db, &migrator(&db, &[first, second])).await;
        let from = &preview.migrations[0].estimate_from;
        let rate = (2000 * 1000 / took.max(1)).max(1);
        assert_eq!(*from, format!("{rate} documents per second, by earlier runs on this database (1)"));
    }

    async fn variable_values_are_redacted_to_their_names(db: Database) {
        db.collection("things").insert_many(numbered(1)).await.unwrap();
        let preview = code(&db).preview(UpMode::Operator).await.unwrap();
        let reported = serde_json::to_string(&preview).unwrap();
        assert!(!reported.contains("ada@example.org"), "{reported}");
        assert_eq!(preview.migrations[0].steps[0].samples[0].after.get_str("name").unwrap(), "the one of ${MAIL}");
    }

    async fn preview_reports_a_failure_and_stops_there(db: Database) {
        let fails = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let toys = [
            toy("0001_a", &[], vec![Action::Insert("things", "a"), Action::Fail(fails)]),
            toy("0002_b", &["0001_a"], vec![Action::Insert("things", "b")]),
        ];
        let migrator = crate::toys::migrator(&db, &toys);
        let preview = unseen(&db, &migrator).await;
        let errors: Vec<_> = preview.migrations.iter().map(|one| one.error.clone().unwrap_or_default()).collect();
        assert_eq!(errors, ["fails on purpose", "not reached, since an earlier migration would fail"]);
        assert_eq!(preview.migrations[0].steps.len(), 1);
        assert!(content(&db).await.is_empty());
    }

    async fn preview_reports_missing_variables_first(db: Database) {
        let one = declared("0001_a", vec![]).meta(|meta| meta.requires_env(&["COLOR"]));
        let error = with(&db, &[one], settings()).preview(UpMode::Operator).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_server_without_transactions_is_counted_on() {
    testkit::with_server_binary(|binary| async move {
        let server = testkit::Mongod::standalone(&binary).await.unwrap();
        let options = docstore::mongo::Options {
            uri: server.uri(),
            database: Some("plan".into()),
            app_name: "tests".into(),
        };
        let db = docstore::mongo::connect(options).await.unwrap();
        db.collection("things").insert_many(numbered(4)).await.unwrap();
        let preview = unseen(&db, &migrator(&db, &[declared("0001_a", rich()).contract()])).await;
        assert_eq!(preview.path, PreviewPath::Counted);
        assert!(preview.not_tried.as_ref().unwrap().contains("no transactions"));
        assert_eq!(counts(&preview), [4, 2, 0, 4, 2, 2, 0, 4, 1, 0]);
    });
}
