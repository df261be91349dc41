//! Content that is in no section gets the one that fits it.
//!
//! Stories go to blog, projects to projects, the pages about and contact to the sections of the same name. The link
//! is the section's id as text. Where a section is missing, its content is left as it is, with a warning.

use async_trait::async_trait;
use bson::Bson;
use docstore::{Field, Filter, Find, Projection, Sort};
use migrator::{Check, Finding, Meta, Migration, Mode, Phase, Result, Undo, UndoImported, Up};

pub(crate) struct BackfillSectionId;

const META: Meta = Meta::new("0004_backfill_section_id", "put content into its section")
    .after(&["0003_seed_initial_sections"])
    .mode(Mode::Batched)
    .phase(Phase::Expand)
    .touches(&["stories", "projects", PAGES, SECTIONS]);

const SECTIONS: &str = "sections";
const SLUG: &str = "slug";
const SECTION_ID: &str = "section_id";
const PAGES: &str = "pages";
const PAGE_TYPE: &str = "page_type";
const CONTENT: [&str; 3] = ["stories", "projects", PAGES];
/// How many ids a finding names.
const NAMED: u64 = 5;

/// A section's slug, and the collection whose documents belong to it.
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
                cx.warn(format!("there is no section {slug}, so its {collection} were left without a section"));
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
            cx.unset(collection, &Filter::All, SECTION_ID, "links that were made by hand included").await?;
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

/// Either flag marks a section as deleted: the one the program sets, and the one that seeds were given.
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

/// Links that were written as object ids: one version of this migration's predecessor did so. They are read all the
/// same, so they are told and not changed.
async fn object_ids(cx: &Check<'_>, collection: &str) -> Result<Option<Finding>> {
    // Comparisons stay within a type, so this matches object ids only.
    let odd = Filter::gte(SECTION_ID, bson::oid::ObjectId::from_bytes([0; 12]));
    let count = cx.count(collection, &odd).await?;
    if count == 0 {
        return Ok(None);
    }
    let first = Find::new(odd)
        .sort(Sort::ascending(Field::ID))
        .limit(NAMED)
        .projection(Projection::include([SECTION_ID]));
    let ids: Vec<String> =
        cx.find(collection, first).await?.iter().filter_map(|d| d.get("_id").map(as_text)).collect();
    let more = if count > NAMED { ", …" } else { "" };
    let text = format!(
        "{count} of {collection} have a section_id that is an ObjectId instead of text: {}{more}",
        ids.join(", ")
    );
    Ok(Some(Finding::new(text)))
}
