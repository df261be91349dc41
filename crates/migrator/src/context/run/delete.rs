use docstore::{Collection, Field, Filter};

use super::Here;
use super::walk::{Page, Part};
use crate::Result;
use crate::context::pages::Stretch;
use crate::journal::{CHUNK, Record};
use crate::session::Scope;

impl Here<'_> {
    /// Deletes the matches of a stretch.
    pub(super) async fn delete(
        &self,
        scope: &Scope,
        collection: &Collection,
        stretch: &Stretch,
        filter: &Filter,
    ) -> Result<Part> {
        let these = stretch.filter().also(filter.clone());
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
