use bson::{Bson, RawDocument};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Index, Projection, Sort, Update};

use crate::domain::{
    ContentType, DisplayType, Id, NavVisibility, ParentFilter, Restored, Section, SectionDraft,
    SectionFilter, SectionPatch, SectionTree, TrashType, Visibility,
};
use crate::repository::lists::order::{self, BY_PLACE, OrderField};
use crate::repository::row::{
    Row, fields, flag, integer_or_zero, not_deleted, object_id, reference, refers, text, visible, word,
    word_or_default,
};
use crate::repository::{BadField, DraftFields, Entity, Error, Repository, Sluggable, SoftDelete};

fields! {
    SectionDraft, SectionPatch {
        title: text => "title",
        parent_id: reference => "parent_id",
        display_type: word => "display_type",
        content_type: word => "content_type",
        nav_visibility: word_or_default => "nav_visibility",
        sort_order: integer_or_zero => "sort_order",
        is_published: flag => "is_published",
    }
}

macro_rules! stored_as_word {
    ($($type:ty),+) => {
        $(impl From<$type> for Bson {
            fn from(value: $type) -> Self {
                value.as_str().into()
            }
        })+
    };
}
stored_as_word!(DisplayType, ContentType, NavVisibility);

impl Entity for Section {
    const COLLECTION: &'static str = "sections";
    const ORDER: &'static [OrderField] = BY_PLACE;
    type Filter = SectionFilter;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on(["slug"]).unique(),
            Index::on(["parent_id"]),
            Index::on(["nav_visibility", "sort_order"]),
            Index::on(["is_published", "sort_order"]),
            order::narrowed("parent_id", BY_PLACE),
            order::narrowed("nav_visibility", BY_PLACE),
            order::narrowed("is_published", BY_PLACE),
            order::whole(BY_PLACE),
        ];
        own.into_iter().chain(order::for_deleted()).collect()
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self { meta: row.meta()?, draft: SectionDraft::read(row)?, slug: row.read("slug", text)? })
    }

    fn filter(filter: &SectionFilter) -> Filter {
        let SectionFilter { visibility, parent, nav_visibility } = filter;
        let parent = match parent {
            None => Filter::All,
            Some(ParentFilter::Root) => Filter::eq("parent_id", Bson::Null),
            Some(ParentFilter::In(id)) => refers("parent_id", *id),
        };
        let nav = nav_visibility.map_or(Filter::All, |nav| Filter::eq("nav_visibility", nav));
        Filter::and([visible(*visibility), parent, nav])
    }
}

impl Sluggable for Section {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Section {
    const TRASH_TYPE: TrashType = TrashType::Sections;
}

impl Repository<Section> {
    /// Restores a deleted section as [`Repository::restore`] does, and moves it to the root.
    pub async fn restore_at_root(&self, id: Id, now: DateTime<Utc>) -> Result<Option<Restored>, Error> {
        self.restore_with(id, &Update::new().set("parent_id", Bson::Null), now).await
    }

    /// Returns the tree of all sections that are not deleted.
    pub async fn tree(&self) -> Result<SectionTree, Error> {
        let find = Find::new(not_deleted()).projection(Projection::include(["parent_id"]));
        let (documents, _) = self.collection.find(find).await?.readable_documents().await?;
        let node = |document: &RawDocument| {
            let row = Row::new(document).ok()?;
            let parent = row.read("parent_id", reference).ok().flatten();
            Some((row.read("_id", object_id).ok()?, parent.and_then(|parent| Id::parse(&parent).ok())))
        };
        Ok(documents.iter().filter_map(|document| node(document)).collect())
    }

    /// Returns the section with this slug, published or not.
    pub async fn find_by_slug(&self, slug: &str) -> Result<Option<Section>, Error> {
        self.find_one(Find::new(Filter::eq("slug", slug).also(not_deleted()))).await
    }

    /// Returns the section of new content that names none: the first published section for this type of content by
    /// `sort_order`, then the oldest.
    pub async fn default_for(&self, content: ContentType) -> Result<Option<Section>, Error> {
        let filter =
            Filter::and([Filter::eq("content_type", content), visible(Visibility::Published), not_deleted()]);
        let order = Sort::ascending("sort_order").then_ascending("createdDate").then_ascending(Field::ID);
        self.find_one(Find::new(filter).sort(order)).await
    }
}
