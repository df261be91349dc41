use async_trait::async_trait;
use bson::{Bson, doc};
use docstore::Update;

use super::pymongo_ledger::PymongoRecord;
use crate::entry::texts_to_bson;
use crate::run::{Batch, RunSession, Scope};
use crate::{Result, Source, State};

/// Imports what an earlier tool recorded for one name.
pub(crate) struct Import<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) from: &'a str,
    pub(crate) name: &'a str,
    pub(crate) foreign: &'a PymongoRecord,
    /// Its position in the graph, if the program knows it.
    pub(crate) order: Option<usize>,
    pub(crate) warnings: &'a [String],
}

#[async_trait]
impl Batch for Import<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let session = self.session;
        let more = doc! { "imported_from": self.from, "foreign_id": self.foreign.id.clone() };
        let Some(applied) = self.foreign.applied else {
            // The earlier tool only records that it was rolled back, not when.
            return session.log(scope, self.name, "imported_as_rolled_back", more).await;
        };
        let order = self.order.and_then(|at| i32::try_from(at).ok()).map_or(Bson::Null, Bson::Int32);
        let update = Update::new()
            .set("status", State::Applied.name())
            .set("source", Source::Imported.name())
            .set("order", order)
            .set("attempts", 0_i32)
            .set("applied_at", applied)
            .set("imported_at", session.now())
            .set("imported_from", self.from)
            .set("foreign_id", self.foreign.id.clone())
            .set("counts", Bson::Array(Vec::new()))
            .set("warnings", texts_to_bson(self.warnings));
        session.upsert(scope, self.name, update).await?;
        session.log(scope, self.name, "imported", more).await
    }
}
