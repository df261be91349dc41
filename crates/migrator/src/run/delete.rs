use docstore::{Collection, Field, Filter};

use super::batches::{Page, Part};
use super::id_scan::IdRange;
use super::live::StepContext;
use super::session::Scope;
use crate::Result;
use crate::journal::{CHUNK, Record};

impl StepContext<'_> {
    /// Deletes the matches of a range.
    pub(super) async fn delete(
        &self,
        scope: &Scope,
        collection: &Collection,
        range: &IdRange,
        filter: &Filter,
    ) -> Result<Part> {
        let these = range.filter().also(filter.clone());
        if !self.attempt.journal {
            let deleted = collection.delete_many(&these).await?;
            return Ok(Part { deleted, ..Part::default() });
        }
        let page = Page::read(collection, these, None).await?;
        if page.documents.is_empty() {
            return Ok(Part::default());
        }
        let ids = page.ids();
        let record = Record::Deleted { documents: page.documents };
        let mut part = Part { cut: page.cut, ..Part::default() };
        part.noted = self.note(scope, collection.name(), &record).await?;
        for ids in ids.chunks(CHUNK) {
            let these = Filter::is_in(Field::ID, ids.iter().cloned()).also(filter.clone());
            part.deleted += collection.delete_many(&these).await?;
        }
        Ok(part)
    }
}
