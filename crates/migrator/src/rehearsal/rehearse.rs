use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use docstore::{Database, Field, Filter, Find, Projection, Sort, Update};
use futures_util::TryStreamExt;
use serde::Serialize;

use super::copy::{CopiedCollection, copy};
use super::sandbox::Sandbox;
use crate::ledger::{LEDGER, LOCK, LOG, is_own};
use crate::{AppliedMigration, Error, Finding, Migrator, Result, UpTarget};

/// The age after which the scratch database of a rehearsal is considered abandoned.
const ABANDONED: Duration = Duration::from_hours(24);
/// Part of the names of scratch databases.
const PURPOSE: &str = "rehearsal";

/// Number of violations that are listed.
const VIOLATIONS: u64 = 10;

/// The parameters of [`Migrator::rehearse`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RehearsalRequest {
    /// The target.
    pub target: UpTarget,
    /// The number of documents to copy of each collection that the pending migrations touch, sampled evenly. Other
    /// collections are copied completely, because migrations may read them. `None` copies everything.
    pub sample: Option<u64>,
}

/// The result of [`Migrator::rehearse`].
#[derive(Debug, Clone, Serialize)]
pub struct RehearsalReport {
    /// The scratch database, which is dropped.
    pub scratch: String,
    /// The copied collections.
    pub copied: Vec<CopiedCollection>,
    /// The duration of the copy.
    #[serde(rename = "copy_ms", serialize_with = "crate::serialize::milliseconds")]
    pub copy: Duration,
    /// The ids of the pending migrations.
    pub pending: Vec<String>,
    /// The applied migrations.
    pub applied: Vec<AppliedMigration>,
    /// Conditions that do not hold afterwards, with the migration that declares them.
    pub findings: Vec<(String, Finding)>,
    /// The failure, if a migration failed.
    pub failure: Option<RehearsalFailure>,
}

/// The failure of a rehearsed migration.
#[derive(Debug, Clone, Serialize)]
pub struct RehearsalFailure {
    /// The migration.
    pub id: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// The error.
    pub error: String,
    /// The documents that caused it, if they can be determined.
    #[serde(rename = "offenders")]
    pub violations: Vec<Violation>,
    /// The exit code that the real run would have.
    pub exit_code: u8,
}

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

pub(crate) async fn rehearse(m: &Migrator, request: &RehearsalRequest) -> Result<RehearsalReport> {
    if let Err(error) = m.db.sweep_scratches(PURPOSE, ABANDONED).await {
        tracing::debug!(%error, "failed to remove abandoned rehearsals");
    }
    let plan = m.plan_up(request.target.clone()).await?;
    let pending = plan.actions.iter().map(|action| action.id.clone()).collect();
    let touched: Vec<&String> = plan.actions.iter().flat_map(|action| &action.touches).collect();
    let undeclared = plan.actions.iter().any(|action| action.touches.is_empty());
    let sampled =
        |name: &String| request.sample.filter(|_| !is_own(name) && (undeclared || touched.contains(&name)));

    // As in the real run, the ledger of an earlier tool counts.
    let import_from = m.settings.import_from.clone();
    let sandbox = Sandbox::new(m, PURPOSE, (m.settings.clock)(), import_from).await?;
    let outcome = run_in(m, &sandbox, sampled, pending).await;
    let discarded = sandbox.discard().await;
    let report = outcome?;
    discarded?;
    Ok(report)
}

async fn run_in(
    m: &Migrator,
    sandbox: &Sandbox,
    sampled: impl Fn(&String) -> Option<u64>,
    pending: Vec<String>,
) -> Result<RehearsalReport> {
    let began = Instant::now();
    let mut copied = Vec::new();
    for name in m.db.collection_names().await?.into_iter().filter(|name| name != LOCK && name != LOG) {
        if m.settings.stop.is_cancelled() {
            return Err(Error::interrupted());
        }
        copied.push(copy(&m.db, sandbox.db(), &name, sampled(&name)).await?);
    }
    // The fencing tokens of the scratch database start at one, and must not be older than the copied ones.
    let fence = Update::new().set("fence", 0_i64);
    sandbox.db().collection(LEDGER).update_many(&Filter::All, &fence).await?;
    let mut report = RehearsalReport {
        scratch: sandbox.db().location(),
        copied,
        copy: began.elapsed(),
        pending,
        applied: Vec::new(),
        findings: Vec::new(),
        failure: None,
    };
    // One by one, so that those before a failure are reported too.
    for id in report.pending.clone() {
        match sandbox.migrator.up(UpTarget::To(id.clone())).await {
            Ok(done) => {
                report.applied.extend(done.applied);
                report.findings.extend(done.findings);
            }
            Err(error @ Error::Interrupted { .. }) => return Err(error),
            Err(error) => {
                let (id, step) = match &error {
                    Error::Failed { id, step, .. } => (id.clone(), step.clone()),
                    _ => (id, None),
                };
                report.failure = Some(RehearsalFailure {
                    id: Some(id),
                    step,
                    exit_code: error.exit_code(),
                    error: error.to_string(),
                    violations: violations(sandbox.db(), &error).await?,
                });
                break;
            }
        }
    }
    Ok(report)
}

/// Returns the documents that caused an error, if the database can determine them: those with a duplicate key, and those
/// that do not satisfy a validator.
async fn violations(db: &Database, error: &Error) -> Result<Vec<Violation>> {
    match store_error(error).map(docstore::Error::root) {
        Some(docstore::Error::DuplicateKey { collection, fields, .. }) => {
            duplicates(db, collection, fields).await
        }
        Some(docstore::Error::InvalidDocument { collection, id }) => {
            let mut violations = invalid(db, collection).await?;
            // The document as it is may satisfy the validator that refused its change.
            if let (true, Some(id)) = (violations.is_empty(), id) {
                violations.push(violation(collection, id.to_string()));
            }
            Ok(violations)
        }
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
        Find::new(Filter::All).sort(by.then_ascending(Field::ID)).projection(Projection::include(kept));
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
            if violations.len() as u64 >= VIOLATIONS {
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
        .limit(VIOLATIONS.cast_signed())
        .projection(doc! { "_id": 1 });
    let found = async { found.await?.try_collect::<Vec<_>>().await }.await;
    let id = |document: Document| document.get("_id").map(ToString::to_string).unwrap_or_default();
    // The error is reported without their names if the server cannot list them.
    Ok(found.unwrap_or_default().into_iter().map(|document| violation(collection, id(document))).collect())
}

fn violation(collection: &str, id: String) -> Violation {
    Violation { collection: collection.to_owned(), id, why: "does not satisfy the validator".into() }
}
