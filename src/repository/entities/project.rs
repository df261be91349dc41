use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};
use docstore::{
    Direction::{Ascending, Descending},
    Filter, Index, Sort, Update,
};

use crate::domain::{NewProject, Project, ProjectChange, ProjectFilter, ProjectText, TrashType};
use crate::repository::lists::order::{self, BY_PLACE, for_deleted};
use crate::repository::row::{
    date, own_id, reference, refers, row, text, text_or, texts, truth_or, visible, web_address, whole_or,
};
use crate::repository::{BadField, Entity, Sluggable, SoftDelete, Writable};

row! {
    /// A project as stored.
    pub struct ProjectRow {
        id = "_id",
        title = "title",
        summary = "summary",
        content = "content",
        technologies = "technologies",
        github_url = "github_url",
        live_url = "live_url",
        image_url = "image_url",
        is_published = "is_published",
        is_featured = "is_featured",
        sort_order = "sort_order",
        slug = "slug",
        created = "createdDate",
        updated = "updatedDate",
        user_id = "user_id",
        section_id = "section_id",
    }
}

impl Entity for Project {
    const COLLECTION: &'static str = "projects";
    type Row<'a> = ProjectRow<'a>;
    type Filter = ProjectFilter;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on(["slug"]).unique(),
            Index::by([("is_published", Ascending), ("is_featured", Descending)]),
            Index::by([("is_published", Ascending), ("createdDate", Descending)]),
            Index::on(["user_id"]),
            Index::on(["section_id"]),
            order::narrowed("section_id", BY_PLACE),
            order::narrowed("is_featured", BY_PLACE),
            order::narrowed("is_published", BY_PLACE),
            order::whole(BY_PLACE),
        ];
        own.into_iter().chain(for_deleted()).collect()
    }

    fn from_row(row: ProjectRow<'_>) -> Result<Self, BadField> {
        let id = own_id(row.id)?;
        let text = ProjectText {
            title: text(row.title, "title")?,
            summary: text(row.summary, "summary")?,
            content: text(row.content, "content")?,
            technologies: texts(row.technologies, "technologies")?,
            github_url: web_address(row.github_url, "github_url")?,
            live_url: web_address(row.live_url, "live_url")?,
            image_url: web_address(row.image_url, "image_url")?,
            is_published: truth_or(row.is_published, "is_published", false)?,
            is_featured: truth_or(row.is_featured, "is_featured", false)?,
            sort_order: whole_or(row.sort_order, "sort_order", 0)?,
        };
        Ok(Self {
            id,
            slug: text_or(row.slug, "slug", "")?,
            text,
            created: date(row.created, "createdDate")?,
            updated: date(row.updated, "updatedDate")?,
            user_id: reference(row.user_id, "user_id")?,
            section_id: reference(row.section_id, "section_id")?,
        })
    }

    fn filter(filter: &ProjectFilter) -> Filter {
        let ProjectFilter { visibility, featured_only, section } = filter;
        let featured = if *featured_only { Filter::eq("is_featured", true) } else { Filter::All };
        let section = section.map_or(Filter::All, |section| refers("section_id", section));
        Filter::and([visible(*visibility), featured, section])
    }

    fn sort() -> Sort {
        order::sort(BY_PLACE)
    }
}

impl Writable for Project {
    type New = NewProject;
    type Change = ProjectChange;

    fn document(new: &NewProject, _: DateTime<Utc>) -> Document {
        let NewProject { text, user_id, section_id } = new;
        let mut document = doc! {
            "title": &text.title,
            "summary": &text.summary,
            "content": &text.content,
            "technologies": &text.technologies,
            "github_url": text.github_url.as_deref(),
            "live_url": text.live_url.as_deref(),
            "image_url": text.image_url.as_deref(),
            "is_published": text.is_published,
            "is_featured": text.is_featured,
            "sort_order": text.sort_order,
            "user_id": user_id.to_string(),
        };
        if let Some(section) = section_id {
            document.insert("section_id", section.to_string());
        }
        document
    }

    fn update(change: &ProjectChange) -> Update {
        let text = |text: &Option<String>| text.as_deref().map(Bson::from);
        let address = |address: &Option<String>| {
            address.as_deref().map(|address| if address.is_empty() { Bson::Null } else { address.into() })
        };
        let changes = [
            ("title", text(&change.title)),
            ("summary", text(&change.summary)),
            ("content", text(&change.content)),
            ("technologies", change.technologies.clone().map(Bson::from)),
            ("github_url", address(&change.github_url)),
            ("live_url", address(&change.live_url)),
            ("image_url", address(&change.image_url)),
            ("is_published", change.is_published.map(Bson::from)),
            ("is_featured", change.is_featured.map(Bson::from)),
            ("sort_order", change.sort_order.map(Bson::from)),
            ("section_id", change.section_id.map(|section| section.to_string().into())),
        ];
        let given = changes.into_iter().filter_map(|(field, value)| Some((field, value?)));
        given.fold(Update::new(), |update, (field, value)| update.set(field, value))
    }
}

impl Sluggable for Project {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Project {
    const KIND: TrashType = TrashType::Projects;
}
