use std::time::{Duration, Instant};

use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Find, Projection, Sort, Store};

use super::attempt::Attempt;
use super::batch_sizer::BatchSizer;
use super::id_scan::{IdScan, Progress};
use super::live::{LiveSink, StepContext};
use super::session::{Batch, RetryPolicy, Scope};
use crate::operation::Operation;
use crate::{Error, Event, Result, StepCounts};

/// Steps that end sooner need no total for a progress bar.
const COUNT_AFTER: Duration = Duration::from_secs(1);
/// The size at which a batch of documents is cut off, so that it stays far below the limits of the server and of this
/// process. A journal entry is at most this large, or has one document.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The outcome of an operation on a range of ids.
#[derive(Default)]
pub(super) struct RangeOutcome {
    /// The size of the journal entry.
    pub(super) journal_bytes: i64,
    /// The last document that was handled, if the range continues after it.
    pub(super) cut: Option<Bson>,
}

impl LiveSink<'_> {
    /// Executes an operation on existing documents in batches, in the order of their ids. Returns the number of documents
    /// that this attempt changed.
    pub(super) async fn run_batches(
        &self,
        attempt: &mut Attempt,
        at: usize,
        operation: &Operation,
    ) -> Result<u64> {
        let StepCounts { step, collection, .. } = attempt.counts[at].clone();
        let Some(filter) = operation.pending() else { return Ok(0) };
        if attempt.keeps_progress() && attempt.progress.is_done(&step) {
            return Ok(0);
        }
        // Where no document matches nothing is written, not even to the ledger.
        if self.store().collection(&collection).find_one(Find::new(filter.clone())).await?.is_none() {
            return Ok(0);
        }
        let mut scan =
            if attempt.keeps_progress() { attempt.progress.scan(&step) } else { IdScan::default() };
        let mut sizer = match self.whole {
            Some(_) => BatchSizer::whole(),
            None => BatchSizer::new(self.session.settings),
        };
        let mut retry = RetryPolicy::new();
        let migration = attempt.migration.clone();
        let mut total = 0;
        let mut started = Some(Instant::now());
        while !scan.is_end() {
            if self.whole.is_none() && started.is_some_and(|started| started.elapsed() >= COUNT_AFTER) {
                started = None;
                self.emit_total(attempt, at, operation, &filter).await?;
            }
            let began = Instant::now();
            let ctx = StepContext { session: self.session, attempt, at };
            let batch = RangeBatch { ctx, operation, filter: &filter, scan: &scan, size: sizer.size() };
            let done = match self.whole {
                Some(_) => self.batch(&migration, &batch).await?,
                None => match self.session.once(&migration, &batch).await {
                    Ok(done) => done,
                    Err(error) if retry.again(&migration, &error).await => {
                        sizer.conflicted();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            sizer.took(began.elapsed());
            retry = RetryPolicy::new();
            total += done.counts.changed() - attempt.counts[at].changed();
            scan = done.scan;
            attempt.counts[at] = done.counts;
            attempt.progress = done.progress;
            attempt.writer.written(done.journal_bytes);
            self.session.emit(&Event::Progress { migration: &migration, counts: &attempt.counts[at] });
            if self.whole.is_none() && !scan.is_end() {
                sizer.throttle(self.db(), self.session.settings).await?;
            }
        }
        Ok(total)
    }

    /// Reports the number of documents that a step will have handled at its end.
    async fn emit_total(
        &self,
        attempt: &Attempt,
        at: usize,
        operation: &Operation,
        filter: &Filter,
    ) -> Result<()> {
        let counts = &attempt.counts[at];
        let matching = self.store().collection(&counts.collection).count(filter).await?;
        // Handled documents match no longer, except those that were copied or updated by a function.
        let total = match operation {
            Operation::Copy { .. }
            | Operation::CopyField { only_missing: false, .. }
            | Operation::UpdateEach { .. } => matching,
            _ => matching + counts.changed() + counts.left,
        };
        self.session.emit(&Event::Counted { migration: &attempt.migration, total });
        Ok(())
    }
}

/// The next range of a step.
pub(super) struct RangeBatch<'a> {
    pub(super) ctx: StepContext<'a>,
    pub(super) operation: &'a Operation,
    /// The operation's pending documents.
    pub(super) filter: &'a Filter,
    scan: &'a IdScan,
    size: u64,
}

/// The state of a step after a batch.
pub(super) struct RangeBatchOutcome {
    counts: StepCounts,
    scan: IdScan,
    progress: Progress,
    journal_bytes: i64,
}

impl Batch for RangeBatch<'_> {
    type Out = RangeBatchOutcome;

    async fn run(&self, scope: &Scope) -> Result<RangeBatchOutcome> {
        let Self { ctx, scan, .. } = self;
        let StepContext { session, attempt, .. } = ctx;
        let mut counts = ctx.counts().clone();
        let collection = scope.collection(&counts.collection);
        let (scan, journal_bytes) = match scan.next(&collection, self.size).await? {
            None => (scan.at_end(), 0),
            Some(mut range) => {
                ctx.begin_batch(scope).await?;
                let matching = range.filter().also(self.filter.clone());
                let outcome = match self.operation {
                    Operation::Delete { .. } => {
                        self.delete(scope, &collection, matching, &mut counts).await?
                    }
                    Operation::Copy { to, .. } => {
                        self.copy(scope, &collection, matching, to, &mut counts).await?
                    }
                    _ => self.change(scope, &collection, matching, &mut counts).await?,
                };
                session.boundary(&attempt.migration, scope).await?;
                if let Some(last) = outcome.cut {
                    range.cut(last);
                }
                (scan.after(&range), outcome.journal_bytes)
            }
        };
        let mut progress = attempt.progress.clone();
        if attempt.keeps_progress() {
            progress = progress.with(&counts.step, &scan);
        }
        // The ledger is not written for a range in which nothing changed.
        if counts.changed() > ctx.counts().changed() || attempt.keeps_progress() {
            ctx.record_counts(scope, &counts, Some(&progress)).await?;
        }
        Ok(RangeBatchOutcome { counts, scan, progress, journal_bytes })
    }
}

/// The matching documents of a range, up to [`BATCH_BYTES`].
pub(super) struct Documents {
    pub(super) documents: Vec<Document>,
    /// The id of the last document, if more documents follow.
    pub(super) cut: Option<Bson>,
}

impl Documents {
    pub(super) async fn read(
        collection: &Collection,
        filter: Filter,
        projection: Option<Projection>,
    ) -> Result<Self> {
        let mut find = Find::new(filter).sort(Sort::ascending(Field::ID));
        if let Some(projection) = projection {
            find = find.projection(projection);
        }
        let mut cursor = collection.find(find).await?;
        let mut read = Self { documents: Vec::new(), cut: None };
        let mut bytes = 0;
        while let Some(raw) = cursor.next_raw().await? {
            bytes += raw.as_bytes().len();
            if bytes > BATCH_BYTES && !read.documents.is_empty() {
                read.cut = read.documents.last().and_then(|last| last.get("_id").cloned());
                break;
            }
            let document = Document::try_from(&*raw);
            read.documents
                .push(document.map_err(|_| Error::migration("failed to decode a stored document"))?);
        }
        Ok(read)
    }

    pub(super) fn ids(&self) -> Vec<Bson> {
        self.documents.iter().filter_map(|document| document.get("_id").cloned()).collect()
    }
}
