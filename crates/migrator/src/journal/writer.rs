use std::sync::atomic::{AtomicI64, Ordering};

use docstore::Store;

use super::{JOURNAL, Record};
use crate::run::{RunSession, Scope};
use crate::{Error, Result};

/// Writes a migration's journal.
#[derive(Debug, Default)]
pub(crate) struct JournalWriter {
    /// The number of the last entry that was begun. A batch that is begun anew takes a number of its own: what the
    /// first try wrote may be there.
    n: AtomicI64,
    /// The bytes of all entries.
    bytes: AtomicI64,
}

impl JournalWriter {
    /// Goes on after the last entry.
    pub(crate) fn after((n, bytes): (i64, i64)) -> Self {
        Self { n: n.into(), bytes: bytes.into() }
    }

    /// The bytes of all entries.
    fn bytes(&self) -> i64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Counts an entry whose batch is done.
    pub(crate) fn written(&self, bytes: i64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Writes an entry; returns its bytes, to be told to [`JournalWriter::written`] once its batch is done.
    ///
    /// # Errors
    /// [`Error::JournalFull`] if the journal would become larger than it may; nothing of the batch is changed.
    pub(crate) async fn write(
        &self,
        session: &RunSession<'_>,
        scope: &Scope,
        (migration, step, collection): (&str, &str, &str),
        record: &Record,
    ) -> Result<i64> {
        let n = self.n.fetch_add(1, Ordering::SeqCst) + 1;
        let mut entry = record.to_document(migration, n);
        entry.insert("step", step);
        entry.insert("collection", collection);
        entry.insert("run_id", session.runner.run_id.as_str());
        let size = bson::serialize_to_raw_document_buf(&entry)
            .map_err(|_| Error::migration(format!("step {step:?} changes what cannot be written down")))?;
        let size = i64::try_from(size.as_bytes().len()).unwrap_or(i64::MAX);
        let total = self.bytes().saturating_add(size);
        let cap = session.settings.journal_cap_bytes;
        if u64::try_from(total).unwrap_or(0) > cap {
            return Err(Error::JournalFull { id: migration.into(), cap });
        }
        entry.insert("total", total);
        scope.collection(JOURNAL).insert_one(entry).await?;
        session.boundary(migration, scope).await?;
        Ok(size)
    }
}
