use bson::Bson;
use docstore::{Field, Filter, Find, Sort, Transaction};

use super::measure::same;
use crate::run::{Change, StepOutcome, Work};
use crate::{Inserted, Result};

/// Carries out a step in a transaction that is never committed, without the ledger and the journal. What it would do
/// has been measured, and is little.
pub(super) async fn perform(
    transaction: &Transaction,
    collection: &str,
    work: &Work<'_>,
    outcome: &StepOutcome,
) -> Result<()> {
    let documents = transaction.collection(collection);
    match work {
        Work::Change { open, change } => match change.same() {
            Some(update) => {
                documents.update_many(open, &update).await?;
            }
            None => one_by_one(transaction, collection, open, change).await?,
        },
        Work::Insert { document, .. } => {
            let mut document = document.clone();
            if let StepOutcome::Inserted(Inserted::New(id)) = outcome {
                document.insert("_id", id.clone());
            }
            documents.insert_one(document).await?;
        }
        Work::InsertMany { key, documents: wanted } => {
            for document in wanted {
                if documents.find_one(Find::new(same(key, document))).await?.is_none() {
                    documents.insert_one(document.clone()).await?;
                }
            }
        }
        Work::Delete { filter } => {
            documents.delete_many(filter).await?;
        }
        Work::Copy { to, filter } => {
            let to = transaction.collection(to);
            for document in documents.find(Find::new(filter.clone())).await?.documents().await? {
                let id = document.get("_id").cloned().unwrap_or(Bson::Null);
                if to.find_one(Find::new(Filter::id(id))).await?.is_none() {
                    to.insert_one(document).await?;
                }
            }
        }
        Work::CreateIndex { .. } | Work::DropIndex { .. } => {}
    }
    Ok(())
}

async fn one_by_one(
    transaction: &Transaction,
    collection: &str,
    open: &Filter,
    change: &Change<'_>,
) -> Result<()> {
    let documents = transaction.collection(collection);
    let read = Find::new(open.clone()).sort(Sort::ascending(Field::ID)).projection(change.reads());
    for document in documents.find(read).await?.documents().await? {
        if let (Some(id), Some(update)) = (document.get("_id"), change.of(&document)) {
            documents.update_one(&Filter::id(id.clone()), &update).await?;
        }
    }
    Ok(())
}
