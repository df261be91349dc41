use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::doc;
use docstore::{Database, Filter};
use migrator::rehearsal::RehearsalRequest;
use migrator::{
    Check, DownTarget, Error, Finding, Graph, GraphError, Meta, Migration, Migrator, Mode, Result, Settings,
    State, Step, Undo, Up, UpMode,
};

use crate::toys::{all, entry, settings};

/// The method in which the migration panics.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Nowhere,
    Up,
    Function,
    Down,
    Check,
    Steps,
}

struct Panicking {
    meta: &'static Meta,
    method: In,
}

fn panicking(mode: Mode, method: In) -> Panicking {
    let meta = Meta::new("0001_panics", "a migration with a bug").mode(mode).touches(&["things"]);
    Panicking { meta: Box::leak(Box::new(meta)), method }
}

#[async_trait]
impl Migration for Panicking {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    fn steps(&self) -> Vec<Step> {
        assert!(self.method != In::Steps, "no steps");
        Vec::new()
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.insert_if_absent("first", "things", &Filter::eq("name", "new"), doc! { "_id": 9, "name": "new" })
            .await?;
        let method = self.method;
        let each = Step::backfill("each", "things", ["name"], move |thing| {
            assert!(
                method != In::Function || thing.get_i32("_id").unwrap() != 2,
                "a document without a price"
            );
            None
        });
        cx.step(each).await?;
        assert!(method != In::Up, "the code is wrong");
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Code
    }

    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        assert!(self.method != In::Down, "the way back is wrong");
        cx.step(Step::delete("back", "things", Filter::eq("name", "new"))).await?;
        Ok(())
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        assert!(self.method != In::Check, "the condition is wrong");
        Ok(Vec::new())
    }
}

fn migrator(db: &Database, mode: Mode, method: In) -> Migrator {
    let graph = Graph::new(vec![Box::new(panicking(mode, method))]).unwrap();
    // A lease that was not released is an error at once.
    let settings = Settings { wait: Duration::ZERO, ..settings() };
    Migrator::new(db.clone(), graph, settings)
}

async fn seed(db: &Database) {
    for id in 1..=3 {
        db.collection("things").insert_one(doc! { "_id": id, "name": "old" }).await.unwrap();
    }
}

/// Checks that the run of a corrected migration needs no wait: no lease and no open transaction is in its way.
async fn corrected(db: &Database, mode: Mode) {
    db.collection("things").insert_one(doc! { "_id": 4, "name": "other" }).await.unwrap();
    let report = migrator(db, mode, In::Nowhere).up(UpMode::Operator).await.unwrap();
    assert_eq!(report.applied.len(), 1);
    assert_eq!(all(db, "things").await.len(), 5);
}

testkit::stores! {
    async fn panic_of_a_migration_is_recorded_as_its_failure(db: Database) {
        seed(&db).await;
        for (method, step, message) in [
            (In::Up, None, "`up` of 0001_panics panicked: the code is wrong"),
            (In::Function, Some("each"), "the function of the step, called with the document 2, panicked: a document without a price"),
            (In::Check, None, "`check` of 0001_panics panicked: the condition is wrong"),
        ] {
            for mode in [Mode::Transaction, Mode::Idempotent, Mode::Batched] {
                let error = migrator(&db, mode, method).up(UpMode::Operator).await.unwrap_err();
                let text = error.to_string();
                assert_eq!(error.exit_code(), 4, "{text}");
                assert!(text.contains(message) && text.contains("field-notes migrate up"), "{text}");
                let entry = entry(&db, "0001_panics").await;
                assert_eq!(entry.get_str("status").unwrap(), "failed");
                assert_eq!(entry.get_str("error").unwrap(), message);
                assert_eq!(entry.get_str("failed_step").ok().or(entry.get_str("step").ok()), step, "{entry}");
                let inserted = if mode == Mode::Transaction { 3 } else { 4 };
                assert_eq!(all(&db, "things").await.len(), inserted, "{mode:?}");
                // A start refuses, as after every failure.
                let refused = migrator(&db, mode, method).up(UpMode::Start).await.unwrap_err();
                assert!(matches!(refused, Error::NeedsRepair { .. }), "{refused}");

                corrected(&db, mode).await;
                migrator(&db, mode, In::Nowhere).down(DownTarget::Last).await.unwrap();
                db.collection("things").delete_one(&Filter::id(4)).await.unwrap();
                assert_eq!(all(&db, "things").await.len(), 3);
            }
        }
    }

    async fn panic_of_a_rollback_is_recorded_as_its_failure(db: Database) {
        seed(&db).await;
        migrator(&db, Mode::Idempotent, In::Down).up(UpMode::Operator).await.unwrap();
        let error = migrator(&db, Mode::Idempotent, In::Down).down(DownTarget::Last).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 4, "{text}");
        assert!(text.contains("`down` of 0001_panics panicked: the way back is wrong"), "{text}");
        let status = migrator(&db, Mode::Idempotent, In::Nowhere).status().await.unwrap();
        assert_eq!(status.failed[0].state, Some(State::RollingBack));
        migrator(&db, Mode::Idempotent, In::Nowhere).down(DownTarget::Last).await.unwrap();
        assert_eq!(all(&db, "things").await.len(), 3);
    }

    async fn panics_are_reported_by_commands_that_only_look(db: Database) {
        seed(&db).await;
        for (method, message) in [
            (In::Up, "the code is wrong"),
            (In::Function, "called with the document 2, panicked: a document without a price"),
        ] {
            let migrator = migrator(&db, Mode::Batched, method);
            let preview = migrator.preview(UpMode::Operator).await.unwrap();
            let would_fail = format!("{preview:?}");
            assert!(would_fail.contains(message), "{would_fail}");
            let rehearsal = migrator.rehearse(&RehearsalRequest::default()).await.unwrap();
            let failure = rehearsal.failure.unwrap();
            assert!(failure.error.contains(message), "{failure:?}");
            assert_eq!(failure.exit_code, 4);
            assert!(migrator.lint().await.is_ok());
            assert_eq!(all(&db, "things").await.len(), 3);
        }
        migrator(&db, Mode::Batched, In::Nowhere).up(UpMode::Operator).await.unwrap();
        let checked = migrator(&db, Mode::Batched, In::Check).conditions().await.unwrap_err();
        assert_eq!(checked.exit_code(), 4);
        assert_eq!(checked.to_string(), "`check` of 0001_panics panicked: the condition is wrong");
    }
}

#[test]
fn panic_of_a_declaration_makes_the_graph_invalid() {
    let error = Graph::new(vec![Box::new(panicking(Mode::Batched, In::Steps))]).unwrap_err();
    assert!(matches!(error, GraphError::Panicked { .. }));
    assert_eq!(error.to_string(), "the declarations of 0001_panics panicked: no steps");
}
