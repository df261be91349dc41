//! Each of the four on scratch databases: applied twice, rolled back, applied again, and with crashes between two writes,
//! in both directions.

use docstore::bson::{Document, doc};
use docstore::{Database, EngineKind};
use migrator::rehearsal::{RehearsalRequest, RoundTripReport, RoundTripRequest, TrialData, TrialOutcome};

use crate::fixtures::{insert, migrator, seed_site, up};

/// Runs a round trip that must pass and returns its report. On MongoDB each crash is slow, so only a few are tried; the
/// kill tests cover every boundary there.
async fn passed_round_trip(db: &Database, data: TrialData) -> RoundTripReport {
    let max_crashes = if db.kind() == EngineKind::Embedded { 100 } else { 4 };
    let request = RoundTripRequest { only: None, data: vec![data], max_crashes };
    let before = testkit::dump!(db);
    let round_trip = migrator(db).round_trip(&request).await.unwrap();
    assert!(round_trip.passed(), "{round_trip:#?}");
    assert_eq!(testkit::dump!(db), before, "a round trip must not change the database");
    assert_eq!(round_trip.trials.len(), 4);
    for trial in &round_trip.trials {
        let outcomes = [&trial.up, &trial.idempotent, &trial.down, &trial.reapply];
        assert!(outcomes.into_iter().all(|outcome| *outcome == TrialOutcome::Held), "{trial:?}");
        assert!(trial.crashes_up.tried > 0 && trial.crashes_down.tried > 0, "{trial:?}");
    }
    round_trip
}

fn updated_documents(round_trip: &RoundTripReport) -> u64 {
    round_trip.trials.iter().flat_map(|trial| &trial.counts).map(|counts| counts.updated).sum()
}

testkit::stores! {
    async fn round_trip_passes_on_empty_database(db: Database) {
        let round_trip = passed_round_trip(&db, TrialData::Empty).await;
        assert_eq!(updated_documents(&round_trip), 0);
    }

    async fn round_trip_passes_on_site(db: Database) {
        seed_site(&db).await;
        let round_trip = passed_round_trip(&db, TrialData::Sample(40)).await;
        assert!(updated_documents(&round_trip) > 50, "{round_trip:#?}");
    }

    async fn round_trip_passes_on_migrated_site(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        let round_trip = passed_round_trip(&db, TrialData::Sample(40)).await;
        assert_eq!(updated_documents(&round_trip), 0, "{round_trip:#?}");
    }

    async fn round_trip_passes_with_missing_sections(db: Database) {
        let deleted = |slug: &str| doc! { "_id": slug, "slug": slug, "is_deleted": true, "deleted": true };
        insert(&db, "sections", vec![deleted("blog"), deleted("projects")]).await;
        let content = |n: i32| -> Document { doc! { "_id": n, "title": "t" } };
        insert(&db, "stories", (0..5).map(content).collect()).await;
        insert(&db, "projects", (0..5).map(content).collect()).await;
        insert(&db, "pages", vec![doc! { "_id": 1, "page_type": "imprint" }]).await;
        passed_round_trip(&db, TrialData::Sample(40)).await;
    }

    async fn rehearsal_matches_real_run(db: Database) {
        seed_site(&db).await;
        let rehearsal = migrator(&db).rehearse(&RehearsalRequest::default()).await.unwrap();
        assert!(rehearsal.failure.is_none(), "{rehearsal:#?}");
        let rehearsed: Vec<_> = rehearsal.applied.iter().map(|applied| (&applied.id, &applied.counts, &applied.warnings)).collect();
        let report = up(&db).await;
        let applied: Vec<_> = report.applied.iter().map(|applied| (&applied.id, &applied.counts, &applied.warnings)).collect();
        assert_eq!(rehearsed, applied);
    }
}
