use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::Method;
use chrono::TimeDelta;
use docstore::{Database, Filter};
use field_notes::domain::TrashType::Stories;
use field_notes::service::Trash;
use field_notes::startup;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::stories::story;
use crate::support::App;

/// The number of random histories on each engine.
const CASES: u32 = 12;
/// Few titles, so that they meet. Two of them give one slug, and one gives the suffix of another.
const TITLES: [&str; 5] = ["A", "A!", "B", "A 2", "C"];

#[derive(Debug, Clone)]
enum Op {
    Create { author: bool, title: usize, public: bool },
    Rename { item: usize, title: usize },
    Publish { item: usize, public: bool },
    Delete { item: usize },
    Restore { item: usize },
    Purge,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let item = 0..64_usize;
    let title = 0..TITLES.len();
    let op = prop_oneof![
        4 => (any::<bool>(), title.clone(), prop::bool::weighted(0.7))
            .prop_map(|(author, title, public)| Op::Create { author, title, public }),
        5 => (item.clone(), title).prop_map(|(item, title)| Op::Rename { item, title }),
        3 => (item.clone(), any::<bool>()).prop_map(|(item, public)| Op::Publish { item, public }),
        3 => item.clone().prop_map(|item| Op::Delete { item }),
        3 => item.prop_map(|item| Op::Restore { item }),
        1 => Just(Op::Purge),
    ];
    prop::collection::vec(op, 4..28)
}

#[derive(Debug, Clone)]
struct Item {
    id: String,
    slug: String,
    is_public: bool,
    is_deleted: bool,
}

/// A model of the addresses, kept beside the application: the holders of each slug, the last one last.
#[derive(Debug, Default)]
struct Model {
    items: Vec<Item>,
    holders: BTreeMap<String, Vec<String>>,
    ever_public: BTreeSet<String>,
}

impl Model {
    /// Returns one of the items that are deleted, or not.
    fn pick(&mut self, n: usize, is_deleted: bool) -> Option<&mut Item> {
        let mut items: Vec<_> = self.items.iter_mut().filter(|item| item.is_deleted == is_deleted).collect();
        if items.is_empty() { None } else { Some(items.swap_remove(n % items.len())) }
    }

    /// Records the state of an item after a change.
    fn record(&mut self, id: &str, slug: &str) {
        let item = self.items.iter_mut().find(|item| item.id == id).expect("an item");
        slug.clone_into(&mut item.slug);
        let holders = self.holders.entry(slug.to_owned()).or_default();
        holders.retain(|holder| holder != id);
        holders.push(id.to_owned());
        if item.is_public && !item.is_deleted {
            self.ever_public.insert(slug.to_owned());
        }
    }

    /// Returns the last holder of a slug that is public.
    fn expected(&self, slug: &str) -> Option<&Item> {
        let public =
            |id: &String| self.items.iter().find(|item| item.id == *id && item.is_public && !item.is_deleted);
        self.holders.get(slug)?.iter().rev().find_map(public)
    }
}

/// Applies an operation to the application and to the model.
async fn apply(app: &App, trash: &Trash, model: &mut Model, op: &Op) {
    match op {
        Op::Create { author, title, public } => {
            let who = if *author { "author" } else { "admin" };
            let created = app.create(who, "/stories", &story(TITLES[*title], *public)).await;
            let [id, slug] =
                ["id", "slug"].map(|field| created[field].as_str().expect("a string").to_owned());
            let item = Item { id: id.clone(), slug: slug.clone(), is_public: *public, is_deleted: false };
            model.items.push(item);
            model.record(&id, &slug);
        }
        Op::Rename { item, title } => {
            let Some(item) = model.pick(*item, false) else { return };
            let id = item.id.clone();
            change(app, model, &id, &json!({ "title": TITLES[*title] })).await;
        }
        Op::Publish { item, public } => {
            let Some(item) = model.pick(*item, false) else { return };
            item.is_public = *public;
            let id = item.id.clone();
            change(app, model, &id, &json!({ "is_published": public })).await;
        }
        Op::Delete { item } => {
            let Some(item) = model.pick(*item, false) else { return };
            item.is_deleted = true;
            assert_eq!(app.delete("admin", &format!("/stories/{}", item.id)).await.status, 204);
        }
        Op::Restore { item } => {
            let Some(item) = model.pick(*item, true) else { return };
            item.is_deleted = false;
            let id = item.id.clone();
            let path = format!("/trash/stories/{id}/restore");
            let restored = app.write("admin", Method::POST, &path, &[], "").await.json();
            model.record(&id, restored["slug"].as_str().expect("a slug"));
        }
        Op::Purge => {
            trash.purge_older(Stories, TimeDelta::zero()).await.expect("the trash is purged");
            model.items.retain(|item| !item.is_deleted);
        }
    }
}

async fn change(app: &App, model: &mut Model, id: &str, fields: &Value) {
    let changed = app.put("admin", &format!("/stories/{id}"), fields).await;
    assert_eq!(changed.status, 200);
    model.record(id, changed.json()["slug"].as_str().expect("a slug"));
}

/// Compares every address that any item ever had with the model.
async fn compare(app: &App, model: &Model) -> Result<(), TestCaseError> {
    let unknown = app.quick("/stories/slug/unknown").await.json()["detail"].clone();
    for slug in model.holders.keys() {
        let answer = app.quick(&format!("/stories/slug/{slug}")).await;
        let leads = (answer.status.as_u16(), answer.header("location").to_owned());
        match model.expected(slug) {
            Some(item) if item.slug == *slug => {
                prop_assert_eq!(leads, (200, String::new()), "{}", slug);
                prop_assert_eq!(&answer.json()["id"], &item.id, "{}", slug);
            }
            Some(item) => prop_assert_eq!(leads, (301, format!("/stories/slug/{}", item.slug)), "{}", slug),
            // Whatever is hidden behind it, it is as if there never was anything.
            None => {
                prop_assert_eq!(leads, (404, String::new()), "{}", slug);
                prop_assert_eq!(&answer.json()["detail"], &unknown, "{}", slug);
            }
        }
    }
    Ok(())
}

/// Runs one history on an empty store.
async fn run(db: &Database, app: &App, trash: &Trash, ops: &[Op]) -> Result<usize, TestCaseError> {
    for collection in ["stories", "slug_history"] {
        db.collection(collection).delete_many(&Filter::All).await.expect("a collection is emptied");
    }
    let mut model = Model::default();
    for op in ops {
        apply(app, trash, &mut model, op).await;
        compare(app, &model).await?;
    }
    Ok(model.ever_public.len())
}

testkit::stores! {
    async fn every_address_leads_to_its_last_public_holder(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.unlimited = true).await;
        let trash = startup::services(&app.config, &db, Arc::new(app.clock.clone())).trash;
        let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
        let public = std::cell::Cell::new(0);
        let outcome = tokio::task::block_in_place(|| {
            runner.run(&ops(), |ops| {
                let count = tokio::runtime::Handle::current().block_on(run(&db, &app, &trash, &ops))?;
                public.set(public.get() + count);
                Ok(())
            })
        });
        if let Err(TestError::Fail(reason, ops)) = outcome {
panic!("{reason}\n{ops:#?}");
        }
        outcome.expect("histories are made");
        assert!(public.get() >= 2 * CASES as usize, "too few public addresses: {}", public.get());
    }
}
