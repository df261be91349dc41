use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::Database;
use docstore::bson::doc;
use migrator::rehearsal::{RoundTripReport, RoundTripRequest, Trial, TrialData, TrialOutcome};

use crate::toys::{ToyBehavior, migrator, seed};

fn request() -> RoundTripRequest {
    let stories = (0..3).map(|i| doc! { "title": format!("story {i}") }).collect();
    let collections = BTreeMap::from([("stories".to_owned(), stories)]);
    let seeded = TrialData::Documents { name: "seeded".into(), collections };
    RoundTripRequest {
        only: None,
        data: vec![TrialData::Empty, seeded, TrialData::Sample(10)],
        max_crashes: 100,
    }
}

async fn tried(db: &Database, toys: &[(&'static str, ToyBehavior)]) -> RoundTripReport {
    seed(db).await;
    let before = testkit::dump!(db);
    let round_trip = migrator(db, toys).round_trip(&request()).await.unwrap();
    assert_eq!(testkit::dump!(db), before, "the database itself is only read");
    assert_eq!(db.engine().siblings().await.unwrap().len(), 0, "nothing is left");
    round_trip
}

fn of<'a>(round_trip: &'a RoundTripReport, data: &str) -> &'a Trial {
    round_trip.trials.iter().find(|trial| trial.data == data).unwrap()
}

fn different(outcome: &TrialOutcome) -> &str {
    match outcome {
        TrialOutcome::Different { differences } => &differences[0].what,
        other => panic!("{other:?}"),
    }
}

testkit::stores! {
    async fn sound_migrations_pass_with_a_crash_at_every_place(db: Database) {
        let toys = [("0001_person", ToyBehavior::PersonOfStories), ("0002_fill", ToyBehavior::Fill), ("0003_reported", ToyBehavior::Irreversible), ("0004_decided", ToyBehavior::Decided)];
        let round_trip = tried(&db, &toys).await;
        assert!(round_trip.passed(), "{round_trip:#?}");
        assert_eq!(round_trip.trials.len(), 12);
        for trial in round_trip.trials.iter().filter(|trial| trial.data != "empty") {
            assert_eq!((&trial.up, &trial.idempotent), (&TrialOutcome::Held, &TrialOutcome::Held));
            assert!(trial.counts.iter().map(|c| c.updated).sum::<u64>() > 0, "{trial:?}");
            assert!(trial.crashes_up.places >= 3 && trial.crashes_up.tried == trial.crashes_up.places, "{trial:?}");
            let goes_back = trial.id != "0003_reported";
            assert_eq!(trial.down == TrialOutcome::Held, goes_back);
            assert_eq!(trial.crashes_down.tried > 0, goes_back);
        }
        let json = serde_json::to_value(&round_trip).unwrap();
        assert_eq!(json["trials"][2]["down"], serde_json::json!({ "outcome": "not_tried", "why": "it was sent to everyone" }));
    }

    async fn round_trip_finds_a_nondeterministic_migration(db: Database) {
        let round_trip = tried(&db, &[("0001_counts", ToyBehavior::Counts(Arc::default()))]).await;
        assert!(!round_trip.passed());
        assert!(of(&round_trip, "empty").passed(), "there is nothing to do it to");
        for data in ["seeded", "sample"] {
            let trial = of(&round_trip, data);
            assert!(different(&trial.idempotent).ends_with("is different"), "{trial:?}");
            assert!(matches!(trial.down, TrialOutcome::NotTried { .. }), "{trial:?}");
        }
    }

    async fn round_trip_finds_leftovers_of_a_rollback(db: Database) {
        let round_trip = tried(&db, &[("0001_forgets", ToyBehavior::IncompleteRollback)]).await;
        let trial = of(&round_trip, "sample");
        assert_eq!(trial.idempotent, TrialOutcome::Held);
        match &trial.down {
            TrialOutcome::Different { differences } => {
                // Ten of forty documents; five are named.
                assert_eq!(differences.len(), 6);
                assert_eq!(differences[5].what, "and 5 more documents");
                assert!(differences.iter().all(|difference| difference.collection == "stories"));
            }
            other => panic!("{other:?}"),
        }
        assert!(!trial.passed());
    }

    async fn failure_is_reported_and_dependents_are_skipped(db: Database) {
        let round_trip = tried(&db, &[("0001_fails", ToyBehavior::Fails), ("0002_fill", ToyBehavior::Fill)]).await;
        let [first, second] = &round_trip.trials[..2] else { panic!("{round_trip:?}") };
        assert!(matches!(&first.up, TrialOutcome::Failed { error } if error.contains("fails on purpose")), "{first:?}");
        assert!(matches!(&second.up, TrialOutcome::Failed { error } if error.starts_with("0001_fails, which it depends on")), "{second:?}");
        assert!(!first.passed() && !second.passed());
    }

    async fn round_trip_runs_only_named_migrations(db: Database) {
        let toys = [("0001_person", ToyBehavior::PersonOfStories), ("0002_fill", ToyBehavior::Fill)];
        let one = RoundTripRequest { only: Some(vec!["0002".into()]), data: vec![TrialData::Sample(5)], max_crashes: 2 };
        seed(&db).await;
        let round_trip = migrator(&db, &toys).round_trip(&one).await.unwrap();
        assert_eq!(round_trip.trials.len(), 1);
        let trial = &round_trip.trials[0];
        assert!(trial.passed() && trial.id == "0002_fill" && trial.crashes_up.tried == 2, "{trial:?}");
        assert!(trial.crashes_up.places > 2);
        let unknown = RoundTripRequest { only: Some(vec!["0009".into()]), ..one };
        assert!(migrator(&db, &toys).round_trip(&unknown).await.is_err());
    }
}
