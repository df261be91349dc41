use std::collections::BTreeSet;

use chrono::TimeDelta;
use docstore::{Database, Filter};
use serde_json::{Value, json};

use super::{KINDS, Way, good, ways};
use crate::support::{Answer, App};

const MANY: usize = 50;

/// The rate limit of a type of writes, if it is lower than [`MANY`].
fn allowed(kind: &str) -> usize {
    if matches!(kind, "sections" | "navlinks") { 10 } else { MANY }
}

fn with_status(answers: &[Answer], status: u16) -> Vec<&Answer> {
    answers.iter().filter(|answer| answer.status == status).collect()
}

testkit::stores! {
    async fn t32_fifty_of_one_title_are_all_made(db: Database) {
        let app = App::on(&db).await;
        for kind in KINDS.into_iter().filter(|kind| *kind != "pages") {
            let before = db.collection(kind).count(&Filter::All).await.unwrap();
            let (body, title) = good(kind);
            let requests = (0..MANY).map(|_| {
                let (app, body) = (app.clone(), body.clone());
                async move { app.post("author", &format!("/{kind}"), &body).await }
            });
            let answers = app.at_once(requests).await;
            let created = with_status(&answers, 201);
            assert_eq!((created.len(), with_status(&answers, 429).len()), (allowed(kind), MANY - allowed(kind)), "{kind}");
            assert!(created.iter().all(|answer| answer.json()[title] == "A"), "{kind}");
            let ids: BTreeSet<_> = created.iter().map(|answer| answer.json()["id"].to_string()).collect();
            assert_eq!(ids.len(), created.len(), "{kind}");
            if kind != "navlinks" {
                // Without a gap: the first, and then each suffix once.
                let slugs: BTreeSet<_> = created.iter().map(|answer| answer.json()["slug"].as_str().unwrap().to_owned()).collect();
                let expected = (1..=created.len()).map(|n| if n == 1 { "a".to_owned() } else { format!("a-{n}") });
                assert_eq!(slugs, expected.collect(), "{kind}");
            }
            let after = db.collection(kind).count(&Filter::All).await.unwrap();
            assert_eq!(after - before, created.len() as u64, "{kind}");
        }
    }

    async fn t32_of_fifty_changes_of_one_state_one_is_made(db: Database) {
        let app = App::on(&db).await;
        for way in ways(&app).await.into_iter().filter(Way::changes) {
            let kind = way.path.split('/').nth(1).unwrap();
            app.clock.advance(TimeDelta::minutes(1));
            let held = app.get_as("admin", &way.path).await;
            let tag = held.header("etag").to_owned();
            let requests = (0..MANY).map(|n| {
                let (app, path, tag) = (app.clone(), way.path.clone(), tag.clone());
                let body = way.with(way.title, json!(format!("Turn {n}")));
                async move { app.put_if("admin", &path, &tag, &body).await }
            });
            let answers = app.at_once(requests).await;
            let created = with_status(&answers, 200);
            assert_eq!(created.len(), 1, "{kind}");
            let stale = with_status(&answers, 412);
            assert_eq!((stale.len(), with_status(&answers, 429).len()), (allowed(kind) - 1, MANY - allowed(kind)), "{kind}");
            let now = app.get_as("admin", &way.path).await;
            assert_eq!((now.json(), now.header("etag")), (created[0].json(), created[0].header("etag")), "{kind}");
            // Each of the others receives the current version.
            for answer in stale {
                let detail: Value = answer.json()["detail"].clone();
                assert!(detail.as_str().unwrap().contains(now.header("etag")), "{kind}: {detail}");
                assert_eq!(answer.header("etag"), now.header("etag"), "{kind}");
            }
        }
    }
}
