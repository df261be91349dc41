use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, DateTime, doc};
use docstore::{Database, Filter, Find, Index};
use migrator::{
    Check, Error, Finding, Graph, Meta, Migration, Migrator, Mode, Recovery, Result, Settings, Step, Undo, Up,
};

/// The behavior of a toy, and its defect.
#[derive(Clone)]
pub(crate) enum ToyBehavior {
    /// Inserts a person, and has every story name the person by id, as a text.
    PersonOfStories,
    /// Sets a field where it is missing.
    Fill,
    /// As `Fill`, and cannot be rolled back.
    Irreversible,
    /// As `Fill`, and wants a decision after an interruption.
    Decided,
    /// Sets another value each time.
    Counts(Arc<AtomicI32>),
    /// Fails.
    Fails,
    /// Makes a unique index.
    Unique(&'static str),
    /// Its rollback is code that misses something.
    IncompleteRollback,
    /// Has a finding.
    Finds,
}

pub(crate) struct Toy(&'static Meta, ToyBehavior);

#[async_trait]
impl Migration for Toy {
    fn meta(&self) -> &'static Meta {
        self.0
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        match &self.1 {
            ToyBehavior::PersonOfStories => {
                let key = Filter::eq("email", "a@example.com");
                cx.insert_if_absent(
                    "person",
                    "people",
                    &key,
                    doc! { "email": "a@example.com", "at": cx.now() },
                )
                .await?;
                let person = cx.find_one("people", Find::new(key)).await?.unwrap_or_default();
                let id =
                    person.get("_id").and_then(Bson::as_object_id).unwrap_or(ObjectId::from_bytes([0; 12]));
                cx.set_where_missing("stories", "stories", &Filter::All, "person", id.to_hex()).await?;
            }
            ToyBehavior::Fill | ToyBehavior::IncompleteRollback | ToyBehavior::Finds => {
                cx.set_where_missing("fill", "stories", &Filter::All, "color", "red").await?;
            }
            ToyBehavior::Irreversible => {
                cx.set_where_missing("mark", "stories", &Filter::All, "marked", true).await?;
            }
            ToyBehavior::Decided => {
                cx.set_where_missing("decide", "stories", &Filter::All, "decided", true).await?;
            }
            ToyBehavior::Counts(counter) => {
                let value = counter.fetch_add(1, Ordering::SeqCst);
                cx.set("count", "stories", &Filter::All, "count", value).await?;
            }
            ToyBehavior::Fails => {
                cx.set_where_missing("fill", "stories", &Filter::All, "color", "red").await?;
                return Err(Error::migration("fails on purpose"));
            }
            ToyBehavior::Unique(field) => {
                cx.step(Step::create_index("unique", "stories", Index::on([*field]).unique())).await?;
            }
        }
        Ok(())
    }

    fn undo(&self) -> Undo {
        match self.1 {
            ToyBehavior::Irreversible => Undo::Irreversible("it was sent to everyone"),
            ToyBehavior::IncompleteRollback => Undo::Code,
            _ => Undo::Journal,
        }
    }

    async fn down(&self, _: &mut Up<'_>) -> Result<()> {
        Ok(())
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(if matches!(self.1, ToyBehavior::Finds) {
            vec![Finding::new("something is odd")]
        } else {
            Vec::new()
        })
    }
}

/// One after the other.
pub(crate) fn migrator(db: &Database, toys: &[(&'static str, ToyBehavior)]) -> Migrator {
    let mut before: &'static [&'static str] = &[];
    let mut list: Vec<Box<dyn Migration>> = Vec::new();
    for (id, does) in toys {
        let mut meta = Meta::new(id, "a toy").after(before).touches(&["stories", "people"]);
        if matches!(does, ToyBehavior::Fill) {
            meta = meta.mode(Mode::Batched);
        }
        if matches!(does, ToyBehavior::Decided) {
            meta = meta.on_interrupt(Recovery::Manual);
        }
        list.push(Box::new(Toy(Box::leak(Box::new(meta)), does.clone())));
        before = Box::leak(Box::new([*id]));
    }
    let settings = Settings {
        app_version: "1.2.3".into(),
        actor: "a test".into(),
        env: Arc::new(|_| None),
        clock: Arc::new(DateTime::now),
        wait: Duration::from_mins(1),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Graph::new(list).unwrap(), settings)
}

pub(crate) async fn seed(db: &Database) {
    let stories = (0..40).map(|i| doc! { "_id": i, "slug": format!("s{}", i / 2), "n": i });
    db.collection("stories").insert_many(stories.collect()).await.unwrap();
    db.ensure_index("stories", &Index::on(["n"])).await.unwrap();
    db.collection("notes").insert_many((0..25).map(|i| doc! { "_id": i }).collect()).await.unwrap();
}
