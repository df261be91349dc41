use std::time::Duration;

use async_trait::async_trait;
use bson::doc;
use docstore::{Field, Store, Update};

use super::{LEDGER, taken};
use crate::entry::{counts_to_bson, texts_to_bson};
use crate::run::{Batch, RunSession, Scope};
use crate::{Result, State, StepCounts};

/// Ends what a [`Claim`](super::Claim) began.
pub(crate) struct Finish<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) id: &'a str,
    pub(crate) state: State,
    pub(crate) event: &'a str,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
    pub(crate) duration: Duration,
    /// Why it did not come to its end: the error, and what that came from.
    pub(crate) error: &'a [String],
    pub(crate) step: Option<&'a str>,
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
        taken(scope.collection(LEDGER).update_one(&filter, &update).await?.matched)?;
        self.session.boundary(self.id, scope).await?;
        self.session.log(scope, self.id, self.event, more).await
    }
}
