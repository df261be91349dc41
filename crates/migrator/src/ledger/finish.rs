use std::time::Duration;

use async_trait::async_trait;
use bson::doc;
use docstore::{Field, Store, Update};

use super::{LEDGER, require_match};
use crate::entry::{counts_to_bson, texts_to_bson};
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Event, Result, State, StepCounts};

/// Records how a run of one migration ended.
pub(crate) struct Finish<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) id: &'a str,
    /// The state in the ledger: `Applied` or `RolledBack`, unless the run failed.
    pub(crate) state: State,
    /// The event in the log.
    pub(crate) event: &'a str,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
    pub(crate) duration: Duration,
    /// The error and its causes, outermost first; empty if the run did not fail.
    pub(crate) error: &'a [String],
    pub(crate) step: Option<&'a str>,
}

impl Finish<'_> {
    /// Records that the run ended with this error instead, and returns the error to report.
    pub(crate) async fn failed(self, error: Error) -> Error {
        let (id, undo, session) = (self.id, self.state == State::RolledBack, self.session);
        let (owned, counts) = (id.to_owned(), self.counts.to_vec());
        let chain = error.chain();
        let (state, event, reported) = match error {
            // The new holder of the lease writes the ledger.
            Error::LeaseLost => return Error::LeaseLost,
            Error::Interrupted { .. } => {
                let state = if undo { State::RollingBack } else { State::Interrupted };
                (state, "interrupted", Error::Interrupted { id: Some(owned), undo, counts })
            }
            source if undo => {
                let source = Box::new(source);
                (State::RollingBack, "undo_failed", Error::UndoFailed { id: owned, source })
            }
            source => {
                let (step, source) = (self.step.map(str::to_owned), Box::new(source));
                (State::Failed, "failed", Error::Failed { id: owned, step, counts, source })
            }
        };
        let interrupted = event == "interrupted";
        let finish = Finish { state, event, error: if interrupted { &[] } else { &chain }, ..self };
        match session.record(id, &finish).await {
            // The failure may be a consequence of what the new holder of the lease did.
            Err(Error::LeaseLost) => return Error::LeaseLost,
            Err(error) => tracing::error!(migration = id, %error, "failed to record how a migration ended"),
            Ok(()) => {}
        }
        session.emit(&if interrupted {
            Event::Interrupted { migration: id }
        } else {
            Event::Failed { migration: id, error: &chain[0] }
        });
        reported
    }
}

#[async_trait]
impl Batch for Finish<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let now = self.session.now();
        let duration = i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX);
        let (counts, warnings) = (counts_to_bson(self.counts), texts_to_bson(self.warnings));
        let mut update = Update::new()
            .set("status", self.state.name())
            .set("finished_at", now)
            .set("duration_ms", duration)
            .set("counts", counts.clone())
            .set("warnings", warnings.clone());
        update = match self.state {
            State::Applied => update.set("applied_at", now).unset("cursor"),
            State::RolledBack => update.unset("applied_at").unset("confirmed").unset("cursor"),
            _ => update,
        };
        let mut more = doc! { "duration_ms": duration, "counts": counts, "warnings": warnings };
        for (key, value) in [("error", self.error.first().map(String::as_str)), ("step", self.step)] {
            if let Some(value) = value {
                update = update.set(Field::parse(key)?, value);
                more.insert(key, value);
            }
        }
        if !self.error.is_empty() {
            update = update.set("error_chain", texts_to_bson(self.error));
            more.insert("error_chain", texts_to_bson(self.error));
        }
        let filter = self.session.fenced(self.id);
        require_match(scope.collection(LEDGER).update_one(&filter, &update).await?.matched)?;
        self.session.boundary(self.id, scope).await?;
        self.session.log(scope, self.id, self.event, more).await
    }
}
