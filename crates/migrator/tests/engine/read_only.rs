use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use docstore::Database;
use migrator::{DownTarget, Error, Migrator, Settings, State, UpMode};

use crate::counting::Counting;
use crate::toys::{Action, Meeting, graph, migrator, settings, toy};

testkit::stores! {
    async fn read_only_commands_write_nothing(db: Database) {
        let toys = [toy("0001_a", &[], vec![Action::Insert("things", "a")])];
        let (counted, counts) = Counting::around(&db);
        let importing = Settings { import_from: Some("earlier".into()), wait: Duration::ZERO, ..settings() };
        let looking = Migrator::new(counted, graph(&toys), importing);
        for _ in 0..2 {
            looking.status().await.unwrap();
            let _ = looking.verify().await;
            let _ = looking.wait().await;
            looking.plan_down(DownTarget::Last).await.unwrap();
            assert_eq!(counts.writes(), 0);
            assert!(counts.reads() > 0);
            migrator(&db, &toys).up(UpMode::Start).await.unwrap();
        }
    }

    async fn verify_and_wait_report_pending_migrations(db: Database) {
        let toys = [toy("0001_a", &[], vec![]), toy("0002_b", &["0001_a"], vec![])];
        let impatient = Settings { wait: Duration::ZERO, ..settings() };
        let looking = Migrator::new(db.clone(), graph(&toys), impatient);
        for error in [looking.verify().await.unwrap_err(), looking.wait().await.unwrap_err()] {
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains("0001_a, 0002_b"), "{error}");
        }
        migrator(&db, &toys).up(UpMode::Start).await.unwrap();
        looking.verify().await.unwrap();
        looking.wait().await.unwrap();
    }

    async fn wait_returns_when_another_runner_has_finished(db: Database) {
        let meeting = Arc::new(Meeting::default());
        let toys = [toy("0001_a", &[], vec![Action::Meet(Arc::clone(&meeting))])];
        let leader = migrator(&db, &toys);
        let follower = migrator(&db, &toys);
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        let status = follower.status().await.unwrap();
        assert_eq!((status.pending[0].state, status.pending[0].live), (Some(State::Running), true));
        let waiting = tokio::spawn(async move { follower.wait().await });
        meeting.go.notify_one();
        run.await.unwrap().unwrap();
        waiting.await.unwrap().unwrap();
    }

    async fn wait_ends_when_a_migration_fails(db: Database) {
        let toys = [toy("0001_a", &[], vec![Action::Fail(Arc::new(AtomicBool::new(true)))])];
        migrator(&db, &toys).up(UpMode::Start).await.unwrap_err();
        let error = migrator(&db, &toys).wait().await.unwrap_err();
        assert!(matches!(error, Error::NeedsRepair { .. }), "{error}");
        assert_eq!(migrator(&db, &toys).verify().await.unwrap_err().exit_code(), 4);
    }
}
