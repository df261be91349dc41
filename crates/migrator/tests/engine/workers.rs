//! Migrations of every kind of step, in any mode.

use async_trait::async_trait;
use docstore::bson::{Bson, Document, doc};
use docstore::{Field, Filter, Index, Update};
use migrator::{Check, Finding, Graph, Meta, Migration, Mode, Result, Step, Undo, Up};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum WorkerStep {
    /// Sets `color` where it is missing.
    Fill,
    /// Sets `n` on all.
    Set,
    /// Removes `n`.
    Unset,
    /// Copies `n` to `m`.
    CopyField,
    /// Sets `double`, and removes `odd` where it exists.
    Each,
    /// Deletes the red ones.
    Delete,
    /// Copies all to `copies`.
    Copy,
    /// Inserts one.
    Insert,
    /// Inserts two batches, some of whose documents exist already.
    InsertMany,
    /// Creates an index on `n`.
    MakeIndex,
    /// Drops the index on `color`.
    DropIndex,
}

/// The steps that change documents.
pub(crate) const DOCUMENTS: [WorkerStep; 9] = [
    WorkerStep::Fill,
    WorkerStep::Set,
    WorkerStep::Unset,
    WorkerStep::CopyField,
    WorkerStep::Each,
    WorkerStep::Delete,
    WorkerStep::Copy,
    WorkerStep::Insert,
    WorkerStep::InsertMany,
];

/// The end of a worker's steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Succeeds,
    Fails,
}

#[derive(Clone)]
pub(crate) struct Worker {
    meta: &'static Meta,
    steps: Vec<WorkerStep>,
    end: End,
}

pub(crate) const ID: &str = "0001_work";
const THINGS: &str = "things";

impl Worker {
    pub(crate) fn new(mode: Mode, steps: &[WorkerStep]) -> Self {
        Self::with(Meta::new(ID, "does things").mode(mode), steps)
    }

    pub(crate) fn with(meta: Meta, steps: &[WorkerStep]) -> Self {
        Self { meta: Box::leak(Box::new(meta)), steps: steps.to_vec(), end: End::Succeeds }
    }

    pub(crate) fn failing(mut self) -> Self {
        self.end = End::Fails;
        self
    }

    pub(crate) fn graph(&self) -> Graph {
        Graph::new(vec![Box::new(self.clone())]).unwrap()
    }
}

#[async_trait]
impl Migration for Worker {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        for step in &self.steps {
            let name = format!("{step:?}");
            execute(cx, &name, *step).await?;
        }
        match self.end {
            End::Succeeds => Ok(()),
            End::Fails => Err(migrator::Error::migration("fails on purpose")),
        }
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        if self.steps.contains(&WorkerStep::Fill) && cx.count(THINGS, &Filter::missing("color")).await? > 0 {
            findings.push(Finding::new("there are things without color"));
        }
        Ok(findings)
    }
}

async fn execute(cx: &mut Up<'_>, name: &str, step: WorkerStep) -> Result<()> {
    let all = Filter::All;
    match step {
        WorkerStep::Fill => {
            cx.set_where_missing(name, THINGS, &all, "color", 1).await?;
        }
        WorkerStep::Set => {
            cx.set(name, THINGS, &all, "n", "all").await?;
        }
        WorkerStep::Unset => {
            cx.step(Step::unset_field(name, THINGS, "n")).await?;
        }
        WorkerStep::CopyField => {
            cx.step(Step::rename_begin(name, THINGS, "n", "m")).await?;
        }
        WorkerStep::Each => {
            cx.step(Step::backfill(name, THINGS, ["n", "double", "odd"], doubled)).await?;
        }
        WorkerStep::Delete => {
            cx.step(Step::delete(name, THINGS, Filter::eq("color", "red"))).await?;
        }
        WorkerStep::Copy => {
            cx.step(Step::copy_collection(name, THINGS, "copies")).await?;
        }
        WorkerStep::Insert => {
            let document = doc! { "_id": "one", "name": "one", "color": Bson::Null };
            cx.insert_if_absent(name, THINGS, &Filter::eq("name", "one"), document).await?;
        }
        WorkerStep::InsertMany => {
            let documents =
                (0..450).map(|i| doc! { "_id": format!("m{i}"), "slug": format!("s{i}"), "n": i });
            cx.step(Step::seed(name, "more", ["slug"], documents.collect())).await?;
        }
        WorkerStep::MakeIndex => {
            cx.step(Step::create_index(name, THINGS, Index::on(["n"]))).await?;
        }
        WorkerStep::DropIndex => {
            cx.step(Step::drop_index(name, THINGS, "color_1")).await?;
        }
    }
    Ok(())
}

fn doubled(document: &Document) -> Option<Update> {
    let n = match document.get("n")? {
        Bson::Int32(n) if document.get("double").is_none() => *n,
        _ => return None,
    };
    let update = Update::new().set("double", n * 2);
    Some(if document.contains_key("odd") { update.unset("odd") } else { update })
}

/// Things with ids of several types, more than fit a first batch; some with a color, some that are odd.
pub(crate) async fn seed(db: &docstore::Database, numbers: i32) {
    let things = db.collection(THINGS);
    let thing = |i: i32| {
        let mut thing = doc! { "_id": i, "n": i };
        if i % 3 == 0 {
            thing.insert("color", "red");
        }
        if i % 2 == 1 {
            thing.insert("odd", doc! { "really": true });
        }
        thing
    };
    things.insert_many((0..numbers).map(thing).collect()).await.unwrap();
    let texts = (0..30).map(|i| doc! { "_id": format!("t{i:02}"), "n": f64::from(i), "color": Bson::Null });
    things.insert_many(texts.collect()).await.unwrap();
    db.collection("copies").insert_one(doc! { "_id": 5, "by": "hand" }).await.unwrap();
    let more = (0..10).map(|i| doc! { "_id": i, "slug": format!("s{}", i * 40) });
    db.collection("more").insert_many(more.collect()).await.unwrap();
    db.ensure_index(THINGS, &Index::on(["color"]).partial(Filter::exists("color"))).await.unwrap();
}

/// Counts the documents of a collection that have a field.
pub(crate) async fn count_with_field(db: &docstore::Database, collection: &str, field: &'static str) -> u64 {
    db.collection(collection).count(&Filter::exists(Field::from(field))).await.unwrap()
}
