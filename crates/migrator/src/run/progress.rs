use bson::{Bson, Document, doc};

use super::id_scan::IdScan;

/// How far the steps of a batched migration have come. It is in the ledger's entry, written with each batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// The steps that came to their end.
    done: Vec<String>,
    /// The step at hand, and how far it has come.
    at: Option<(String, IdScan)>,
}

impl Progress {
    /// Whether a step came to its end in an earlier attempt.
    pub(crate) fn is_done(&self, step: &str) -> bool {
        self.done.iter().any(|done| done == step)
    }

    /// Where a step goes on.
    pub(crate) fn scan(&self, step: &str) -> IdScan {
        self.at.as_ref().filter(|(at, _)| at == step).map(|(_, scan)| scan.clone()).unwrap_or_default()
    }

    /// The same with a step come this far.
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

    /// For the ledger; `None` if there is nothing to say.
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

    /// From the ledger.
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
    fn it_survives_the_ledger() {
        let scan = IdScan::from_document(&doc! { "last": [2, "t"], "within_type": true });
        let progress = Progress::default().with("a", &IdScan::default().at_end()).with("b", &scan);
        let Some(Bson::Document(kept)) = progress.to_bson() else { panic!("there is something to keep") };
        let read = Progress::from_document(&kept);
        assert_eq!(read, progress);
        assert!(read.is_done("a") && !read.is_done("b"));
        assert_eq!(read.scan("b"), scan);
        assert_eq!(read.scan("c"), IdScan::default());
        assert_eq!(Progress::default().to_bson(), None);
    }
}
