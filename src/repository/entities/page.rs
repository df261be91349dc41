use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};
use docstore::{Filter, Find, Index, Sort, Update};

use crate::domain::{Id, NewPage, Page, PageChange, Restored, TrashType, Visibility};
use crate::repository::lists::order::for_deleted;
use crate::repository::repository::shown;
use crate::repository::row::{
    date, is_deleted, not_deleted, own_id, reference, row, text, truth_or, visible,
};
use crate::repository::{BadField, Entity, Error, Repository, SoftDelete, Versioned, Writable};

const TYPE: &str = "page_type";
/// What a deleted page was called before another took its name.
const TYPE_BEFORE: &str = "page_type_before";

row! {
    /// A page as stored.
    pub struct PageRow {
        id = "_id",
        title = "title",
        content = "content",
        page_type = "page_type",
        is_published = "is_published",
        created = "createdDate",
        updated = "updatedDate",
        user_id = "user_id",
        section_id = "section_id",
    }
}

impl Entity for Page {
    const COLLECTION: &'static str = "pages";
    type Row<'a> = PageRow<'a>;
    type Filter = Visibility;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on([TYPE]).unique(),
            Index::on(["is_published"]),
            Index::on(["user_id"]),
            Index::on(["section_id"]),
        ];
        own.into_iter().chain(for_deleted()).collect()
    }

    fn from_row(row: PageRow<'_>) -> Result<Self, BadField> {
        let PageRow { id, title, content, page_type, is_published, created, updated, user_id, section_id } =
            row;
        Ok(Self {
            id: own_id(id)?,
            title: text(title, "title")?,
            content: text(content, "content")?,
            page_type: text(page_type, TYPE)?,
            // Pages of the original are published where they do not say otherwise.
            is_published: truth_or(is_published, "is_published", true)?,
            created: date(created, "createdDate")?,
            updated: date(updated, "updatedDate")?,
            user_id: reference(user_id, "user_id")?,
            section_id: reference(section_id, "section_id")?,
        })
    }

    fn filter(filter: &Visibility) -> Filter {
        visible(*filter)
    }

    fn sort() -> Sort {
        Sort::ascending(TYPE)
    }
}

impl Writable for Page {
    type New = NewPage;
    type Change = PageChange;

    fn document(new: &NewPage, _now: DateTime<Utc>) -> Document {
        let NewPage { title, content, page_type, is_published, user_id, section_id } = new;
        let mut document = doc! {
            "title": title,
            "content": content,
            TYPE: page_type,
            "is_published": is_published,
            "user_id": user_id.to_string(),
        };
        if let Some(section) = section_id {
            document.insert("section_id", section.to_string());
        }
        document
    }

    fn update(change: &PageChange) -> Update {
        let PageChange { title, content, is_published, section_id } = change;
        let mut update = Update::new();
        if let Some(title) = title {
            update = update.set("title", title.as_str());
        }
        if let Some(content) = content {
            update = update.set("content", content.as_str());
        }
        if let Some(is_published) = is_published {
            update = update.set("is_published", *is_published);
        }
        if let Some(section) = section_id {
            update = update.set("section_id", section.to_string());
        }
        update
    }
}

impl SoftDelete for Page {
    const KIND: TrashType = TrashType::Pages;
    const NAME: &'static str = TYPE;
    const NAME_BEFORE: &'static str = TYPE_BEFORE;
}

/// What became of a page that was to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRestored {
    /// It is live again.
    Done(Restored),
    /// It is not in the trash.
    NotThere,
    /// A live page has its type, which is this one.
    Taken(String),
}

impl Repository<Page> {
    /// Restores a deleted page under the type that it had.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it could not be read afterwards; it stays where it is.
    pub async fn restore_page(&self, id: Id) -> Result<PageRestored, Error> {
        let Some(document) = self.find_restorable(id).await? else { return Ok(PageRestored::NotThere) };
        let text = |field| document.get_str(field).ok();
        let page_type = text(TYPE_BEFORE).or_else(|| text(TYPE)).unwrap_or_default();
        loop {
            match self.undelete(id, page_type, Update::new()).await {
                Ok(true) => break,
                Ok(false) => return Ok(PageRestored::NotThere),
                Err(error) if is_type_taken(&error) => {}
                Err(error) => return Err(error),
            }
            if self.find_versioned_by_type(page_type).await?.is_some() {
                return Ok(PageRestored::Taken(page_type.to_owned()));
            }
            self.release_type(page_type).await?;
        }
        let title = text("title").unwrap_or_default().to_owned();
        Ok(PageRestored::Done(Restored { id, title, slug: page_type.to_owned() }))
    }

    /// The live page of this type, published or not.
    pub async fn find_versioned_by_type(&self, page_type: &str) -> Result<Option<Versioned<Page>>, Error> {
        self.find_one_versioned(Filter::eq(TYPE, page_type).also(not_deleted())).await
    }

    /// Inserts a page; `None` if a live one of its type is there by now.
    ///
    /// The unique index covers deleted pages too: one that has the type is called `~<its id>` from then on, which
    /// no page can be asked for by, and what it was called is kept in `page_type_before`, for the day that it is
    /// restored.
    pub async fn insert_page(
        &self,
        new: &NewPage,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<Page>>, Error> {
        loop {
            match self.insert(new, now).await {
                Ok(stored) => return Ok(Some(stored)),
                Err(error) if is_type_taken(&error) => {}
                Err(error) => return Err(error),
            }
            if self.find_versioned_by_type(&new.page_type).await?.is_some() {
                return Ok(None);
            }
            self.release_type(&new.page_type).await?;
        }
    }

    async fn release_type(&self, page_type: &str) -> Result<(), Error> {
        let deleted = Filter::eq(TYPE, page_type).also(is_deleted());
        if let Some(holder) = self.collection.find_one(Find::new(deleted.clone())).await? {
            let id = holder.get("_id").cloned().unwrap_or(Bson::Null);
            let update = Update::new().set(TYPE, format!("~{}", shown(&id))).set(TYPE_BEFORE, page_type);
            // Unless it has been restored meanwhile.
            self.collection.update_one(&deleted.also(Filter::id(id)), &update).await?;
        }
        Ok(())
    }
}

fn is_type_taken(error: &Error) -> bool {
    matches!(error, Error::Duplicate { fields, .. } if fields.iter().map(String::as_str).eq([TYPE]))
}
