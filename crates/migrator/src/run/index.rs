use async_trait::async_trait;
use docstore::Index;

use super::attempt::Attempt;
use super::live::{LiveSink, StepContext};
use super::session::{Batch, Scope};
use crate::Result;
use crate::journal::Record;

impl LiveSink<'_> {
    /// Creates an index unless it exists. Returns 1 if it was created.
    pub(super) async fn create_index(&self, attempt: &mut Attempt, at: usize, index: &Index) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let existing = self.db().list_indexes(&collection).await?;
        if existing.iter().any(|existing| existing.same_definition(index)) {
            attempt.counts[at].left = 1;
            return Ok(0);
        }
        self.journal_intent(attempt, at, &Record::IndexMade { index: index.to_document() }).await?;
        self.db().ensure_index(&collection, index).await?;
        attempt.counts[at].inserted = 1;
        Ok(1)
    }

    /// Drops an index if it exists. Returns 1 if it was dropped.
    pub(super) async fn drop_index(&self, attempt: &mut Attempt, at: usize, name: &str) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let existing = self.db().list_indexes(&collection).await?;
        let Some(index) = existing.iter().find(|existing| existing.name() == name) else { return Ok(0) };
        self.journal_intent(attempt, at, &Record::IndexDropped { index: index.to_document() }).await?;
        self.db().drop_index(&collection, name).await?;
        attempt.counts[at].deleted = 1;
        Ok(1)
    }

    /// Writes the journal entry of a change that no transaction takes. If the run dies before the change, the rollback
    /// finds nothing to undo.
    async fn journal_intent(&self, attempt: &Attempt, at: usize, record: &Record) -> Result<()> {
        let ctx = StepContext { session: self.session, attempt, at };
        let journal_bytes =
            self.session.atomically(&attempt.migration, &JournalIntent { ctx, record }).await?;
        attempt.writer.written(journal_bytes);
        self.session.check_limits().await
    }
}

struct JournalIntent<'a> {
    ctx: StepContext<'a>,
    record: &'a Record,
}

#[async_trait]
impl Batch for JournalIntent<'_> {
    type Out = i64;

    async fn run(&self, scope: &Scope) -> Result<i64> {
        let StepContext { session, attempt, .. } = self.ctx;
        session.touch(scope, &attempt.migration, &attempt.counts, &attempt.warnings, None).await?;
        self.ctx.journal(scope, &self.ctx.counts().collection, self.record).await
    }
}
