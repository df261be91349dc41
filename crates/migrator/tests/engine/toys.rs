use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::{Bson, DateTime, Document, doc};
use docstore::{Database, Field, Filter, Find, Sort};
use migrator::{
    CancellationToken, Check, Error, Event, Finding, Graph, Meta, Migration, Migrator, Observer, Result,
    Settings, Undo, UndoImported, Up, UpReport,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The operations of a toy, in order.
#[derive(Clone)]
pub(crate) enum Action {
    /// Inserts `{name, by: the migration}` unless the name is there.
    Insert(&'static str, &'static str),
    /// Sets a field where it is missing.
    Fill(&'static str, &'static str, i32),
    /// Sets a field on all.
    Set(&'static str, &'static str, Bson),
    /// Fails for as long as the switch is on.
    Fail(Arc<AtomicBool>),
    /// Signals that the run has arrived, and waits.
    Meet(Arc<Meeting>),
    /// Adds a warning.
    Warn(&'static str),
    /// Tells the run to stop.
    Stop(CancellationToken),
}

#[derive(Default)]
pub(crate) struct Meeting {
    pub(crate) here: Notify,
    pub(crate) go: Notify,
}

impl Meeting {
    /// Waits until the run arrives.
    pub(crate) async fn reached(&self, run: &mut JoinHandle<Result<UpReport>>) {
        tokio::select! {
            () = self.here.notified() => {}
            ended = run => panic!("the run ended early: {ended:?}"),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Toy {
    meta: &'static Meta,
    actions: Vec<Action>,
    undo: Undo,
    /// The operations of its rollback, if that is code.
    back: Vec<Action>,
    /// Collections and fields that the rollback of another tool's run changes.
    unset: Vec<(&'static str, &'static str)>,
    finds: Vec<&'static str>,
}

pub(crate) fn toy(id: &'static str, after: &'static [&'static str], actions: Vec<Action>) -> Toy {
    toy_with_variables(id, after, &[], actions)
}

pub(crate) fn toy_with_variables(
    id: &'static str,
    after: &'static [&'static str],
    variables: &'static [&'static str],
    actions: Vec<Action>,
) -> Toy {
    let meta = Meta::new(id, "a toy").after(after).requires_env(variables);
    Toy {
        meta: Box::leak(Box::new(meta)),
        actions,
        undo: Undo::Journal,
        back: Vec::new(),
        unset: Vec::new(),
        finds: Vec::new(),
    }
}

impl Toy {
    pub(crate) fn undo(mut self, undo: Undo) -> Self {
        self.undo = undo;
        self
    }

    /// Changes its metadata.
    pub(crate) fn with_meta(mut self, change: impl FnOnce(Meta) -> Meta) -> Self {
        self.meta = Box::leak(Box::new(change(*self.meta)));
        self
    }

    /// Sets code that rolls it back.
    pub(crate) fn rolled_back_by(mut self, actions: Vec<Action>) -> Self {
        (self.undo, self.back) = (Undo::Code, actions);
        self
    }

    pub(crate) fn unsets(mut self, collection: &'static str, field: &'static str) -> Self {
        self.unset.push((collection, field));
        self
    }

    pub(crate) fn finds(mut self, finding: &'static str) -> Self {
        self.finds.push(finding);
        self
    }
}

#[async_trait]
impl Migration for Toy {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        execute(cx, self.meta.id, "step", &self.actions).await
    }

    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        execute(cx, self.meta.id, "back", &self.back).await
    }

    fn undo(&self) -> Undo {
        self.undo
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        for (collection, field) in &self.unset {
            cx.unset(collection, &Filter::All, *field, "hand-made ones included").await?;
        }
        Ok(())
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(self.finds.iter().map(|text| Finding::new(*text)).collect())
    }
}

async fn execute(cx: &mut Up<'_>, id: &str, word: &str, actions: &[Action]) -> Result<()> {
    for (at, what) in actions.iter().enumerate() {
        let step = format!("{word} {at}");
        match what {
            Action::Insert(collection, name) => {
                let document = doc! { "name": name, "by": id, "at": cx.now() };
                cx.insert_if_absent(&step, collection, &Filter::eq("name", *name), document).await?;
            }
            Action::Fill(collection, field, value) => {
                cx.set_where_missing(&step, collection, &Filter::All, *field, *value).await?;
            }
            Action::Set(collection, field, value) => {
                cx.set(&step, collection, &Filter::All, *field, value.clone()).await?;
            }
            Action::Fail(switch) if switch.load(Ordering::SeqCst) => {
                return Err(Error::migration("fails on purpose"));
            }
            Action::Fail(_) => {}
            Action::Meet(meeting) => {
                meeting.here.notify_one();
                meeting.go.notified().await;
            }
            Action::Warn(text) => cx.warn(*text),
            Action::Stop(flag) => flag.cancel(),
        }
    }
    Ok(())
}

/// Notes events by name.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

impl Observer for Notes {
    fn event(&self, event: &Event<'_>) {
        let note = match event {
            Event::Started { migration, attempt } => format!("started {migration} {attempt}"),
            Event::Applied { migration, .. } => format!("applied {migration}"),
            Event::LockWait { .. } => "waiting".into(),
            _ => return,
        };
        self.0.lock().unwrap().push(note);
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        app_version: "1.2.3".into(),
        actor: "a test".into(),
        env: Arc::new(|_| None),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        wait: Duration::from_mins(1),
        first_batch: 100,
        ..Settings::default()
    }
}

pub(crate) fn graph(toys: &[Toy]) -> Graph {
    Graph::new(toys.iter().map(|toy| Box::new(toy.clone()) as Box<dyn Migration>).collect()).unwrap()
}

pub(crate) fn migrator(db: &Database, toys: &[Toy]) -> Migrator {
    Migrator::new(db.clone(), graph(toys), settings())
}

pub(crate) async fn all(db: &Database, collection: &str) -> Vec<Document> {
    let find = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    db.collection(collection).find(find).await.unwrap().documents().await.unwrap()
}

pub(crate) async fn entry(db: &Database, id: &str) -> Document {
    db.collection("_migrations").find_one(Find::new(Filter::id(id))).await.unwrap().unwrap()
}

/// The events of the log with their migrations, in order. Without progress, which is logged as time goes by.
pub(crate) async fn log(db: &Database) -> Vec<String> {
    let text = |d: &Document, key| d.get_str(key).unwrap().to_owned();
    let reported = all(db, "_migration_log").await.into_iter().filter(|d| text(d, "event") != "progress");
    reported.map(|d| text(&d, "event") + " " + &text(&d, "migration")).collect()
}

/// All documents but the engine's own.
pub(crate) async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    all
}
