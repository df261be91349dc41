//! Each of the four on scratch databases: applied twice, taken back, applied anew, and with crashes at places between
//! two writes, on the way up and on the way down.

use docstore::bson::{Document, doc};
use docstore::{Database, EngineKind};
use migrator::rehearsal::{RehearsalRequest, RoundTripReport, RoundTripRequest, TrialData, TrialOutcome};

use crate::fixtures::{migrator, put, site, up};

/// On the server a place takes a while; the kill test goes through all of them there.
async fn tried(db: &Database, data: TrialData) -> RoundTripReport {
    let max_crashes = if db.kind() == EngineKind::Embedded { 100 } else { 4 };
    let request = RoundTripRequest { only: None, data: vec![data], max_crashes };
    let before = testkit::dump!(db);
    let round_trip = migrator(db).round_trip(&request).await.unwrap();
    assert!(round_trip.passed(), "{round_trip:#?}");
    assert_eq!(testkit::dump!(db), before, "the database itself is only read");
    assert_eq!(round_trip.trials.len(), 4);
    for trial in &round_trip.trials {
        let outcomes = [&trial.up, &trial.idempotent, &trial.down, &trial.reapply];
        assert!(outcomes.into_iter().all(|outcome| *outcome == TrialOutcome::Held), "{trial:?}");
        assert!(trial.crashes_up.tried > 0 && trial.crashes_down.tried > 0, "{trial:?}");
    }
    round_trip
}

fn updated(round_trip: &RoundTripReport) -> u64 {
    round_trip.trials.iter().flat_map(|trial| &trial.counts).map(|counts| counts.updated).sum()
}

testkit::stores! {
    async fn they_hold_on_nothing(db: Database) {
        let round_trip = tried(&db, TrialData::Empty).await;
        assert_eq!(updated(&round_trip), 0);
    }

    async fn they_hold_on_a_site(db: Database) {
        site(&db).await;
        let round_trip = tried(&db, TrialData::Sample(40)).await;
        assert!(updated(&round_trip) > 50, "{round_trip:#?}");
    }

    async fn they_hold_where_all_is_done_already(db: Database) {
        site(&db).await;
        up(&db).await;
        let round_trip = tried(&db, TrialData::Sample(40)).await;
        assert_eq!(updated(&round_trip), 0, "{round_trip:#?}");
    }

    async fn they_hold_where_what_they_need_is_missing(db: Database) {
        let deleted = |slug: &str| doc! { "_id": slug, "slug": slug, "is_deleted": true, "deleted": true };
        put(&db, "sections", vec![deleted("blog"), deleted("projects")]).await;
        let content = |n: i32| -> Document { doc! { "_id": n, "title": "t" } };
        put(&db, "stories", (0..5).map(content).collect()).await;
        put(&db, "projects", (0..5).map(content).collect()).await;
        put(&db, "pages", vec![doc! { "_id": 1, "page_type": "imprint" }]).await;
        tried(&db, TrialData::Sample(40)).await;
    }

    async fn a_rehearsal_tells_what_the_real_run_will_do(db: Database) {
        site(&db).await;
        let rehearsal = migrator(&db).rehearse(&RehearsalRequest::default()).await.unwrap();
        assert!(rehearsal.failure.is_none(), "{rehearsal:#?}");
        let told: Vec<_> = rehearsal.applied.iter().map(|applied| (&applied.id, &applied.counts, &applied.warnings)).collect();
        let report = up(&db).await;
        let done: Vec<_> = report.applied.iter().map(|applied| (&applied.id, &applied.counts, &applied.warnings)).collect();
        assert_eq!(told, done);
    }
}
