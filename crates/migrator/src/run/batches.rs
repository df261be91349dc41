use std::time::{Duration, Instant};

use async_trait::async_trait;
use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Find, Projection, Sort, Store};

use super::attempt::Attempt;
use super::batch_sizer::BatchSizer;
use super::id_scan::{IdRange, IdScan};
use super::live::{LiveSink, StepContext};
use super::progress::Progress;
use super::session::{Batch, RetryPolicy, Scope};
use super::work::{Change, Work};
use crate::{Event, Result, StepCounts};

/// What is over sooner needs no bar.
const COUNT_AFTER: Duration = Duration::from_secs(1);
/// A page that is read into memory is cut off here, so that one batch stays far below the limits of the server and of
/// this process. Its journal entry has these bytes at the most, or one document.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What came of one range.
#[derive(Default)]
pub(super) struct Part {
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) left: u64,
    /// The bytes of its journal entry.
    pub(super) noted: i64,
    /// The last document that was handled, if the range goes on after it.
    pub(super) cut: Option<Bson>,
}

impl LiveSink<'_> {
    /// Goes through a collection. Returns how many documents this attempt changed.
    pub(super) async fn walk(&self, attempt: &mut Attempt, at: usize, work: &Work<'_>) -> Result<u64> {
        let step = attempt.counts[at].step.clone();
        if attempt.keeps_progress() && attempt.progress.is_done(&step) {
            return Ok(0);
        }
        // A look first: where nothing is to be done nothing is written.
        let collection = self.store().collection(&attempt.counts[at].collection);
        if collection.find_one(Find::new(wanted(work).clone())).await?.is_none() {
            return Ok(0);
        }
        let mut scan =
            if attempt.keeps_progress() { attempt.progress.scan(&step) } else { IdScan::default() };
        let mut sizer = if self.whole.is_some() { BatchSizer::whole() } else { BatchSizer::new() };
        let mut retry = RetryPolicy::new();
        let migration = attempt.migration.clone();
        let mut total = 0;
        let mut to_count = Some(Instant::now());
        while !scan.is_end() {
            if to_count.is_some_and(|began| began.elapsed() >= COUNT_AFTER) && self.whole.is_none() {
                to_count = None;
                self.count(attempt, at, work).await?;
            }
            let began = Instant::now();
            let batch = Walk {
                ctx: StepContext { session: self.session, attempt, at },
                work,
                scan: &scan,
                size: sizer.size(),
            };
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
            let before = &attempt.counts[at];
            total += (done.counts.inserted - before.inserted)
                + (done.counts.updated - before.updated)
                + (done.counts.deleted - before.deleted);
            scan = done.scan;
            attempt.counts[at] = done.counts;
            attempt.progress = done.progress;
            attempt.writer.written(done.noted);
            self.session.tell(&Event::Progress { migration: &migration, counts: &attempt.counts[at] });
            if self.whole.is_none() && !scan.is_end() {
                sizer.throttle(self.db(), self.session.settings).await?;
            }
        }
        Ok(total)
    }
}

impl LiveSink<'_> {
    /// Tells how many documents a step is about, so that it can be told how far it is.
    async fn count(&self, attempt: &Attempt, at: usize, work: &Work<'_>) -> Result<()> {
        let counts = &attempt.counts[at];
        let matching = self.store().collection(&counts.collection).count(wanted(work)).await?;
        let done = counts.inserted + counts.updated + counts.deleted + counts.left;
        // What is done matches no longer, unless it is copied or the change is made up by a function.
        let total = match work {
            Work::Copy { .. } | Work::Change { change: Change::Each { .. }, .. } => matching,
            _ => matching + done,
        };
        self.session.tell(&Event::Counted { migration: &attempt.migration, total });
        Ok(())
    }
}

/// The documents that a step is about.
fn wanted<'w>(work: &'w Work<'_>) -> &'w Filter {
    match work {
        Work::Change { open: filter, .. } | Work::Delete { filter } | Work::Copy { filter, .. } => filter,
        Work::Insert { key, .. } => key,
        Work::InsertMany { .. } | Work::CreateIndex { .. } | Work::DropIndex { .. } => &Filter::All,
    }
}

/// The next range of a step.
struct Walk<'a> {
    ctx: StepContext<'a>,
    work: &'a Work<'a>,
    scan: &'a IdScan,
    size: u64,
}

struct Walked {
    counts: StepCounts,
    scan: IdScan,
    progress: Progress,
    noted: i64,
}

#[async_trait]
impl Batch for Walk<'_> {
    type Out = Walked;

    async fn run(&self, scope: &Scope) -> Result<Walked> {
        let StepContext { session, attempt, .. } = self.ctx;
        let migration = &attempt.migration;
        let mut counts = self.ctx.counts().clone();
        let collection = scope.collection(&counts.collection);
        let (scan, part) = match self.scan.next(&collection, self.size).await? {
            None => (self.scan.at_end(), Part::default()),
            Some(mut range) => {
                LiveSink::before(session, attempt, scope).await?;
                let part = self.range(scope, &collection, &range).await?;
                session.boundary(migration, scope).await?;
                if let Some(last) = &part.cut {
                    range.cut(last.clone());
                }
                (self.scan.after(&range), part)
            }
        };
        let changed = part.inserted + part.updated + part.deleted;
        counts.inserted += part.inserted;
        counts.updated += part.updated;
        counts.deleted += part.deleted;
        counts.left += part.left;
        let mut progress = attempt.progress.clone();
        if attempt.keeps_progress() {
            progress = progress.with(&counts.step, &scan);
        }
        // Without anything to say the ledger is not written for each range.
        if !attempt.is_whole() && (changed > 0 || attempt.keeps_progress()) {
            let mut all = attempt.counts.clone();
            all[self.ctx.at] = counts.clone();
            session.touch(scope, migration, &all, &attempt.warnings, Some(&progress)).await?;
        }
        Ok(Walked { counts, scan, progress, noted: part.noted })
    }
}

impl Walk<'_> {
    async fn range(&self, scope: &Scope, collection: &Collection, range: &IdRange) -> Result<Part> {
        match self.work {
            Work::Change { open, change } => self.ctx.change(scope, collection, range, open, change).await,
            Work::Delete { filter } => self.ctx.delete(scope, collection, range, filter).await,
            Work::Copy { to, filter } => self.ctx.copy(scope, collection, range, filter, to).await,
            Work::Insert { .. }
            | Work::InsertMany { .. }
            | Work::CreateIndex { .. }
            | Work::DropIndex { .. } => Ok(Part::default()),
        }
    }
}

/// What a range holds of a filter's documents, as far as it fits, and where it was cut off.
pub(super) struct Page {
    pub(super) documents: Vec<Document>,
    pub(super) cut: Option<Bson>,
}

impl Page {
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
        let mut page = Self { documents: Vec::new(), cut: None };
        let mut bytes = 0;
        while let Some(raw) = cursor.next_raw().await? {
            bytes += raw.as_bytes().len();
            if bytes > MOST_BYTES && !page.documents.is_empty() {
                page.cut = page.documents.last().and_then(|last| last.get("_id").cloned());
                break;
            }
            page.documents.push(docstore_document(&raw)?);
        }
        Ok(page)
    }

    pub(super) fn ids(&self) -> Vec<Bson> {
        self.documents.iter().filter_map(|document| document.get("_id").cloned()).collect()
    }
}

fn docstore_document(raw: &bson::RawDocument) -> Result<Document> {
    Document::try_from(raw).map_err(|_| crate::Error::migration("a stored document cannot be read"))
}
