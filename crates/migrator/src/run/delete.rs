use docstore::{Collection, Field, Filter};

use super::batches::{Documents, RangeBatch, RangeOutcome};
use super::session::Scope;
use crate::journal::{CHUNK, Record};
use crate::{Result, StepCounts};

impl RangeBatch<'_> {
    /// Deletes the matching documents of a range.
    pub(super) async fn delete(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        if !self.ctx.attempt.journal {
            counts.deleted += collection.delete_many(&matching).await?;
            return Ok(RangeOutcome::default());
        }
        let read = Documents::read(collection, matching, None).await?;
        if read.documents.is_empty() {
            return Ok(RangeOutcome::default());
        }
        let ids = read.ids();
        let record = Record::Deleted { documents: read.documents };
        let journal_bytes = self.ctx.journal(scope, collection.name(), &record).await?;
        for ids in ids.chunks(CHUNK) {
            let these = Filter::is_in(Field::ID, ids.iter().cloned()).also(self.filter.clone());
            counts.deleted += collection.delete_many(&these).await?;
        }
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }
}
