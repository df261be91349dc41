use bson::{Bson, Document};
use docstore::{Collection, Filter, Projection, Store};

use super::batches::{Documents, RangeBatch, RangeOutcome};
use super::session::Scope;
use crate::journal::{self, Record};
use crate::{Result, StepCounts};

impl RangeBatch<'_> {
    /// Copies the matching documents of a range.
    pub(super) async fn copy(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        to: &str,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        let read = Documents::read(collection, matching, None).await?;
        let to = scope.collection(to);
        let found = read.documents.len();
        let missing = absent(&to, read.documents).await?;
        counts.left += (found - missing.len()) as u64;
        let mut journal_bytes = 0;
        if !missing.is_empty() {
            counts.inserted += missing.len() as u64;
            journal_bytes = self.ctx.journal(scope, to.name(), &Record::inserted(&missing)?).await?;
            to.insert_many(missing).await?;
        }
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }
}

/// Returns the documents whose id does not exist in a collection.
async fn absent(to: &Collection, mut documents: Vec<Document>) -> Result<Vec<Document>> {
    let ids: Vec<Bson> = documents.iter().filter_map(|document| document.get("_id").cloned()).collect();
    let found = journal::by_id(to, &ids, Some(Projection::Include(Vec::new()))).await?;
    documents.retain(|document| !found.contains_key(&journal::id_key(document.get("_id"))));
    Ok(documents)
}
