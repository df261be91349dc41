use docstore::{
    Direction::{Ascending, Descending},
    Filter, Index,
};

use crate::domain::{Project, ProjectDraft, ProjectFilter, ProjectPatch, TargetType, TrashType};
use crate::repository::lists::order::{self, BY_PLACE, OrderField};
use crate::repository::row::{
    Row, fields, flag, integer_or_zero, reference, refers, text, text_or_empty, texts, visible, web_url,
};
use crate::repository::{BadField, DraftFields, Entity, Sluggable, SoftDelete};

fields! {
    ProjectDraft, ProjectPatch {
        title: text => "title",
        summary: text => "summary",
        content: text => "content",
        technologies: texts => "technologies",
        github_url: web_url => "github_url",
        live_url: web_url => "live_url",
        image_url: web_url => "image_url",
        is_published: flag => "is_published",
        is_featured: flag => "is_featured",
        sort_order: integer_or_zero => "sort_order",
    }
}

impl Entity for Project {
    const COLLECTION: &'static str = "projects";
    const ORDER: &'static [OrderField] = BY_PLACE;
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
        own.into_iter().chain(order::for_deleted()).collect()
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self {
            meta: row.meta()?,
            draft: ProjectDraft::read(row)?,
            slug: row.read("slug", text_or_empty)?,
            section_id: row.read("section_id", reference)?,
        })
    }

    fn filter(filter: &ProjectFilter) -> Filter {
        let ProjectFilter { visibility, featured_only, section } = filter;
        let featured = if *featured_only { Filter::eq("is_featured", true) } else { Filter::All };
        let section = section.map_or(Filter::All, |section| refers("section_id", section));
        Filter::and([visible(*visibility), featured, section])
    }
}

impl Sluggable for Project {
    fn slug(&self) -> &str {
        &self.slug
    }
}

impl SoftDelete for Project {
    const TRASH_TYPE: TrashType = TrashType::Projects;
    const TARGET_TYPE: Option<TargetType> = Some(TargetType::Project);
}
