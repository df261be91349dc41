//! Assigns content without a section to the section for its kind.
//!
//! Stories go to blog, projects to projects, the pages about and contact to the sections of the same name. The link is the
//! section's id in text form. If a section is missing, its content stays unassigned, with a warning.

use async_trait::async_trait;
use bson::Bson;
use docstore::{Field, Filter, Find, Projection, Sort};
use migrator::{Check, Finding, Meta, Migration, Mode, Phase, Result, Undo, UndoImported, Up};

/// Sets `section_id` where it is missing.
pub(crate) struct BackfillSectionId;

const META: Meta = Meta::new("0004_backfill_section_id", "put content into its section")
    .after(&["0003_seed_initial_sections"])
    .mode(Mode::Batched)
    .phase(Phase::Expand)
    .touches(&["stories", "projects", PAGES, SECTIONS])
    .former_checksums(&[
        "v1:6221cc0a16cd4a041440d13c0cb565e9658feb794b133bb3304d8d067a0b7280",
        "v1:b0383ba49ef9a92650ec5f8767aa552fb127f11dd52e4700f7e56f05899d8120",
    ]);

const SECTIONS: &str = "sections";
const SLUG: &str = "slug";
const SECTION_ID: &str = "section_id";
const PAGES: &str = "pages";
const PAGE_TYPE: &str = "page_type";
const CONTENT: [&str; 3] = ["stories", "projects", PAGES];
/// The number of ids that a finding lists.
const LISTED: u64 = 5;

/// The slugs of sections, and the collections whose documents belong to them.
const LINKS: [(&str, &str); 4] =
    [("blog", "stories"), ("projects", "projects"), ("about", PAGES), ("contact", PAGES)];

#[async_trait]
impl Migration for BackfillSectionId {
    fn meta(&self) -> &'static Meta {
        &META
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        for (slug, collection) in LINKS {
            let section = cx.find_one(SECTIONS, live_section(slug)).await?;
            let Some(id) = section.as_ref().and_then(|section| section.get("_id")) else {
                cx.warn(format!("no section has the slug {slug}, so its {collection} were left without a section"));
                continue;
            };
            let content = content_of(slug, collection);
            let step = format!("link {slug}");
            cx.set_where_missing(&step, collection, &content, SECTION_ID, as_text(id)).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        for collection in CONTENT {
            cx.unset(collection, &Filter::All, SECTION_ID, "including links that were set by hand").await?;
        }
        Ok(())
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (slug, collection) in LINKS {
            if cx.find_one(SECTIONS, live_section(slug)).await?.is_none() {
                continue;
            }
            let without = content_of(slug, collection).also(Filter::missing(SECTION_ID));
            let count = cx.count(collection, &without).await?;
            if count > 0 {
                let text = format!("{count} of {collection} that belong to the section {slug} have no section_id");
                findings.push(Finding::new(text));
            }
        }
        for collection in CONTENT {
            findings.extend(object_ids(cx, collection).await?);
        }
        Ok(findings)
    }
}

/// Finds a section that is not deleted. The program sets one of these flags; earlier seeds had the other.
fn live_section(slug: &str) -> Find {
    let live = Filter::and([
        Filter::eq(SLUG, slug),
        Filter::ne("deleted", true),
        Filter::ne("is_deleted", true),
    ]);
    Find::new(live).sort(Sort::ascending(Field::ID))
}

fn content_of(slug: &str, collection: &str) -> Filter {
    if collection == PAGES { Filter::eq(PAGE_TYPE, slug) } else { Filter::All }
}

fn as_text(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(id) => id.clone(),
        other => other.to_string(),
    }
}

/// Reports links that are object ids, which a version of the original migration wrote. The program reads them too, so they
/// are not changed.
async fn object_ids(cx: &Check<'_>, collection: &str) -> Result<Option<Finding>> {
    // Comparisons match one type only, so this matches object ids.
    let odd = Filter::gte(SECTION_ID, bson::oid::ObjectId::from_bytes([0; 12]));
    let count = cx.count(collection, &odd).await?;
    if count == 0 {
        return Ok(None);
    }
    let first = Find::new(odd)
        .sort(Sort::ascending(Field::ID))
        .limit(LISTED)
        .projection(Projection::include([SECTION_ID]));
    let ids: Vec<String> =
        cx.find(collection, first).await?.iter().filter_map(|d| d.get("_id").map(as_text)).collect();
    let more = if count > LISTED { ", …" } else { "" };
    let text = format!(
        "{count} of {collection} have a section_id that is an ObjectId instead of text: {}{more}",
        ids.join(", ")
    );
    Ok(Some(Finding::new(text)))
}
