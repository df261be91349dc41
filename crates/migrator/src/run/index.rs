use async_trait::async_trait;
use docstore::Index;

use super::attempt::Attempt;
use super::live::{LiveSink, StepContext};
use super::session::{Batch, Scope};
use crate::Result;
use crate::journal::Record;

impl LiveSink<'_> {
    /// Makes an index unless it is there. Returns 1 if it was made.
    pub(super) async fn create_index(&self, attempt: &mut Attempt, at: usize, index: &Index) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let there = self.db().list_indexes(&collection).await?;
        if there.iter().any(|there| there.same_definition(index)) {
            attempt.counts[at].left = 1;
            return Ok(0);
        }
        self.about_to(attempt, at, &Record::IndexMade { index: index.to_document() }).await?;
        self.db().ensure_index(&collection, index).await?;
        attempt.counts[at].inserted = 1;
        Ok(1)
    }

    /// Drops an index if it is there. Returns 1 if it was.
    pub(super) async fn drop_index(&self, attempt: &mut Attempt, at: usize, name: &str) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let there = self.db().list_indexes(&collection).await?;
        let Some(index) = there.iter().find(|there| there.name() == name) else { return Ok(0) };
        self.about_to(attempt, at, &Record::IndexDropped { index: index.to_document() }).await?;
        self.db().drop_index(&collection, name).await?;
        attempt.counts[at].deleted = 1;
        Ok(1)
    }

    /// Writes down what is about to happen outside of a transaction. It may happen or not; its undo bears both.
    async fn about_to(&self, attempt: &Attempt, at: usize, record: &Record) -> Result<()> {
        let ctx = StepContext { session: self.session, attempt, at };
        let noted = self.session.atomically(&attempt.migration, &Intent { ctx, record }).await?;
        attempt.writer.written(noted);
        self.session.may_go_on().await
    }
}

struct Intent<'a> {
    ctx: StepContext<'a>,
    record: &'a Record,
}

#[async_trait]
impl Batch for Intent<'_> {
    type Out = i64;

    async fn run(&self, scope: &Scope) -> Result<i64> {
        let StepContext { session, attempt, .. } = self.ctx;
        session.touch(scope, &attempt.migration, &attempt.counts, &attempt.warnings, None).await?;
        self.ctx.note(scope, &self.ctx.counts().collection, self.record).await
    }
}
