use std::future::Future;

use super::{Revisions, Touched};
use crate::{Result, Write, see_through};

/// What becomes of a write that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It is given up where it is. The engine may carry it out all the same, after it was noted.
    Dropped,
    /// It goes on in a task of its own, and is noted when it has ended.
    SeenThrough,
}

/// Notes writes when it is dropped: however they ended.
pub(super) struct Noted {
    pub(super) revisions: Revisions,
    pub(super) written: Vec<(String, Touched)>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        for (collection, touched) in &self.written {
            self.revisions.written(collection, touched);
        }
    }
}

impl Abandoned {
    /// Carries out what writes, and notes it when it has ended.
    pub(super) async fn carry_out<T: Send + 'static>(
        self,
        noted: Noted,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let work = async move {
            let result = work.await;
            drop(noted);
            result
        };
        if self == Self::Dropped {
            return work.await;
        }
        see_through(work).await?
    }
}

/// The documents that the writes of a batch touch.
pub(super) fn of_all(writes: &[Write]) -> Touched {
    let each = writes.iter().map(|write| match write {
        Write::Insert(document) => Touched::these([document]),
        Write::UpdateOne { filter, upsert: true, .. } => Touched::by_upsert(filter),
        Write::UpdateOne { filter, .. }
        | Write::UpdateMany { filter, .. }
        | Write::DeleteOne(filter)
        | Write::DeleteMany(filter) => Touched::by(filter),
    });
    each.fold(Touched::Documents(Vec::new()), Touched::and)
}
