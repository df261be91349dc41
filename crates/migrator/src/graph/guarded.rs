use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::step::Step;
use crate::{Check, Error, Finding, GraphError, Meta, Migration, Reference, Result, Undo, UndoImported, Up};

/// A migration whose panics are errors, so that a panic is recorded like any other failure, ends the transaction and
/// releases the lease. Every migration of a [`Graph`](crate::Graph) is guarded.
pub(super) struct Guarded {
    migration: Box<dyn Migration>,
    meta: &'static Meta,
    source: Option<&'static str>,
    steps: Vec<Step>,
    undo: Undo,
    references: &'static [Reference],
}

impl Guarded {
    /// Reads the migration's declarations, which are the same at each call.
    pub(super) fn new(migration: Box<dyn Migration>) -> Result<Self, GraphError> {
        let mut id = "a migration";
        let declarations = catch_unwind(AssertUnwindSafe(|| {
            let meta = migration.meta();
            id = meta.id;
            (meta, migration.source(), migration.steps(), migration.undo(), migration.references())
        }));
        let (meta, source, steps, undo, references) = declarations
            .map_err(|panic| GraphError::Panicked { migration: id.into(), message: message(panic) })?;
        Ok(Self { migration, meta, source, steps, undo, references })
    }

    async fn caught<T>(&self, method: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        outcome.unwrap_or_else(|panic| Err(panicked(&format!("`{method}` of {}", self.meta.id), panic)))
    }
}

#[async_trait]
impl Migration for Guarded {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    fn source(&self) -> Option<&'static str> {
        self.source
    }

    fn steps(&self) -> Vec<Step> {
        self.steps.clone()
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        self.caught("up", self.migration.up(cx)).await
    }

    fn undo(&self) -> Undo {
        self.undo
    }

    fn references(&self) -> &'static [Reference] {
        self.references
    }

    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        self.caught("down", self.migration.down(cx)).await
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        self.caught("undo_imported", self.migration.undo_imported(cx)).await
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        self.caught("check", self.migration.check(cx)).await
    }
}

/// Returns the error of a panic in `what`. A payload that is no text is an injected crash, as in rehearsals: it unwinds on.
pub(crate) fn panicked(what: &str, panic: Box<dyn Any + Send>) -> Error {
    Error::Panicked { what: what.into(), message: message(panic) }
}

fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>().map(|text| *text) {
        Ok(text) => text,
        Err(panic) => match panic.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => resume_unwind(panic),
        },
    }
}
