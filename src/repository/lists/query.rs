//! Lists: a window over them, or a walk through them.

use bson::{RawDocument, RawDocumentBuf};
use docstore::Find;

use super::cursor::CursorPosition;
use super::totals::Known;
use crate::domain::{CursorPage, Listing, PageRequest, Position, Window};
use crate::repository::{Entity, Error, Repository};

impl<E: Entity> Repository<E> {
    /// What a filter means, as much of it as is asked for, in the order of lists. Documents that cannot be read are
    /// passed over; they are logged once each and counted.
    ///
    /// # Errors
    /// [`Error::Cursor`] if the walk is one over another list.
    pub async fn list(&self, filter: &E::Filter, page: impl Into<PageRequest>) -> Result<Listing<E>, Error> {
        self.page(Self::list_query(filter), page.into(), Self::read).await
    }

    /// A page of a list.
    pub(in crate::repository) async fn page<T>(
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
            Position::Cursor(cursor) => self.cursor_page(list, cursor, limit).await?,
        };
        let items = documents.iter().filter_map(|document| self.or_skip(read(document))).collect();
        Ok(Listing { items, total, window: Window { limit, offset }, cursor_page })
    }

    /// The next page of a walk, and how much of it lies behind.
    async fn cursor_page(
        &self,
        list: Find,
        cursor: Option<String>,
        limit: u64,
    ) -> Result<(Vec<RawDocumentBuf>, u64, u64, Option<CursorPage>), Error> {
        let mut find = list.clone().after(Vec::new());
        let mut passed = 0;
        if let Some(cursor) = cursor {
            let position = self.cursors.open(&list, &cursor).await?;
            passed = position.passed;
            find = find.after(position.values);
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_position = |document: &RawDocumentBuf| list.sort.position(document).is_ok();
        let mut asked = limit;
        loop {
            // One more than is shown, which says whether there is more.
            let (mut documents, total) = self.with_total(find.clone().limit(asked.saturating_add(1))).await?;
            if documents.len() as u64 <= asked {
                return Ok((documents, total, passed, Some(CursorPage { next: None })));
            }
            documents.pop();
            // In old databases documents may stand where no position says. None of those can be shown, so a page ends
            // before or behind them.
            let (shown, beyond) = documents.split_at(most.min(documents.len()));
            let end = shown.iter().rposition(has_position);
            let end = end.or_else(|| beyond.iter().position(has_position).map(|end| most + end));
            if let Some(end) = end {
                documents.truncate(end + 1);
                let values = list.sort.position(&documents[end])?;
                let position =
                    CursorPosition { passed: passed.saturating_add(documents.len() as u64), values };
                let next = Some(self.cursors.seal(&list, &position).await?);
                return Ok((documents, total, passed, Some(CursorPage { next })));
            }
            asked = asked.saturating_mul(2);
        }
    }

    /// The documents of a read, and how many its filter means.
    async fn with_total(&self, find: Find) -> Result<(Vec<RawDocumentBuf>, u64), Error> {
        let window_end = find.skip.saturating_add(find.limit.unwrap_or(u64::MAX));
        let from_beginning = find.after.as_ref().is_none_or(Vec::is_empty);
        match self.totals.known(&find.filter) {
            Known::Total(total) => Ok((self.documents(find).await?, total)),
            Known::Nothing if from_beginning => self.up_to_the_end(find).await,
            Known::About(about) if from_beginning && about <= window_end => self.up_to_the_end(find).await,
            Known::About(_) | Known::Nothing => {
                let filter = find.filter.clone();
                Ok(tokio::try_join!(self.documents(find), self.totals.count(&filter))?)
            }
        }
    }

    /// The same where the window may show the end of the list: then there is nothing to count. One document more than is
    /// shown says whether it does.
    async fn up_to_the_end(&self, find: Find) -> Result<(Vec<RawDocumentBuf>, u64), Error> {
        let (filter, skip, shown) = (find.filter.clone(), find.skip, find.limit);
        let find = match (shown, &find.after) {
            (Some(shown), None) => find.limit(shown.saturating_add(1)),
            // A walk asks for one more by itself.
            _ => find,
        };
        let asked = find.limit;
        let mut documents = self.documents(find).await?;
        let found = documents.len() as u64;
        let ends = asked.is_none_or(|asked| found < asked) && (found > 0 || skip == 0);
        let total = if ends { skip + found } else { self.totals.count(&filter).await? };
        documents.truncate(shown.and_then(|shown| usize::try_from(shown).ok()).unwrap_or(usize::MAX));
        Ok((documents, total))
    }

    async fn documents(&self, find: Find) -> Result<Vec<RawDocumentBuf>, docstore::Error> {
        self.collection.find(find).await?.raw_documents().await
    }
}
