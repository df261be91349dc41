use bson::Bson;
use bson::oid::ObjectId;
use docstore::{Database, Field, Find, Sort};

use super::work::{Outcome, Work};
use super::{Attempt, Inserted};
use crate::{Result, Settings};

/// The side of an [`Up`](crate::Up) that writes nothing: each step is looked at as it comes, and noted.
///
/// Reads of the migration go to the database as it is, so a step sees nothing of what the steps before it would have
/// done.
pub(crate) struct Look<'a> {
    pub(crate) db: &'a Database,
    pub(crate) settings: &'a Settings,
    /// What was noted so far.
    pub(crate) noted: Vec<Noted>,
}

/// One step, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) step: String,
    pub(crate) collection: String,
    /// Documents that it would change, insert, copy or delete; 1 for an index that it would make or drop.
    pub(crate) matched: u64,
}

impl Look<'_> {
    /// Looks at a step, and answers as if it had been carried out.
    pub(crate) async fn note(&mut self, attempt: &Attempt, at: usize, work: &Work<'_>) -> Result<Outcome> {
        let counts = &attempt.counts[at];
        let collection = self.db.collection(&counts.collection);
        let (matched, outcome) = match work {
            Work::Change { open, .. } => counted(collection.count(open).await?),
            Work::Delete { filter } | Work::Copy { filter, .. } => counted(collection.count(filter).await?),
            Work::Insert { key, document } => {
                let read = Find::new(key.clone()).sort(Sort::ascending(Field::ID));
                match collection.find_one(read).await? {
                    Some(found) => {
                        let id = found.get("_id").cloned().unwrap_or(Bson::Null);
                        (0, Outcome::Inserted(Inserted::Present(id)))
                    }
                    None => {
                        let id = document.get("_id").cloned().unwrap_or_else(|| ObjectId::new().into());
                        (1, Outcome::Inserted(Inserted::New(id)))
                    }
                }
            }
            Work::InsertMany { documents, .. } => counted(documents.len() as u64),
            Work::CreateIndex { .. } | Work::DropIndex { .. } => counted(1),
        };
        self.noted.push(Noted { step: counts.step.clone(), collection: counts.collection.clone(), matched });
        Ok(outcome)
    }
}

fn counted(n: u64) -> (u64, Outcome) {
    (n, Outcome::Changed(n))
}
