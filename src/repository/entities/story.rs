use bson::{Document, doc};
use chrono::{DateTime, Utc};
use docstore::{
    Direction::{Ascending, Descending},
    Filter, Index, Sort, Update,
};

use crate::domain::{Id, NewStory, Story, StoryChange, StoryFilter, TrashType};
use crate::repository::lists::order::{self, NEWEST_FIRST, for_deleted};
use crate::repository::row::{
    date, date_or_none, own_id, reference, refers, row, text, text_or, truth_or, visible,
};
use crate::repository::{BadField, Entity, Sluggable, SoftDelete, Writable};

row! {
    /// A story as stored.
    pub struct StoryRow {
        id = "_id",
        title = "title",
        content = "content",
        slug = "slug",
        is_published = "is_published",
        date = "date",
        created = "createdDate",
        updated = "updatedDate",
        user_id = "user_id",
        section_id = "section_id",
    }
}

impl Entity for Story {
    const COLLECTION: &'static str = "stories";
    type Row<'a> = StoryRow<'a>;
    type Filter = StoryFilter;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on(["slug"]).unique(),
            Index::by([("is_published", Ascending), ("date", Descending)]),
            Index::on(["user_id"]),
            Index::on(["section_id"]),
            order::narrowed("section_id", NEWEST_FIRST),
            order::narrowed("is_published", NEWEST_FIRST),
            order::whole(NEWEST_FIRST),
        ];
        own.into_iter().chain(for_deleted()).collect()
    }

    fn from_row(row: StoryRow<'_>) -> Result<Self, BadField> {
        let StoryRow {
            id,
            title,
            content,
            slug,
            is_published,
            date: published,
            created,
            updated,
            user_id,
            section_id,
        } = row;
        Ok(Self {
            id: own_id(id)?,
            title: text(title, "title")?,
            content: text(content, "content")?,
            slug: text_or(slug, "slug", "")?,
            is_published: truth_or(is_published, "is_published", false)?,
            date: date_or_none(published, "date")?,
            created: date(created, "createdDate")?,
            updated: date(updated, "updatedDate")?,
            user_id: reference(user_id, "user_id")?,
            section_id: reference(section_id, "section_id")?,
        })
    }

    fn filter(filter: &StoryFilter) -> Filter {
        let StoryFilter { visibility, section } = filter;
        let section = section.map_or(Filter::All, |section| refers("section_id", section));
        Filter::and([visible(*visibility), section])
    }

    fn sort() -> Sort {
        order::sort(NEWEST_FIRST)
    }
}

impl Writable for Story {
    type New = NewStory;
    type Change = StoryChange;

    fn document(new: &NewStory, now: DateTime<Utc>) -> Document {
        let NewStory { title, content, is_published, user_id, section_id } = new;
        let mut document = doc! {
            "title": title,
            "content": content,
            "is_published": is_published,
            "date": is_published.then(|| bson::DateTime::from_chrono(now)),
            "user_id": user_id.to_string(),
        };
        if let Some(section) = section_id {
            document.insert("section_id", section.to_string());
        }
        document
    }

    fn update(change: &StoryChange) -> Update {
        let StoryChange { title, content, is_published, date, section_id } = change;
        let update = Update::new()
            .set("title", title.as_str())
            .set("content", content.as_str())
            .set("is_published", *is_published);
        let update = match date {
            Some(date) => update.set("date", bson::DateTime::from_chrono(*date)),
            None => update,
        };
        match section_id {
            Some(section) => update.set("section_id", Id::to_string(section)),
            None => update,
        }
    }
}

impl Sluggable for Story {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Story {
    const KIND: TrashType = TrashType::Stories;
}
