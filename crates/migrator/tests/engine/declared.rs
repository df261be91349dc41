use async_trait::async_trait;
use docstore::Database;
use docstore::bson::Bson;
use migrator::{Check, Finding, Graph, Meta, Migration, Migrator, Mode, Phase, Result, Settings, Step, Undo};

use crate::toys::settings;

/// A migration that is all data.
#[derive(Clone)]
pub(crate) struct Declared {
    meta: Meta,
    kept: &'static Meta,
    steps: Vec<Step>,
    undo: Undo,
    source: Option<&'static str>,
    finds: Vec<&'static str>,
}

/// One that writes to the collection `things`.
pub(crate) fn declared(id: &'static str, steps: Vec<Step>) -> Declared {
    let meta = Meta::new(id, "declared").touches(&["things"]);
    Declared { kept: keep(meta), meta, steps, undo: Undo::Journal, source: None, finds: Vec::new() }
}

fn keep(meta: Meta) -> &'static Meta {
    Box::leak(Box::new(meta))
}

impl Declared {
    /// With what is said about it changed.
    pub(crate) fn meta(mut self, change: impl FnOnce(Meta) -> Meta) -> Self {
        self.meta = change(self.meta);
        self.kept = keep(self.meta);
        self
    }

    pub(crate) fn after(self, ids: &'static [&'static str]) -> Self {
        self.meta(|meta| meta.after(ids))
    }

    pub(crate) fn contract(self) -> Self {
        self.meta(|meta| meta.phase(Phase::Contract))
    }

    pub(crate) fn mode(self, mode: Mode) -> Self {
        self.meta(|meta| meta.mode(mode))
    }

    pub(crate) fn undo(mut self, undo: Undo) -> Self {
        self.undo = undo;
        self
    }

    pub(crate) fn source(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn finds(mut self, finding: &'static str) -> Self {
        self.finds.push(finding);
        self
    }
}

#[async_trait]
impl Migration for Declared {
    fn meta(&self) -> &'static Meta {
        self.kept
    }

    fn source(&self) -> Option<&'static str> {
        self.source
    }

    fn steps(&self) -> Vec<Step> {
        self.steps.clone()
    }

    fn undo(&self) -> Undo {
        self.undo
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        for variable in self.kept.requires_env {
            cx.env(variable)?;
        }
        Ok(self.finds.iter().map(|text| Finding::new(*text)).collect())
    }
}

pub(crate) fn graph(list: &[Declared]) -> Graph {
    Graph::new(list.iter().map(|one| Box::new(one.clone()) as Box<dyn Migration>).collect()).unwrap()
}

pub(crate) fn migrator(db: &Database, list: &[Declared]) -> Migrator {
    with(db, list, settings())
}

pub(crate) fn with(db: &Database, list: &[Declared], settings: Settings) -> Migrator {
    Migrator::new(db.clone(), graph(list), settings)
}

/// Numbered documents, for filling a collection.
pub(crate) fn numbered(n: i32) -> Vec<docstore::bson::Document> {
    (0..n).map(|i| docstore::bson::doc! { "_id": i, "n": Bson::Int32(i) }).collect()
}
