use std::future::Future;

use super::{CollectionVersions, WriteSet};
use crate::{Result, Write, run_to_completion};

/// What becomes of a write that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is given up where it is. The engine may carry it out all the same, after it was noted.
    Drop,
    /// It goes on in a task of its own, and is noted when it has ended.
    Complete,
}

/// Notes writes when it is dropped: however they ended.
pub(super) struct RecordOnDrop {
    pub(super) revisions: CollectionVersions,
    pub(super) written: Vec<(String, WriteSet)>,
}

impl Drop for RecordOnDrop {
    fn drop(&mut self) {
        for (collection, touched) in &self.written {
            self.revisions.written(collection, touched);
        }
    }
}

impl OnCancel {
    /// Carries out what writes, and notes it when it has ended.
    pub(super) async fn carry_out<T: Send + 'static>(
        self,
        noted: RecordOnDrop,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let work = async move {
            let result = work.await;
            drop(noted);
            result
        };
        if self == Self::Drop {
            return work.await;
        }
        run_to_completion(work).await?
    }
}

/// The documents that the writes of a batch touch.
pub(super) fn write_set_of_batch(writes: &[Write]) -> WriteSet {
    let each = writes.iter().map(|write| match write {
        Write::Insert(document) => WriteSet::these([document]),
        Write::UpdateOne { filter, upsert: true, .. } => WriteSet::by_upsert(filter),
        Write::UpdateOne { filter, .. }
        | Write::UpdateMany { filter, .. }
        | Write::DeleteOne(filter)
        | Write::DeleteMany(filter) => WriteSet::by(filter),
    });
    each.fold(WriteSet::Documents(Vec::new()), WriteSet::and)
}
