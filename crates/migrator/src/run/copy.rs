use bson::{Bson, Document};
use docstore::{Collection, Filter, Projection, Store};

use super::batches::{Page, Part};
use super::id_scan::IdRange;
use super::live::StepContext;
use super::session::Scope;
use crate::Result;
use crate::journal::{self, CHUNK, Record};

impl StepContext<'_> {
    /// Copies the matches of a range.
    pub(super) async fn copy(
        &self,
        scope: &Scope,
        collection: &Collection,
        range: &IdRange,
        filter: &Filter,
        to: &str,
    ) -> Result<Part> {
        let page = Page::read(collection, range.filter().also(filter.clone()), None).await?;
        let to = scope.collection(to);
        let documents = page.documents.len();
        let mut part = Part { cut: page.cut, ..Part::default() };
        let missing = absent(&to, page.documents).await?;
        part.left = (documents - missing.len()) as u64;
        if !missing.is_empty() {
            part.inserted = missing.len() as u64;
            part.noted = self.note(scope, to.name(), &inserted(&missing)?).await?;
            to.insert_many(missing).await?;
        }
        Ok(part)
    }
}

/// Those of which no document with the same id is there.
async fn absent(to: &Collection, documents: Vec<Document>) -> Result<Vec<Document>> {
    let mut missing = Vec::with_capacity(documents.len());
    let mut rest = documents.into_iter();
    loop {
        let chunk: Vec<Document> = rest.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(missing);
        }
        let ids: Vec<Bson> = chunk.iter().filter_map(|document| document.get("_id").cloned()).collect();
        let found = journal::by_id(to, &ids, Some(Projection::Include(Vec::new()))).await?;
        missing.extend(chunk.into_iter().filter(|d| !found.contains_key(&journal::text(d.get("_id")))));
    }
}

/// The journal's record of documents that are about to be inserted.
pub(super) fn inserted(documents: &[Document]) -> Result<Record> {
    let ids = documents.iter().filter_map(|document| document.get("_id").cloned()).collect();
    let prints = documents.iter().map(journal::print).collect::<Result<_>>()?;
    Ok(Record::Inserted { ids, prints })
}
