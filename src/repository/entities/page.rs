use bson::Bson;
use bson::oid::ObjectId;
use chrono::{DateTime, Utc};
use docstore::{Direction, Filter, Find, Index, Projection, Update};

use crate::domain::{Id, Page, PageDraft, PagePatch, Restored, TrashType, Visibility};
use crate::repository::lists::order::{self, OrderField};
use crate::repository::row::{
    Row, VERSION, fields, flag_or_true, is_deleted, not_deleted, reference, refers, text,
};
use crate::repository::writes::placeholder;
use crate::repository::{BadField, DraftFields, Entity, Error, New, Repository, SoftDelete, Versioned};

const TYPE: &str = "page_type";

fields! {
    PageDraft, PagePatch {
        title: text => "title",
        content: text => "content",
        page_type: text => "page_type",
        // Pages of the original without the field are published.
        is_published: flag_or_true => "is_published",
    }
}

impl Entity for Page {
    const COLLECTION: &'static str = "pages";
    const ORDER: &'static [OrderField] = &[(TYPE, Direction::Ascending)];
    type Filter = Visibility;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on([TYPE]).unique(),
            Index::on(["is_published"]),
            Index::on(["user_id"]),
            Index::on(["section_id"]),
        ];
        own.into_iter().chain(order::for_deleted()).collect()
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self {
            meta: row.meta()?,
            draft: PageDraft::read(row)?,
            section_id: row.read("section_id", reference)?,
        })
    }

    fn filter(filter: &Visibility) -> Filter {
        Self::visible(*filter)
    }

    /// A page without the field is published.
    fn visible(visibility: Visibility) -> Filter {
        let published = Filter::ne("is_published", false);
        match visibility {
            Visibility::Published => published,
            Visibility::PublishedOrOwned(owner) => Filter::or([published, refers("user_id", owner)]),
            Visibility::All => Filter::All,
        }
    }
}

impl SoftDelete for Page {
    const TRASH_TYPE: TrashType = TrashType::Pages;
    const NAME_FIELD: &'static str = TYPE;
    const FORMER_NAME_FIELD: &'static str = "page_type_before";
}

/// The outcome of restoring a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRestore {
    /// The page is restored.
    Restored(Restored),
    /// The page is not in the trash.
    NotFound,
    /// Another page has its type, which is this one.
    TypeTaken(String),
}

impl Repository<Page> {
    /// Restores a deleted page under its former type.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read; it stays in the trash.
    pub async fn restore_page(&self, id: Id, now: DateTime<Utc>) -> Result<PageRestore, Error> {
        let Some(document) = self.find_restorable(id).await? else { return Ok(PageRestore::NotFound) };
        let text = |field| document.get_str(field).ok();
        let page_type = text(Page::FORMER_NAME_FIELD).or_else(|| text(TYPE)).unwrap_or_default();
        loop {
            match self.undelete(id, page_type, Update::new()).await {
                Ok(true) => break,
                Ok(false) => return Ok(PageRestore::NotFound),
                Err(error) if error.is_duplicate(TYPE) => {}
                Err(error) => return Err(error),
            }
            if self.find_versioned_by_type(page_type).await?.is_some() {
                return Ok(PageRestore::TypeTaken(page_type.to_owned()));
            }
            self.release_type(page_type, now).await?;
        }
        let title = text("title").unwrap_or_default().to_owned();
        Ok(PageRestore::Restored(Restored { id, title, slug: page_type.to_owned() }))
    }

    /// Returns the page of this type, published or not.
    pub async fn find_versioned_by_type(&self, page_type: &str) -> Result<Option<Versioned<Page>>, Error> {
        self.find_one_versioned(Filter::eq(TYPE, page_type).also(not_deleted())).await
    }

    /// Inserts a page; `None` if a page of its type exists.
    ///
    /// The unique index covers deleted pages too. A deleted page that has the type is renamed to `~<its id>`, which no
    /// request can name, and keeps its type in `page_type_before` until it is restored.
    pub async fn insert_page(
        &self,
        new: &New<Page>,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<Page>>, Error> {
        let page_type = &new.draft.page_type;
        loop {
            match self.insert(new, now).await {
                Ok(stored) => return Ok(Some(stored)),
                Err(error) if error.is_duplicate(TYPE) => {}
                Err(error) => return Err(error),
            }
            if self.find_versioned_by_type(page_type).await?.is_some() {
                return Ok(None);
            }
            self.release_type(page_type, now).await?;
        }
    }

    /// Renames the page of a section whose slug changed: pages of the type `from`, deleted ones too, get the type `to`.
    /// Pages of old databases may belong to no section; their type names it.
    pub async fn follow_section(
        &self,
        section: Id,
        from: &str,
        to: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let named = Filter::or([Filter::eq(TYPE, from), Filter::eq(Page::FORMER_NAME_FIELD, from)]);
        let of_section = Filter::or([refers("section_id", section), Filter::eq("section_id", Bson::Null)]);
        let find = Find::new(named.also(of_section)).projection(Projection::include([TYPE]));
        for page in self.collection.find(find).await?.documents().await? {
            let Ok(id) = page.get_object_id("_id") else { continue };
            self.remember_name(from, Id::from(id), now).await?;
            let deleted =
                Update::new().set(TYPE, placeholder(&Bson::ObjectId(id))).set(Page::FORMER_NAME_FIELD, to);
            let deleted = deleted.inc(VERSION, 1_i64);
            if self.collection.update_one(&Filter::id(id).also(is_deleted()), &deleted).await?.matched == 0 {
                self.rename_page(id, from, to, now).await?;
            }
        }
        Ok(())
    }

    /// Changes the type of a page that is not deleted, unless another page has the new one.
    async fn rename_page(&self, id: ObjectId, from: &str, to: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let unchanged = Filter::and([Filter::id(id), Filter::eq(TYPE, from), not_deleted()]);
        let update = Update::new().set(TYPE, to).inc(VERSION, 1_i64);
        self.release_type(to, now).await?;
        match self.collection.update_one(&unchanged, &update).await.map_err(Error::from) {
            Err(error) if error.is_duplicate(TYPE) => {
                tracing::warn!(page.id = %id, from, to, "a page keeps its address: another page has that of its section");
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// Takes the type from a deleted page, if one has it.
    async fn release_type(&self, page_type: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let find = Find::new(Filter::eq(TYPE, page_type).also(is_deleted()));
        match self.collection.find_one(find).await? {
            Some(deleted) => self.release_name(page_type, &deleted, now).await,
            None => Ok(()),
        }
    }
}
