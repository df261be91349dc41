use bson::RawDocumentBuf;

/// Most documents of one batch.
pub(crate) const DOCUMENTS: usize = 500;
/// Bytes after which a batch is full.
pub(crate) const BYTES: usize = 1024 * 1024;

/// Collects raw documents into batches of bounded size.
#[derive(Default)]
pub(crate) struct RawBatch {
    documents: Vec<RawDocumentBuf>,
    bytes: usize,
}

impl RawBatch {
    pub(crate) fn push(&mut self, document: RawDocumentBuf) {
        self.bytes += document.as_bytes().len();
        self.documents.push(document);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.documents.len() >= DOCUMENTS || self.bytes >= BYTES
    }

    /// Empties the batch and returns its documents.
    pub(crate) fn take(&mut self) -> Vec<RawDocumentBuf> {
        std::mem::take(self).documents
    }
}
