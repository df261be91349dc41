use crate::domain::{PagePatch, ProjectDraft, StoryDraft};
use crate::service::Write;

/// Returns two published stories and a draft.
pub(super) fn stories() -> Vec<Write<StoryDraft>> {
    let story = |title: &str, content: &str, is_published| Write {
        fields: StoryDraft { title: title.to_owned(), content: content.to_owned(), is_published },
        section_id: None,
    };
    vec![
        story(
            "Notes from the tide line",
            "<p>Low water was at six. The flats were <strong>grey and loud</strong> with birds, and every step \
             filled with water behind me.</p><h2>What was there</h2><ul><li>Dunlin, some hundreds</li>\
             <li>Two curlews</li><li>A glove</li></ul>",
            true,
        ),
        story(
            "A hide made of pallets",
            "<p>Eleven pallets, a tarpaulin, an afternoon. It leans, but towards the wind.</p>\
             <blockquote><p>If it stands in March it stands.</p></blockquote>",
            true,
        ),
        story("What the moths did", "<p>A draft: counts from the lamp, still to be checked.</p>", false),
    ]
}

/// Returns two projects, one of them featured.
pub(super) fn projects() -> Vec<Write<ProjectDraft>> {
    let project =
        |title: &str, summary: &str, content: &str, technologies: &[&str], is_featured, sort_order| {
            let fields = ProjectDraft {
                title: title.to_owned(),
                summary: summary.to_owned(),
                content: content.to_owned(),
                technologies: technologies.iter().map(|&name| name.to_owned()).collect(),
                github_url: None,
                live_url: None,
                image_url: None,
                is_published: true,
                is_featured,
                sort_order,
            };
            Write { fields, section_id: None }
        };
    vec![
        project(
            "Tide clock",
            "A clock with one hand, which shows the water.",
            "<p>It reads a table once a day and turns a stepper motor.</p>",
            &["Rust", "ESP32"],
            true,
            0,
        ),
        project(
            "Ledger of birds",
            "Counts of twenty years, out of notebooks.",
            "<p>Scanned, typed, checked twice. Searchable by place, day and species.</p>",
            &["Python", "SQLite"],
            false,
            1,
        ),
    ]
}

/// Returns the pages by type.
pub(super) fn pages() -> Vec<(&'static str, Write<PagePatch>)> {
    let page = |title: &str, content: &str| Write {
        fields: PagePatch {
            title: Some(title.to_owned()),
            content: Some(content.to_owned()),
            page_type: None,
            is_published: Some(true),
        },
        section_id: None,
    };
    vec![
        ("about", page("About", "<p>Notes by somebody who is outdoors when it rains.</p>")),
        ("contact", page("Contact", "<p>Letters are answered: <em>notes@example.com</em>.</p>")),
    ]
}
