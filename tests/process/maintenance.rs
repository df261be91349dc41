//! `migrate backup`, `restore`, `reset`, `diff`, `test`, `rehearse` and `preflight` on the command line.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use docstore::bson::doc;
use docstore::{Filter, Index};
use serde_json::Value;
use testkit::Target;

use crate::program::{Finished, Program, open_store};
use crate::takeover;

fn migrate(program: &Program, arguments: &[&str]) -> Finished {
    program.run(&[&["migrate"], arguments].concat())
}

fn json(program: &Program, arguments: &[&str], code: i32) -> Value {
    let result = migrate(program, &[arguments, &["--json"]].concat()).expect(code);
    serde_json::from_str(&result.stdout).expect("JSON on stdout, and nothing else")
}

/// Returns the name that confirms a reset.
fn database(target: &Target) -> &str {
    match target {
        Target::Embedded { .. } => "field-notes.db",
        Target::Mongo { database, .. } => database,
    }
}

testkit::targets! {
    async fn backup_is_restored(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let taken = json(&program, &["backup", "--why", "a test"], 0);
        let id = taken["id"].as_str().unwrap();
        let store = open_store(&target).await;
        let sections = store.collection("sections");
        let before = testkit::dump!(store)["sections"].clone();
        sections.delete_one(&Filter::eq("slug", "blog")).await.unwrap();

        let listed = json(&program, &["backups", "--verify"], 0);
        assert_eq!(listed["backups"][0]["id"], id, "{listed}");
        assert_eq!(listed["backups"][0]["why"], "a test", "{listed}");

        let refused = migrate(&program, &["restore", id]).expect(8);
        assert!(refused.stderr.contains("--replace"), "{}", refused.stderr);
        let refused = migrate(&program, &["restore", id, "--replace"]).expect(8);
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
        migrate(&program, &["restore", id, "--into-scratch"]).expect(0);
        assert_eq!(testkit::dump!(store)["sections"].len(), 3);

        migrate(&program, &["restore", &id[..id.len() - 3], "--replace", "--yes"]).expect(0);
        assert_eq!(testkit::dump!(store)["sections"], before);
        migrate(&program, &["verify"]).expect(0);
        store.close().await;
    }

    /// Its ledger has fencing tokens that the other database never issued.
    async fn backup_is_restored_into_another_database(target: Arc<Target>) {
        let program = Program::on(&target);
        for verb in ["up", "down", "up", "down", "up"] {
            migrate(&program, &[verb]).expect(0);
        }
        let taken = json(&program, &["backup"], 0);
        let id = taken["id"].as_str().unwrap();
        let folder = program.folder().join("backups").display().to_string();
        let elsewhere = format!("{}r", database(&target));
        let other = Program::on(&target)
            .with("DATA_DIR", &program.folder().join("other").display().to_string())
            .with("MONGO_DB_NAME", &elsewhere)
            .with("BACKUP_DIR", &folder);
        let other = if matches!(*target, Target::Embedded { .. }) { other.with("MONGO_DB_NAME", "") } else { other };
        migrate(&other, &["restore", id]).expect(0);
        for verb in ["verify", "down", "up", "check"] {
            migrate(&other, &[verb]).expect(0);
        }
        if let Target::Mongo { uri, .. } = &*target {
            let options =
                docstore::mongo::Options { uri: uri.clone(), database: Some(elsewhere), app_name: "tests".to_owned() };
            let store = docstore::mongo::connect(options).await.unwrap();
            for name in store.collection_names().await.unwrap() {
                store.drop_collection(&name).await.unwrap();
            }
            store.close().await;
        }
    }

    async fn restore_creates_declared_indexes_or_reports_what_remains(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        let take = || json(&program, &["backup"], 0)["id"].as_str().unwrap().to_owned();
        let restore = |id: &str| migrate(&program, &["restore", id, "--replace", "--yes"]).expect(0).stdout;
        migrate(&program, &["up", "--to", "0003"]).expect(0);
        let third = take();
        migrate(&program, &["up"]).expect(0);
        let all = take();
        let stories = store.collection("stories");
        let story = |title: &str| doc! { "title": title, "slug": "same" };
        stories.insert_many(vec![story("First"), story("Second")]).await.unwrap();
        let duplicates = take();

        let restored = restore(&third);
        let remains = "pending: 0004_backfill_section_id; the next start applies them and creates the declared indexes\n";
        assert!(restored.ends_with(remains), "{restored}");
        let restored = restore(&duplicates);
        assert!(restored.contains("the next start would fail: ") && restored.contains("field-notes doctor"), "{restored}");
        stories.delete_many(&Filter::All).await.unwrap();
        let restored = restore(&all);
        assert!(restored.contains("created the declared indexes that were missing: "), "{restored}");
        let checked = migrate(&program, &["check"]).expect(0).stdout;
        assert!(checked.contains("✓ indexes match their declarations"), "{checked}");
        assert_eq!(json(&program, &["restore", &all, "--replace", "--yes", "--only", "users"], 0)["remains"], Value::Null);
        store.close().await;
    }

    async fn ledger_of_the_original_is_restored_exactly(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        takeover::put_original(&store).await;
        migrate(&program, &["up"]).expect(0);
        let before = (testkit::dump!(store)["pymongo_migrate"].clone(), store.list_indexes("pymongo_migrate").await.unwrap());
        assert!(!before.0.is_empty());
        let id = json(&program, &["backup"], 0)["id"].as_str().unwrap().to_owned();
        store.collection("pymongo_migrate").delete_many(&Filter::All).await.unwrap();
        migrate(&program, &["restore", &id, "--replace", "--yes"]).expect(0);
        let after = (testkit::dump!(store)["pymongo_migrate"].clone(), store.list_indexes("pymongo_migrate").await.unwrap());
        assert_eq!(after, before);
        store.close().await;
    }

    async fn unusable_backups_are_listed(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let folder = program.folder().join("backups");
        let file_of = |taken: &Value| folder.join(taken["id"].as_str().unwrap()).join(taken["collections"][0]["file"].as_str().unwrap());
        let [missing, short, unnamed] = [(); 3].map(|()| json(&program, &["backup"], 0));
        fs::remove_file(file_of(&missing)).unwrap();
        fs::write(file_of(&short), "").unwrap();
        fs::remove_file(folder.join(unnamed["id"].as_str().unwrap()).join("manifest.json")).unwrap();
        // As a writer that was killed leaves it.
        fs::create_dir(folder.join(".partial-x")).unwrap();
        fs::write(folder.join(".partial-x/lock"), "").unwrap();
        let listed = json(&program, &["backups"], 0);
        assert_eq!(listed["backups"], serde_json::json!([]));
        let broken = listed["broken"].as_array().unwrap();
        for (id, error) in [(&missing["id"], "No such file"), (&short["id"], "has 0 bytes instead of"), (&unnamed["id"], "manifest.json is missing"), (&".partial-x".into(), "is incomplete")] {
            let one = broken.iter().find(|one| one["id"] == *id).unwrap_or_else(|| panic!("{id}: {listed}"));
            assert!(one["error"].as_str().unwrap().contains(error), "{one}");
        }
        assert_eq!(broken.len(), 4, "{listed}");
        migrate(&program, &["backups", "--verify"]).expect(6);
        // The next backup deletes the incomplete one.
        let taken = json(&program, &["backup"], 0);
        let listed = json(&program, &["backups"], 0);
        assert_eq!((&listed["backups"][0]["id"], listed["broken"].as_array().unwrap().len()), (&taken["id"], 3), "{listed}");
    }

    async fn damaged_backup_is_reported_and_not_restored(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let taken = json(&program, &["backup"], 0);
        let id = taken["id"].as_str().unwrap();
        let folder = program.folder().join("backups").join(id);
        let kept = taken["collections"].as_array().unwrap().iter().find(|kept| kept["name"] == "sections").unwrap();
        let file = folder.join(kept["file"].as_str().unwrap());
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();

        migrate(&program, &["backups"]).expect(0);
        let printed = migrate(&program, &["backups", "--verify"]).expect(6);
        assert!(printed.stdout.contains("cannot be used"), "{}", printed.stdout);
        let store = open_store(&target).await;
        let before = testkit::dump!(store);
        let refused = migrate(&program, &["restore", id, "--replace", "--yes"]).expect(6);
        assert!(refused.stderr.contains("damaged"), "{}", refused.stderr);
        assert_eq!(testkit::dump!(store), before);
        let unknown = migrate(&program, &["restore", "1999"]).expect(2);
        assert!(unknown.stderr.contains("field-notes migrate backups"), "{}", unknown.stderr);
        store.close().await;
    }

    async fn reset_requires_the_database_name_and_is_refused_in_production(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        store.collection("stories").insert_one(doc! { "title": "t", "slug": "t" }).await.unwrap();
        let before = testkit::dump!(store);
        let refused = migrate(&program, &["reset", "--i-mean", "another"]).expect(8);
        assert!(refused.stderr.contains(database(&target)), "{}", refused.stderr);
        migrate(&program, &["reset"]).expect(2);
        let production = Program::on(&target)
            .with("ENVIRONMENT", "production")
            .with("ALLOW_DEV_AUTH", "false")
            .with("GOOGLE_CLIENT_ID", "x");
        let refused = migrate(&production, &["reset", "--confirm", database(&target)]).expect(8);
        assert!(refused.stderr.contains("production"), "{}", refused.stderr);
        assert_eq!(testkit::dump!(store), before);

        // Content stays without --drop.
        migrate(&program, &["reset", "--confirm", database(&target), "--no-backup"]).expect(0);
        assert_eq!(testkit::dump!(store)["stories"].len(), 1);
        migrate(&program, &["reset", "--confirm", database(&target), "--drop"]).expect(0);
        let after = testkit::dump!(store);
        assert!(after.get("stories").is_none_or(Vec::is_empty), "{after:?}");
        assert_eq!(after["sections"].len(), 4);
        let listed = json(&program, &["backups"], 0);
        assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1), "{listed}");
        store.close().await;
    }

    async fn index_drift_is_reported_and_diff_writes_its_repair(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        migrate(&program, &["check"]).expect(0);
        let store = open_store(&target).await;
        store.drop_index("stories", "slug_1").await.unwrap();
        store.ensure_index("stories", &Index::on(["slug"]).sparse()).await.unwrap();
        store.ensure_index("projects", &Index::on(["colour"])).await.unwrap();
        let judged = json(&program, &["check"], 6);
        let problems = judged["problems"].as_array().unwrap();
        assert!(problems.iter().all(|problem| problem["kind"] == "index"), "{judged}");
        assert_eq!(problems.len(), 2, "{judged}");

        let sources = program.folder().join("migrations");
        fs::create_dir(&sources).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for name in ["lib.rs", "m0003_seed_initial_sections.rs", "m0004_backfill_section_id.rs"] {
            fs::copy(root.join(name), sources.join(name)).unwrap();
        }
        let written = json(&program, &["diff", "repair the indexes"], 0);
        let text = fs::read_to_string(program.folder().join(written["file"].as_str().unwrap())).unwrap();
        for line in [
            r#"Step::drop_index("drop slug_1 of stories", "stories", "slug_1")"#,
            r#"Step::create_index("create slug_1 of stories", "stories", Index::on(["slug"]).unique())"#,
            r#"Step::drop_index("drop colour_1 of projects", "projects", "colour_1")"#,
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
        drop(server);
        store.close().await;
    }

    async fn migrations_pass_the_test_and_rehearsal_changes_nothing(target: Arc<Target>) {
        let program = Program::on(&target);
        let tested = json(&program, &["test", "0003", "0004", "--crashes", "3"], 0);
        assert_eq!(tested["passed"], true, "{tested}");
        assert_eq!(tested["trials"].as_array().map(Vec::len), Some(4), "{tested}");

        migrate(&program, &["up", "--to", "0001"]).expect(0);
        let store = open_store(&target).await;
        store.collection("stories").insert_one(doc! { "title": "t", "slug": "t" }).await.unwrap();
        let before = (testkit::dump!(store), store.collection_names().await.unwrap());
        let rehearsed = json(&program, &["rehearse"], 0);
        assert_eq!(rehearsed["applied"].as_array().map(Vec::len), Some(3), "{rehearsed}");
        assert_eq!((testkit::dump!(store), store.collection_names().await.unwrap()), before);
        store.close().await;
    }

    async fn rehearsal_reports_a_failure(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        store.ensure_index("sections", &Index::on(["title"]).unique()).await.unwrap();
        let deleted = doc! { "_id": "x1", "title": "About", "slug": "about-us", "is_deleted": true };
        store.collection("sections").insert_one(deleted).await.unwrap();
        let before = testkit::dump!(store);
        let printed = migrate(&program, &["rehearse"]).expect(1);
        assert!(printed.stdout.contains("0003_seed_initial_sections failed") && printed.stdout.contains("title_1"), "{}", printed.stdout);
        assert_eq!(testkit::dump!(store), before);
        store.close().await;
    }

    async fn preflight_reports_obstacles(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["preflight"]).expect(0);
        let nowhere = Program::on(&target).with("BACKUP_DIR", "/dev/null/backups").with("MIGRATE_BACKUP", "always");
        let printed = json(&nowhere, &["preflight"], 8);
        assert!(printed.to_string().contains("/dev/null"), "{printed}");
    }
}
