//! The files that stored documents refer to.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document};
use docstore::{Database, Filter, Find};

use super::duplicates::summary;

/// The name of the collection of backups and of everything else that is not content begins so.
const INTERNAL: [char; 2] = ['_', '$'];

/// The paths below `/uploads/` that documents name, each with the documents: a collection and a description.
pub type MediaReferences = BTreeMap<String, BTreeSet<String>>;

/// Finds every path below `/uploads/` in any text of any document, deleted ones too, since they can be restored. All
/// collections are read, also those that only another program uses: a file that one of them refers to is in use.
///
/// # Errors
///
/// The failure of the store.
pub async fn find(database: &Database) -> docstore::Result<MediaReferences> {
    let mut found = MediaReferences::new();
    for collection in database.collection_names().await? {
        if collection.starts_with(INTERNAL) || collection.starts_with("system.") {
            continue;
        }
        let mut cursor = database.collection(&collection).find(Find::new(Filter::All)).await?;
        while let Some(document) = cursor.next_document().await? {
            let mut paths = BTreeSet::new();
            visit_document(&document, &mut paths);
            if paths.is_empty() {
                continue;
            }
            let summary = summary(&document);
            let described = format!("{collection} {} {:?}", summary.id, summary.title);
            for path in paths {
                found.entry(path).or_default().insert(described.clone());
            }
        }
    }
    Ok(found)
}

/// Collects the paths in all texts of a document.
pub(super) fn visit_document(document: &Document, paths: &mut BTreeSet<String>) {
    for (_, value) in document {
        visit(value, paths);
    }
}

fn visit(value: &Bson, paths: &mut BTreeSet<String>) {
    match value {
        Bson::String(text) => collect(text, paths),
        Bson::Document(document) => visit_document(document, paths),
        Bson::Array(values) => values.iter().for_each(|value| visit(value, paths)),
        _ => {}
    }
}

/// Collects the paths in a text: HTML, Markdown, an address or the name of a file.
fn collect(text: &str, paths: &mut BTreeSet<String>) {
    const PREFIX: &str = "uploads/";
    for (at, _) in text.match_indices(PREFIX) {
        // A longer word that ends like this is another folder.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_')) {
            continue;
        }
        let rest = &text[at + PREFIX.len()..];
        let ends = |c: char| c.is_whitespace() || "\"'<>`,()[]{}?#&;\\".contains(c);
        let path = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let path =
            percent_encoding::percent_decode_str(path.trim_end_matches(['.', '/'])).decode_utf8_lossy();
        if !path.is_empty() {
            paths.insert(path.into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn paths_are_found_in_every_kind_of_text() {
        let mut paths = BTreeSet::new();
        let document = doc! {
            "content": r#"<img src="/uploads/a.webp?size=5" srcset="/uploads/a.webp 1200w, /uploads/a_750.webp 750w"><video poster='https://x.example/uploads/b%20c.jpg'>"#,
            "photos": [{ "url": "/uploads/photos/1/d.webp" }, 5, { "url": "uploads/e.mp4" }],
            "text": "See ![x](/uploads/f.png). Not /my-uploads/g.png, nor uploads/.",
        };
        visit_document(&document, &mut paths);
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["a.webp", "a_750.webp", "b c.jpg", "e.mp4", "f.png", "photos/1/d.webp"]);
    }
}
