use bson::{Bson, Document, doc};

use super::id_scan::IdScan;

/// The position of a batched migration: stored in the ledger's entry with each batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// The completed steps.
    done: Vec<String>,
    /// The current step and the position in its collection.
    at: Option<(String, IdScan)>,
}

impl Progress {
    /// Returns true if an earlier attempt completed a step.
    pub(crate) fn is_done(&self, step: &str) -> bool {
        self.done.iter().any(|done| done == step)
    }

    /// Returns the position from which a step continues.
    pub(crate) fn scan(&self, step: &str) -> IdScan {
        self.at.as_ref().filter(|(at, _)| at == step).map(|(_, scan)| scan.clone()).unwrap_or_default()
    }

    /// Returns the progress after a batch of a step.
    pub(crate) fn with(&self, step: &str, scan: &IdScan) -> Self {
        let mut next = self.clone();
        if scan.is_end() {
            next.done.push(step.to_owned());
            next.at = None;
        } else {
            next.at = Some((step.to_owned(), scan.clone()));
        }
        next
    }

    /// Returns the progress as it is stored in the ledger; `None` before the first batch.
    pub(crate) fn to_bson(&self) -> Option<Bson> {
        if *self == Self::default() {
            return None;
        }
        let mut document = doc! { "done": self.done.clone() };
        if let Some((step, scan)) = &self.at {
            document.insert("step", step);
            document.insert("pages", scan.to_document());
        }
        Some(document.into())
    }

    /// Parses the progress from the ledger.
    pub(crate) fn from_document(document: &Document) -> Self {
        let done = document.get_array("done").map(Vec::as_slice).unwrap_or_default();
        let at = match (document.get_str("step"), document.get_document("pages")) {
            (Ok(step), Ok(scan)) => Some((step.to_owned(), IdScan::from_document(scan))),
            _ => None,
        };
        Self { done: done.iter().filter_map(|step| step.as_str().map(str::to_owned)).collect(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_round_trips_through_the_ledger() {
        let scan = IdScan::from_document(&doc! { "last": [2, "t"], "within_type": true });
        let progress = Progress::default().with("a", &IdScan::default().at_end()).with("b", &scan);
        let Some(Bson::Document(kept)) = progress.to_bson() else { panic!("progress is stored") };
        let read = Progress::from_document(&kept);
        assert_eq!(read, progress);
        assert!(read.is_done("a") && !read.is_done("b"));
        assert_eq!(read.scan("b"), scan);
        assert_eq!(read.scan("c"), IdScan::default());
        assert_eq!(Progress::default().to_bson(), None);
    }
}
