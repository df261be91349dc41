use bson::{RawDocument, RawDocumentBuf};
use docstore::Find;

use super::cursor::CursorPosition;
use super::totals::KnownTotal;
use crate::domain::{CursorPage, Listing, PageRequest, Position, Window};
use crate::repository::{Entity, Error, Repository};

impl<E: Entity> Repository<E> {
    /// Lists a page of the entities that a filter selects. Documents that cannot be read are skipped, and
    /// logged once each.
    ///
    /// # Errors
    /// [`Error::Cursor`] if the cursor belongs to another list.
    pub async fn list(&self, filter: &E::Filter, page: impl Into<PageRequest>) -> Result<Listing<E>, Error> {
        self.list_page(Self::list_query(filter), page.into(), Self::read).await
    }

    pub(in crate::repository) async fn list_page<T>(
        &self,
        list: Find,
        page: PageRequest,
        read: impl Fn(&RawDocument) -> Result<T, Error>,
    ) -> Result<Listing<T>, Error> {
        let PageRequest { limit, position } = page;
        let (documents, total, offset, cursor_page) = match position {
            Position::Offset(offset) => {
                let (documents, total) = self.with_total(list.skip(offset).limit(limit)).await?;
                (documents, total, offset, None)
            }
            Position::Cursor(cursor) => {
                let (documents, total, passed, next) = self.page_after_cursor(list, cursor, limit).await?;
                (documents, total, passed, Some(CursorPage { next }))
            }
        };
        let items = documents.iter().filter_map(|document| self.or_skip(read(document))).collect();
        Ok(Listing { items, total, window: Window { limit, offset }, cursor_page })
    }

    /// Reads the page after a cursor. Returns its documents, the total, the number of documents before the page, and
    /// the cursor of the next page.
    async fn page_after_cursor(
        &self,
        list: Find,
        cursor: Option<String>,
        limit: u64,
    ) -> Result<(Vec<RawDocumentBuf>, u64, u64, Option<String>), Error> {
        let mut find = list.clone().after(Vec::new());
        let mut passed = 0;
        if let Some(cursor) = cursor {
            let position = self.cursors.open(&list, &cursor).await?;
            passed = position.passed;
            find = find.after(position.values);
        }
        let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_position = |document: &RawDocumentBuf| list.sort.position(document).is_ok();
        let mut requested = limit;
        loop {
            // One extra document tells whether there is a next page.
            let (mut documents, total) =
                self.with_total(find.clone().limit(requested.saturating_add(1))).await?;
            if documents.len() as u64 <= requested {
                return Ok((documents, total, passed, None));
            }
            documents.pop();
            // Some documents of old databases have no position in the order. They cannot be shown, so a page ends
            // before or after them.
            let (shown, beyond) = documents.split_at(page_size.min(documents.len()));
            let end = shown.iter().rposition(has_position);
            let end = end.or_else(|| beyond.iter().position(has_position).map(|end| page_size + end));
            if let Some(end) = end {
                documents.truncate(end + 1);
                let values = list.sort.position(&documents[end])?;
                let position =
                    CursorPosition { passed: passed.saturating_add(documents.len() as u64), values };
                let next = self.cursors.seal(&list, &position).await?;
                return Ok((documents, total, passed, Some(next)));
            }
            requested = requested.saturating_mul(2);
        }
    }

    /// Reads documents, and counts those that the filter selects.
    async fn with_total(&self, find: Find) -> Result<(Vec<RawDocumentBuf>, u64), Error> {
        let window_end = find.skip.saturating_add(find.limit.unwrap_or(u64::MAX));
        let from_beginning = find.after.as_ref().is_none_or(Vec::is_empty);
        match self.totals.known(&find.filter) {
            KnownTotal::Exact(total) => Ok((self.documents(find).await?, total)),
            KnownTotal::Unknown if from_beginning => self.read_to_the_end(find).await,
            KnownTotal::About(about) if from_beginning && about <= window_end => {
                self.read_to_the_end(find).await
            }
            KnownTotal::About(_) | KnownTotal::Unknown => {
                let filter = find.filter.clone();
                Ok(tokio::try_join!(self.documents(find), self.totals.count(&filter))?)
            }
        }
    }

    /// Reads documents of a window that may reach the end of the list. One extra document tells whether it does; then
    /// the total follows without a count.
    async fn read_to_the_end(&self, find: Find) -> Result<(Vec<RawDocumentBuf>, u64), Error> {
        let (filter, skip, shown) = (find.filter.clone(), find.skip, find.limit);
        let find = match (shown, &find.after) {
            (Some(shown), None) => find.limit(shown.saturating_add(1)),
            // A cursor page requests an extra document already.
            _ => find,
        };
        let requested = find.limit;
        let mut documents = self.documents(find).await?;
        let found = documents.len() as u64;
        let at_end = requested.is_none_or(|requested| found < requested) && (found > 0 || skip == 0);
        let total = if at_end { skip + found } else { self.totals.count(&filter).await? };
        documents.truncate(shown.and_then(|shown| usize::try_from(shown).ok()).unwrap_or(usize::MAX));
        Ok((documents, total))
    }

    /// Reads documents; skips damaged ones, which the store counts and logs.
    async fn documents(&self, find: Find) -> Result<Vec<RawDocumentBuf>, docstore::Error> {
        let (documents, _) = self.collection.find(find).await?.readable_documents().await?;
        Ok(documents)
    }
}
