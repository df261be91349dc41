//! Damage and a full disk, as far as operations have noticed them. Readiness reports both.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::{Error, Problem};

/// From this number of damaged documents, or of reads that met damaged pages, the store is no longer fit to serve.
const REPEATED: u64 = 3;
/// Maximum number of damaged documents that are distinguished.
const MAX_DOCUMENTS: usize = 1000;

/// The faults that operations have noticed since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    documents: Mutex<BTreeSet<String>>,
    pages: AtomicU64,
    full: AtomicBool,
}

impl Condition {
    /// Records the error of an operation. Logs each damaged document once.
    pub(crate) fn record(&self, error: &Error) {
        match error.root() {
            Error::Damaged { document, source } => {
                let mut documents = self.documents.lock();
                if documents.len() < MAX_DOCUMENTS && documents.insert(document.clone()) {
                    tracing::error!(document, error = %source, "a stored document is damaged");
                }
            }
            Error::Engine { what, source } if *what == super::error::DAMAGED => {
                self.pages.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = %source, "the store file is damaged");
            }
            Error::DiskFull(_) => self.set_full(true),
            _ => {}
        }
    }

    /// Records whether the last write found the disk full.
    pub(crate) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            if full {
                tracing::error!("the disk of the store is full: writes fail");
            } else {
                tracing::info!("the disk of the store has space again");
            }
        }
    }

    /// Returns whether the last write found the disk full.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Returns the worst problem.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let (documents, pages) = (self.documents.lock().len() as u64, self.pages.load(Ordering::Relaxed));
        if documents + pages > 0 {
            let reason = format!(
                "the store file is damaged: {documents} damaged documents, {pages} reads that met damaged pages; see the log"
            );
            return Some(Problem { reason, serves: documents < REPEATED && pages < REPEATED });
        }
        self.is_full().then(|| Problem {
            reason: "the disk of the store is full: content is served, writes fail".to_owned(),
            serves: true,
        })
    }
}
