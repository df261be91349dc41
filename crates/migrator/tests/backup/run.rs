use std::sync::atomic::Ordering;

use docstore::bson::doc;
use docstore::{Database, Filter, Find};
use migrator::backup::{RestoreRequest, list};
use migrator::{DownTarget, Error, State, UpMode};

use crate::site::REPLACE;
use crate::toys::{migrator, risky, seed, toy};

/// All but the engine's own.
async fn content(db: &Database) -> Vec<(String, Vec<docstore::bson::Document>)> {
    testkit::dump!(db)
        .into_iter()
        .filter(|(name, all)| !name.starts_with("_migration") && !all.is_empty())
        .collect()
}

testkit::stores! {
    async fn risky_migration_is_backed_up_and_rolled_back_from_the_backup(db: Database) {
        seed(&db).await;
        let before = content(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let migrator = migrator(&db, &[risky("0001_a", &[])], Some(dir.path()));
        let plan = migrator.plan_up(UpMode::Operator).await.unwrap();
        assert_eq!(plan.actions[0].backup, Some("it removes what older programs may need"));
        assert_eq!(list(dir.path()).unwrap().backups.len(), 0, "a plan takes none");
        let report = migrator.up(UpMode::Start).await.unwrap();
        let taken = &list(dir.path()).unwrap().backups[0];
        assert_eq!(report.applied[0].backup.as_ref(), Some(&taken.id));
        assert_eq!(taken.run_id.as_deref(), Some(migrator.run_id()));
        assert_ne!(content(&db).await, before);
        // It cannot be rolled back, but it can be restored.
        assert!(matches!(migrator.down(DownTarget::Last).await, Err(Error::Irreversible { .. })));
        let refused = migrator.restore(dir.path(), &taken.id, &RestoreRequest::default()).await.unwrap_err();
        assert!(matches!(refused, Error::NotEmpty { .. }) && refused.exit_code() == 8, "{refused:?}");
        let restored = migrator.restore(dir.path(), &taken.id[..20], &REPLACE).await.unwrap();
        assert_eq!(restored.rolled_back.as_deref(), Some("0001_a"));
        assert_eq!((restored.dropped.as_slice(), restored.applied_since.len()), (["made".to_owned()].as_slice(), 0));
        assert_eq!(content(&db).await, before);
        let status = migrator.status().await.unwrap();
        assert_eq!(status.pending[0].state, Some(State::RolledBack));
        let log = db.collection("_migration_log").find_one(Find::new(Filter::eq("event", "stamped"))).await.unwrap().unwrap();
        assert!(log.get_str("reason").unwrap().contains(&taken.id));
        // And up again, with a backup of its own.
        let again = migrator.up(UpMode::Start).await.unwrap();
        assert!(again.applied[0].backup.is_some() && again.applied[0].backup.as_ref() != Some(&taken.id));
    }

    async fn resumed_run_keeps_its_first_backup(db: Database) {
        seed(&db).await;
        let before = content(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let toy = risky("0001_a", &[]);
        toy.fails.store(true, Ordering::SeqCst);
        let migrator = migrator(&db, std::slice::from_ref(&toy), Some(dir.path()));
        migrator.up(UpMode::Operator).await.unwrap_err();
        let first = list(dir.path()).unwrap().backups[0].id.clone();
        migrator.up(UpMode::Operator).await.unwrap_err();
        toy.fails.store(false, Ordering::SeqCst);
        let report = migrator.up(UpMode::Operator).await.unwrap();
        assert_eq!(report.applied[0].backup.as_ref(), Some(&first));
        assert_eq!(list(dir.path()).unwrap().backups.len(), 1);
        migrator.restore(dir.path(), &first, &REPLACE).await.unwrap();
        assert_eq!(content(&db).await, before);
    }

    async fn failed_migration_is_rolled_back_from_its_backup(db: Database) {
        seed(&db).await;
        let before = content(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let toy = risky("0001_a", &[]);
        toy.fails.store(true, Ordering::SeqCst);
        let migrator = migrator(&db, &[toy], Some(dir.path()));
        migrator.up(UpMode::Operator).await.unwrap_err();
        let id = list(dir.path()).unwrap().backups[0].id.clone();
        let restored = migrator.restore(dir.path(), &id, &REPLACE).await.unwrap();
        assert_eq!(restored.rolled_back.as_deref(), Some("0001_a"));
        assert_eq!(content(&db).await, before);
        assert_eq!(migrator.status().await.unwrap().pending[0].state, Some(State::RolledBack));
    }

    async fn restore_reports_later_migrations_and_is_refused_with_dependents(db: Database) {
        seed(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let chain = [risky("0001_a", &[]), toy("0002_b", &["0001_a"])];
        let chained = migrator(&db, &chain, Some(dir.path()));
        chained.up(UpMode::Operator).await.unwrap();
        let id = list(dir.path()).unwrap().backups[0].id.clone();
        let after = content(&db).await;
        let error = chained.restore(dir.path(), &id, &REPLACE).await.unwrap_err();
        assert!(matches!(&error, Error::RequiredByApplied { dependents, .. } if dependents == &["0002_b"]), "{error:?}");
        assert_eq!(content(&db).await, after);
        // A part of it says nothing of the migration.
        let part = RestoreRequest { replace: true, only: Some(vec!["notes".into()]) };
        let restored = chained.restore(dir.path(), &id, &part).await.unwrap();
        assert_eq!((restored.rolled_back, restored.applied_since), (None, vec!["0002_b".to_owned()]));
        assert_eq!(chained.status().await.unwrap().applied.len(), 2);
    }

    async fn migration_without_space_for_its_backup_does_not_run(db: Database) {
        seed(&db).await;
        let big = doc! { "_id": "big", "by": "hand", "text": "x".repeat(1 << 21) };
        db.collection("notes").insert_one(big).await.unwrap();
        let before = content(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let migrator = migrator(&db, &[risky("0001_a", &[])], Some(dir.path()));
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert!(matches!(error, Error::BackupTooLarge { .. }), "{error:?}");
        assert_eq!(content(&db).await, before);
        assert_eq!(migrator.status().await.unwrap().pending[0].state, None, "it has not begun");
    }

    async fn backups_of_applied_migrations_are_kept(db: Database) {
        seed(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let three = [risky("0001_a", &[]), risky("0002_b", &["0001_a"]), risky("0003_c", &["0002_b"])];
        let migrator = migrator(&db, &three, Some(dir.path()));
        let report = migrator.up(UpMode::Operator).await.unwrap();
        let mut named: Vec<_> = report.applied.iter().filter_map(|applied| applied.backup.clone()).collect();
        named.reverse();
        let kept: Vec<_> = list(dir.path()).unwrap().backups.into_iter().map(|backup| backup.id).collect();
        assert_eq!(kept, named, "although one is to be kept");
    }
}
