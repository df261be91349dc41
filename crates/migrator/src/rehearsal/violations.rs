use bson::{Bson, Document, doc};
use docstore::{Database, Field, Filter, Find, Projection, Sort};
use futures_util::TryStreamExt;
use serde::Serialize;

use crate::{Error, Result};

/// Number of violations that are listed.
const LIMIT: u64 = 10;

/// A document that makes a migration fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The collection.
    pub collection: String,
    /// The id of the document.
    pub id: String,
    /// The reason.
    pub why: String,
}

/// Returns the documents that caused an error, if the database can determine them: those with a duplicate key, and those
/// that do not satisfy a validator.
pub(super) async fn violations(db: &Database, error: &Error) -> Result<Vec<Violation>> {
    match store_error(error).map(docstore::Error::root) {
        Some(docstore::Error::DuplicateKey { collection, fields, .. }) => {
            duplicates(db, collection, fields).await
        }
        Some(docstore::Error::InvalidDocument { collection }) => invalid(db, collection).await,
        _ => Ok(Vec::new()),
    }
}

fn store_error(error: &Error) -> Option<&docstore::Error> {
    match error {
        Error::Store(error) => Some(error),
        Error::Failed { source, .. } | Error::UndoFailed { source, .. } => store_error(source),
        _ => None,
    }
}

/// Returns the documents that have the same values in these fields as the one before, ordered by these values.
async fn duplicates(db: &Database, collection: &str, fields: &[String]) -> Result<Vec<Violation>> {
    let kept = fields.iter().map(|name| Field::parse(name.clone())).collect::<Result<Vec<_>, _>>()?;
    let by = kept.iter().cloned().fold(Sort::default(), Sort::then_ascending);
    let read =
        Find::new(Filter::All).sort(by.then_ascending(Field::ID)).projection(Projection::Include(kept));
    let mut documents = db.collection(collection).find(read).await?;
    let mut violations = Vec::new();
    let mut before: Option<(Bson, Document)> = None;
    while let Some(mut document) = documents.next_document().await? {
        let id = document.remove("_id").unwrap_or(Bson::Null);
        if let Some((other, same)) = &before
            && *same == document
        {
            violations.push(Violation {
                collection: collection.to_owned(),
                id: id.to_string(),
                why: format!("has the same {} as {other}", fields.join(", ")),
            });
            if violations.len() as u64 >= LIMIT {
                break;
            }
            continue;
        }
        before = Some((id, document));
    }
    Ok(violations)
}

/// Documents that do not satisfy the server's validator of a collection.
async fn invalid(db: &Database, collection: &str) -> Result<Vec<Violation>> {
    let options = db.collection_options(collection).await?;
    let (Some(validator), Some(server)) = (options.validator(), docstore::mongo::as_mongo(db)) else {
        return Ok(Vec::new());
    };
    let documents = server.collection::<Document>(collection);
    let found = documents
        .find(doc! { "$nor": [validator.clone()] })
        .sort(doc! { "_id": 1 })
        .limit(LIMIT.cast_signed())
        .projection(doc! { "_id": 1 });
    let found = async { found.await?.try_collect::<Vec<_>>().await }.await;
    let violation = |document: Document| Violation {
        collection: collection.to_owned(),
        id: document.get("_id").map(ToString::to_string).unwrap_or_default(),
        why: "does not satisfy the validator".into(),
    };
    // The error is reported without their names if the server cannot list them.
    Ok(found.unwrap_or_default().into_iter().map(violation).collect())
}
