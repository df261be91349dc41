//! Seeds the sections Blog, About, Projects and Contact.
//!
//! Each is inserted unless a section has its slug. Deleted sections count, since the unique index covers them.

use async_trait::async_trait;
use bson::{Bson, doc};
use docstore::{Filter, Find};
use migrator::{Check, Finding, Inserted, Meta, Migration, Mode, Phase, Reference, Result, Undo, UndoImported, Up};

/// Inserts the sections that a new site begins with.
pub(crate) struct SeedInitialSections;

const META: Meta = Meta::new("0003_seed_initial_sections", "seed the sections blog, about, projects and contact")
    .after(&["0002_add_user_id_to_content"])
    .mode(Mode::Idempotent)
    .phase(Phase::Expand)
    .touches(&[SECTIONS])
    .former_checksums(&[
        "v1:7a651eb17999e507e71b54211c7c60e33f8845e67075942a6683c7919ae27421",
        "v1:5b2a8d891f25880fd50f68d06dd2a8fda95f3edea0ef5dd934f0aebf25eab0e9",
    ]);

const SECTIONS: &str = "sections";
const SLUG: &str = "slug";

struct Seed {
    title: &'static str,
    slug: &'static str,
    display_type: &'static str,
    content_type: &'static str,
}

const SEEDS: [Seed; 4] = [
    Seed { title: "Blog", slug: "blog", display_type: "feed", content_type: "story" },
    Seed { title: "About", slug: "about", display_type: "static-page", content_type: "page" },
    Seed { title: "Projects", slug: "projects", display_type: "card-grid", content_type: "project" },
    Seed { title: "Contact", slug: "contact", display_type: "static-page", content_type: "page" },
];

/// The fields that refer to what it inserts.
const REFERENCES: [Reference; 4] = [
    Reference::new("stories", "section_id"),
    Reference::new("projects", "section_id"),
    Reference::new("pages", "section_id"),
    Reference::new(SECTIONS, "parent_id"),
];

#[async_trait]
impl Migration for SeedInitialSections {
    fn meta(&self) -> &'static Meta {
        &META
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let now = cx.now();
        for (sort_order, Seed { title, slug, display_type, content_type }) in (0_i32..).zip(SEEDS) {
            let section = doc! {
                "title": title,
                SLUG: slug,
                "parent_id": Bson::Null,
                "display_type": display_type,
                "content_type": content_type,
                "nav_visibility": "main",
                "sort_order": sort_order,
                "is_published": true,
                "is_deleted": false,
                "deleted": false,
                "createdDate": now,
                "updatedDate": now,
            };
            let has_slug = Filter::eq(SLUG, slug);
            let step = format!("seed {slug}");
            if let Inserted::Present(_) = cx.insert_if_absent(&step, SECTIONS, &has_slug, section).await?
                && cx.count(SECTIONS, &has_slug.also(is_live())).await? == 0
            {
                cx.warn(format!(
                    "the section {slug} was not seeded, since a deleted section has that slug; \
                     set its fields `deleted` and `is_deleted` to false to restore it, or give it another slug \
                     and create the section again"
                ));
            }
        }
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    fn references(&self) -> &'static [Reference] {
        &REFERENCES
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        let seeded = Filter::is_in(SLUG, SEEDS.map(|seed| seed.slug));
        cx.delete(SECTIONS, &seeded, "regardless of their origin; content keeps the ids of the deleted sections").await
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for Seed { slug, .. } in SEEDS {
            if cx.find_one(SECTIONS, Find::new(Filter::eq(SLUG, slug))).await?.is_none() {
                findings.push(Finding::new(format!("no section has the slug {slug}")));
            }
        }
        Ok(findings)
    }
}

/// Matches sections that are not deleted. The program sets one of these flags; earlier seeds had the other.
fn is_live() -> Filter {
    Filter::and([Filter::ne("deleted", true), Filter::ne("is_deleted", true)])
}
