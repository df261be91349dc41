use std::collections::BTreeSet;

use async_trait::async_trait;
use docstore::Database;
use docstore::bson::{DateTime, doc};
use migrator::backup::{
    BackupContext, BackupPolicy, BackupSettings, backup_reason, before_migration, list, prune, take,
};
use migrator::{Check, Finding, Meta, Migration, Phase, Result, Undo, Up};

use crate::site::{build, request};

/// A migration that says of itself what a test wants.
struct Toy(Meta, Undo);

#[async_trait]
impl Migration for Toy {
    fn meta(&self) -> &'static Meta {
        Box::leak(Box::new(self.0))
    }
    async fn up(&self, _: &mut Up<'_>) -> Result<()> {
        Ok(())
    }
    fn undo(&self) -> Undo {
        self.1
    }
    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

const PLAIN: Meta = Meta::new("0001_a", "a toy");

#[test]
fn migration_without_exact_rollback_is_risky() {
    let why = |meta: Meta, undo| backup_reason(BackupPolicy::Risky, &Toy(meta, undo));
    assert_eq!(why(PLAIN, Undo::Journal), None);
    assert!(why(PLAIN.phase(Phase::Contract), Undo::Journal).is_some());
    assert!(why(PLAIN.without_journal(), Undo::Journal).is_some());
    assert!(why(PLAIN, Undo::Irreversible("sent")).is_some());
    assert!(backup_reason(BackupPolicy::Always, &Toy(PLAIN, Undo::Journal)).is_some());
    assert_eq!(
        backup_reason(BackupPolicy::Never, &Toy(PLAIN.phase(Phase::Contract), Undo::Irreversible("sent"))),
        None
    );
}

testkit::stores! {
    async fn risky_migration_is_preceded_by_a_backup(db: Database) {
        build(&db).await;
        db.collection("_migrations").insert_one(doc! { "_id": "0000_x" }).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let settings = BackupSettings { dir: dir.path().into(), policy: BackupPolicy::Risky, cap_bytes: None, keep: 2 };
        let at = |second: i64, referenced: &[String]| BackupContext {
            run_id: "run",
            app_version: "1.2.3",
            now: DateTime::from_millis(1_700_000_000_000 + second * 1000),
            referenced: referenced.iter().cloned().collect(),
        };
        let plain = Toy(PLAIN, Undo::Journal);
        assert_eq!(before_migration(&db, &settings, &plain, at(0, &[])).await.unwrap(), None);
        let risky = Toy(PLAIN.phase(Phase::Contract).touches(&["notes.old", "new"]), Undo::Journal);
        let first = before_migration(&db, &settings, &risky, at(1, &[])).await.unwrap().unwrap();
        assert_eq!((first.collections.len(), first.absent.as_slice()), (1, ["new".to_owned()].as_slice()));
        assert_eq!((first.run_id.as_deref(), first.migration.as_deref()), (Some("run"), Some("0001_a")));
        assert!(first.why.starts_with("before 0001_a: it removes"), "{}", first.why);
        // One that does not say what it touches: all but what is the engine's.
        let silent = Toy(PLAIN.without_journal(), Undo::Journal);
        let names = |manifest: migrator::backup::Manifest| manifest.collections.into_iter().map(|kept| kept.name).collect::<Vec<_>>();
        let second = before_migration(&db, &settings, &silent, at(2, &[])).await.unwrap().unwrap();
        assert_eq!(names(second), ["empty", "notes.old", "stories"]);
        // The newest two stay, and what the ledger names.
        before_migration(&db, &settings, &risky, at(3, std::slice::from_ref(&first.id))).await.unwrap().unwrap();
        before_migration(&db, &settings, &risky, at(4, std::slice::from_ref(&first.id))).await.unwrap().unwrap();
        let kept: Vec<_> = list(dir.path()).unwrap().backups.into_iter().map(|m| m.taken_at).collect();
        assert_eq!(kept, ["2023-11-14T22:13:24Z", "2023-11-14T22:13:23Z", "2023-11-14T22:13:21Z"]);
        // The one just taken stays whatever is said.
        let none = BackupSettings { keep: 0, ..settings };
        before_migration(&db, &none, &risky, at(5, &[])).await.unwrap().unwrap();
        assert_eq!(list(dir.path()).unwrap().backups.len(), 1);
    }

    async fn pruning_leaves_what_cannot_be_read(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        std::fs::write(dir.path().join(&id).join("manifest.json"), "{").unwrap();
        let other = take(&db, dir.path(), &request()).await.unwrap().id;
        assert_eq!(prune(dir.path(), 0, &BTreeSet::new()).unwrap(), [other]);
        assert_eq!(list(dir.path()).unwrap().broken[0].id, id);
    }
}
