use bson::{Bson, Document, RawDocument, doc};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Index, Projection, Sort, Update};

use crate::domain::{
    ContentType, Id, NavVisibility, NewSection, ParentFilter, Restored, Section, SectionChange,
    SectionFilter, SectionTree, TrashType,
};
use crate::repository::lists::order::{self, BY_PLACE, for_deleted};
use crate::repository::row::{
    date, not_deleted, own_id, reference, refers, row, text, truth_or, visible, whole_or, word, word_or,
};
use crate::repository::{BadField, Entity, Error, Repository, Sluggable, SoftDelete, Writable};

row! {
    /// A section as stored.
    pub struct SectionRow {
        id = "_id",
        title = "title",
        slug = "slug",
        parent_id = "parent_id",
        display_type = "display_type",
        content_type = "content_type",
        nav_visibility = "nav_visibility",
        sort_order = "sort_order",
        is_published = "is_published",
        created = "createdDate",
        updated = "updatedDate",
        user_id = "user_id",
    }
}

impl Entity for Section {
    const COLLECTION: &'static str = "sections";
    type Row<'a> = SectionRow<'a>;
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
        own.into_iter().chain(for_deleted()).collect()
    }

    fn from_row(row: SectionRow<'_>) -> Result<Self, BadField> {
        let SectionRow {
            id,
            title,
            slug,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
            created,
            updated,
            user_id,
        } = row;
        Ok(Self {
            id: own_id(id)?,
            title: text(title, "title")?,
            slug: text(slug, "slug")?,
            parent_id: reference(parent_id, "parent_id")?,
            display_type: word(display_type, "display_type")?,
            content_type: word(content_type, "content_type")?,
            nav_visibility: word_or(nav_visibility, "nav_visibility", NavVisibility::Main)?,
            sort_order: whole_or(sort_order, "sort_order", 0)?,
            is_published: truth_or(is_published, "is_published", false)?,
            created: date(created, "createdDate")?,
            updated: date(updated, "updatedDate")?,
            user_id: reference(user_id, "user_id")?,
        })
    }

    fn filter(filter: &SectionFilter) -> Filter {
        let SectionFilter { visibility, parent, nav_visibility } = filter;
        let parent = match parent {
            None => Filter::All,
            Some(ParentFilter::Root) => Filter::eq("parent_id", Bson::Null),
            Some(ParentFilter::In(id)) => refers("parent_id", *id),
        };
        let nav = nav_visibility.map_or(Filter::All, |nav| Filter::eq("nav_visibility", nav.as_str()));
        Filter::and([visible(*visibility), parent, nav])
    }

    fn sort() -> Sort {
        order::sort(BY_PLACE)
    }
}

impl Writable for Section {
    type New = NewSection;
    type Change = SectionChange;

    fn document(new: &NewSection, _now: DateTime<Utc>) -> Document {
        let NewSection {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
            user_id,
        } = new;
        doc! {
            "title": title,
            "parent_id": parent_value(*parent_id),
            "display_type": display_type.as_str(),
            "content_type": content_type.as_str(),
            "nav_visibility": nav_visibility.as_str(),
            "sort_order": sort_order,
            "is_published": is_published,
            "user_id": user_id.to_string(),
        }
    }

    fn update(change: &SectionChange) -> Update {
        let SectionChange {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        } = change;
        let fields = [
            ("title", title.as_deref().map(Bson::from)),
            ("parent_id", parent_id.change().map(parent_value)),
            ("display_type", display_type.map(|word| word.as_str().into())),
            ("content_type", content_type.map(|word| word.as_str().into())),
            ("nav_visibility", nav_visibility.map(|word| word.as_str().into())),
            ("sort_order", sort_order.map(Bson::from)),
            ("is_published", is_published.map(Bson::from)),
        ];
        let given = fields.into_iter().filter_map(|(field, value)| Some((field, value?)));
        given.fold(Update::new(), |update, (field, value)| update.set(field, value))
    }
}

impl Sluggable for Section {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Section {
    const KIND: TrashType = TrashType::Sections;
}

fn parent_value(parent: Option<Id>) -> Bson {
    parent.map_or(Bson::Null, |parent| Bson::String(parent.to_string()))
}

impl Repository<Section> {
    /// As [`Repository::restore`], and puts it at the root.
    pub async fn restore_at_root(&self, id: Id) -> Result<Option<Restored>, Error> {
        self.restore_with(id, &Update::new().set("parent_id", Bson::Null)).await
    }

    /// All live sections, and in which other each lies.
    pub async fn tree(&self) -> Result<SectionTree, Error> {
        let find = Find::new(not_deleted()).projection(Projection::include(["parent_id"]));
        let documents = self.collection.find(find).await?.raw_documents().await?;
        let place = |document: &RawDocument| {
            let id = own_id(document.get("_id").ok()?).ok()?;
            let parent = document.get("parent_id").ok().flatten();
            let parent = reference(parent, "parent_id").ok().flatten();
            Some((id, parent.and_then(|parent| Id::parse(&parent).ok())))
        };
        Ok(documents.iter().filter_map(|document| place(document)).collect())
    }

    /// The live section of this slug, published or not.
    pub async fn find_by_slug(&self, slug: &str) -> Result<Option<Section>, Error> {
        self.find_one(Filter::eq("slug", slug).also(not_deleted())).await
    }

    /// The first live section that holds this kind of content, in the order of lists.
    pub async fn first_of(&self, content: ContentType) -> Result<Option<Section>, Error> {
        let filter = Filter::eq("content_type", content.as_str()).also(not_deleted());
        self.find_first(Find::new(filter).sort(Section::sort().then_ascending(Field::ID))).await
    }
}
