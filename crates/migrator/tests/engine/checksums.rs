use docstore::bson::Bson;
use docstore::{Database, Filter, Update};
use migrator::{Error, Meta, Step, Undo, UpMode, checksum};

use crate::declared::{Declared, declared, migrator};
use crate::toys::{all, entry};

fn up(one: &Declared) -> Option<String> {
    checksum::compute(one).up
}

fn red() -> Declared {
    declared("0001_a", vec![Step::add_field("add", "things", "color", "red")])
}

#[test]
fn the_same_steps_have_the_same_checksum_whatever_is_said_of_them() {
    let sum = up(&red()).unwrap();
    assert!(sum.starts_with("v1:") && sum.len() == 67, "{sum}");
    assert_eq!(up(&red().meta(Meta::breaks_older)), Some(sum.clone()));
    let other = |step| up(&declared("0001_a", vec![step]));
    assert_eq!(other(Step::add_field("add", "things", "color", "red")), Some(sum.clone()));
    for step in [
        Step::add_field("add", "things", "color", "blue"),
        Step::set_field("add", "things", "color", "red"),
        Step::add_field("add", "others", "color", "red"),
        Step::add_field("more", "things", "color", "red"),
        Step::add_field("add", "things", "color", "red").only(Filter::eq("a", 1)),
    ] {
        let reported = step.to_string();
        assert_ne!(other(step), Some(sum.clone()), "{reported}");
    }
    let number = |value: Bson| other(Step::add_field("add", "things", "n", value));
    assert_ne!(number(Bson::Int32(1)), number(Bson::Int64(1)));
}

#[test]
fn up_and_down_have_checksums_of_their_own() {
    let journal = checksum::compute(&red());
    let never = checksum::compute(&red().undo(Undo::Irreversible("gone")));
    assert_eq!(journal.up, never.up);
    assert_ne!(journal.down, never.down);
    assert_eq!(checksum::compute(&red().undo(Undo::Irreversible("gone for ever"))), never);
}

#[test]
fn function_of_a_step_is_checksummed_by_its_source() {
    let step = || vec![Step::backfill("b", "things", ["a"], |_| None)];
    let with = |source| up(&declared("0001_a", step()).source(source));
    let one = with(
        "impl Migration for It { fn steps(&self) -> Vec<Step> { vec![Step::backfill(a, |d| f(d))] } } fn f() { 1 }",
    );
    let same = with(
        "// said\nfn f() {\n    1\n}\nimpl Migration for It {\n    /// Said.\n    fn steps(&self) -> Vec<Step> {\n        vec![Step::backfill(a, |d| f(d),)]\n    }\n}",
    );
    let other = with(
        "impl Migration for It { fn steps(&self) -> Vec<Step> { vec![Step::backfill(a, |d| f(d))] } } fn f() { 2 }",
    );
    assert_eq!(one, same);
    assert_ne!(one, other);
    // A migration with declared steps has no checksum of its source.
    assert_eq!(up(&red().source("struct Changed;")), up(&red()));
}

testkit::stores! {
    async fn checksum_drift_is_reported(db: Database) {
        migrator(&db, &[red()]).up(UpMode::Start).await.unwrap();
        let kept = entry(&db, "0001_a").await;
        assert_eq!(Some(kept.get_str("checksum_up").unwrap().to_owned()), up(&red()));
        assert!(migrator(&db, &[red()]).checksum_drift().await.unwrap().is_empty());

        let blue = declared("0001_a", vec![Step::add_field("add", "things", "color", "blue")]);
        let drift = migrator(&db, std::slice::from_ref(&blue)).checksum_drift().await.unwrap();
        assert_eq!(drift.len(), 1);
        assert_eq!((drift[0].id.as_str(), drift[0].up, drift[0].down), ("0001_a", true, false));
        assert_eq!(drift[0].to_string(), "0001_a: up has changed since the migration was applied");
        let down = migrator(&db, &[red().undo(Undo::Irreversible("no"))]).checksum_drift().await.unwrap();
        assert_eq!((down[0].up, down[0].down), (false, true));

        // Checksums by another rule, or none at all, cannot be compared.
        let ledger = db.collection("_migrations");
        ledger.update_one(&Filter::id("0001_a"), &Update::new().set("checksum_up", "v0:ff")).await.unwrap();
        assert!(migrator(&db, std::slice::from_ref(&blue)).checksum_drift().await.unwrap().is_empty());
        ledger.update_one(&Filter::id("0001_a"), &Update::new().unset("checksum_up")).await.unwrap();
        assert!(migrator(&db, &[blue]).checksum_drift().await.unwrap().is_empty());
    }

    async fn former_checksum_is_not_drift(db: Database) {
        migrator(&db, &[red()]).up(UpMode::Start).await.unwrap();
        let sums: &'static [&'static str] = Vec::leak(vec![&*up(&red()).unwrap().leak()]);
        let steps = || vec![Step::add_field("add", "things", "color", "blue")];
        let listed = declared("0001_a", steps()).meta(|meta| meta.former_checksums(sums));
        assert_eq!(migrator(&db, &[listed]).checksum_drift().await.unwrap(), []);
        let other = declared("0001_a", steps()).meta(|meta| meta.former_checksums(&["v1:00"]));
        assert_eq!(migrator(&db, &[other]).checksum_drift().await.unwrap().len(), 1);
    }

    async fn checksum_change_is_accepted_with_a_reason(db: Database) {
        migrator(&db, &[red()]).up(UpMode::Start).await.unwrap();
        let blue = migrator(&db, &[declared("0001_a", vec![Step::add_field("add", "things", "color", "blue")])]);
        assert!(matches!(blue.accept_checksum("0001", " ").await.unwrap_err(), Error::ReasonRequired));
        let accepted = blue.accept_checksum("0001", "blue was never read").await.unwrap();
        assert_eq!((accepted.id.as_str(), accepted.up), ("0001_a", true));
        assert!(blue.checksum_drift().await.unwrap().is_empty());
        let error = blue.accept_checksum("0001", "again").await.unwrap_err();
        assert!(matches!(error, Error::WrongState { .. }), "{error}");
        let records = all(&db, "_migration_log").await;
        let record = records.iter().find(|record| record.get_str("event").is_ok_and(|event| event == "checksum_accepted")).unwrap();
        assert_eq!(record.get_str("reason").unwrap(), "blue was never read");
        assert_eq!(Some(record.get_str("from_up").unwrap().to_owned()), up(&red()));
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "applied");
        // What it is for the program of before is a change now.
        assert_eq!(migrator(&db, &[red()]).checksum_drift().await.unwrap().len(), 1);
    }
}
