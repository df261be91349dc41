use std::sync::atomic::{AtomicI64, Ordering};

use docstore::Store;

use super::{JOURNAL, Record};
use crate::run::{RunSession, Scope};
use crate::{Error, Result};

/// Writes the journal of one attempt at a migration.
#[derive(Debug, Default)]
pub(crate) struct JournalWriter {
    /// The number of the last entry. A retried batch takes a new number, since the entry of its first try may exist.
    n: AtomicI64,
    /// The size of all entries.
    bytes: AtomicI64,
}

impl JournalWriter {
    /// Continues after the last entry of an earlier attempt: its number, and the size of all entries.
    pub(crate) fn after((n, bytes): (i64, i64)) -> Self {
        Self { n: n.into(), bytes: bytes.into() }
    }

    /// Adds the size of an entry whose batch was committed.
    pub(crate) fn written(&self, bytes: i64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Writes an entry. Returns its size, to be passed to [`JournalWriter::written`] once the batch is committed.
    ///
    /// # Errors
    /// [`Error::JournalFull`] if the journal would exceed its limit; nothing of the batch is written.
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
            .map_err(|_| Error::migration(format!("failed to encode the journal entry of step {step:?}")))?;
        let size = i64::try_from(size.as_bytes().len()).unwrap_or(i64::MAX);
        let total = self.bytes.load(Ordering::SeqCst).saturating_add(size);
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
