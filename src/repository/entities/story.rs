use bson::Document;
use chrono::{DateTime, Utc};
use docstore::{
    Direction::{Ascending, Descending},
    Filter, Index, Update,
};

use crate::domain::{Story, StoryDraft, StoryFilter, StoryPatch, TargetType, TrashType};
use crate::repository::lists::order::{self, NEWEST_FIRST, OrderField};
use crate::repository::row::{
    Row, fields, flag, optional_date, reference, refers, text, text_or_empty, visible,
};
use crate::repository::{BadField, DraftFields, Entity, Sluggable, SoftDelete};

fields! {
    StoryDraft, StoryPatch {
        title: text => "title",
        content: text => "content",
        is_published: flag => "is_published",
    }
}

impl Entity for Story {
    const COLLECTION: &'static str = "stories";
    const ORDER: &'static [OrderField] = NEWEST_FIRST;
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
        own.into_iter().chain(order::for_deleted()).collect()
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self {
            meta: row.meta()?,
            draft: StoryDraft::read(row)?,
            slug: row.read("slug", text_or_empty)?,
            date: row.read("date", optional_date)?,
            section_id: row.read("section_id", reference)?,
        })
    }

    fn filter(filter: &StoryFilter) -> Filter {
        let StoryFilter { visibility, section } = filter;
        let section = section.map_or(Filter::All, |section| refers("section_id", section));
        Filter::and([visible(*visibility), section])
    }

    /// The date is that of the first publication.
    fn derive_on_insert(draft: &StoryDraft, now: DateTime<Utc>, document: &mut Document) {
        document.insert("date", draft.is_published.then(|| bson::DateTime::from_chrono(now)));
    }

    fn derive_on_update(&self, patch: &StoryPatch, now: DateTime<Utc>, update: Update) -> Update {
        if patch.is_published == Some(true) && self.date.is_none() {
            return update.set("date", bson::DateTime::from_chrono(now));
        }
        update
    }
}

impl Sluggable for Story {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Story {
    const TRASH_TYPE: TrashType = TrashType::Stories;
    const TARGET_TYPE: Option<TargetType> = Some(TargetType::Story);
}
