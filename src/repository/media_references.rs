//! The files that stored documents refer to.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document};
use docstore::{Database, Filter, Find};

use super::duplicates::summary;

/// The name of the collection of backups and of everything else that is not content begins so.
const INTERNAL: [char; 2] = ['_', '$'];

/// The texts between the names of folders, as they are and in an address that is a parameter of another one.
const PREFIXES: [&str; 3] = ["uploads/", "uploads%2F", "uploads%2f"];
/// The maximum length of a path in bytes.
const MAX_PATH: usize = 1024;
/// The maximum number of places where a path may end later than addresses do. It bounds what a text of nothing but paths costs.
const MAX_ENDS: usize = 16;

/// The files that documents refer to.
#[derive(Debug, Default)]
pub struct MediaReferences {
    /// The paths below `/uploads/`.
    pub paths: BTreeMap<String, MediaReference>,
    /// Everything that looks like an id in the name of a file, wherever it is.
    pub ids: BTreeSet<String>,
}

/// A path below `/uploads/` in the text of documents.
#[derive(Debug, Default)]
pub struct MediaReference {
    /// The documents: a collection, an id and a title.
    pub documents: BTreeSet<String>,
    /// Other paths that the text may mean, since names can contain what ends an address elsewhere.
    pub others: BTreeSet<String>,
}

/// The paths in one text or document, each with the others that it may mean.
type Paths = BTreeMap<String, BTreeSet<String>>;

/// Finds every path below `/uploads/` in any text of any document, deleted ones too, since they can be restored. All
/// collections are read, also those that only another program uses: a file that one of them refers to is in use.
///
/// # Errors
///
/// The failure of the store.
pub async fn find(database: &Database) -> docstore::Result<MediaReferences> {
    let mut found = MediaReferences::default();
    for collection in database.collection_names().await? {
        if collection.starts_with(INTERNAL) || collection.starts_with("system.") {
            continue;
        }
        let mut cursor = database.collection(&collection).find(Find::new(Filter::All)).await?;
        while let Some(document) = cursor.next_document().await? {
            let mut paths = Paths::new();
            visit_texts(&document, &mut |text| {
                found.ids.extend(ids(text));
                collect_paths(text, &mut paths);
            });
            if paths.is_empty() {
                continue;
            }
            let summary = summary(&document);
            let described = format!("{collection} {} {:?}", summary.id, summary.title);
            for (path, others) in paths {
                let reference = found.paths.entry(path).or_default();
                reference.documents.insert(described.clone());
                reference.others.extend(others);
            }
        }
    }
    Ok(found)
}

/// Returns everything in the texts of a document that looks like the id in the name of a file.
pub(super) fn ids_in(document: &Document) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit_texts(document, &mut |text| found.extend(ids(text)));
    found
}

fn visit_texts(document: &Document, visit: &mut impl FnMut(&str)) {
    document.values().for_each(|value| visit_value(value, visit));
}

fn visit_value(value: &Bson, visit: &mut impl FnMut(&str)) {
    match value {
        Bson::String(text) => visit(text),
        Bson::Document(document) => visit_texts(document, visit),
        Bson::Array(values) => values.iter().for_each(|value| visit_value(value, visit)),
        _ => {}
    }
}

/// Collects the paths in a text: HTML, Markdown, an address or the name of a file.
fn collect_paths(text: &str, paths: &mut Paths) {
    for prefix in PREFIXES {
        for (at, _) in text.match_indices(prefix) {
            let before = &text[..at];
            // A longer word that ends like this is another folder.
            let is_longer = before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
            if is_longer && !before.ends_with("%2F") && !before.ends_with("%2f") {
                continue;
            }
            let rest = &text[at + prefix.len()..];
            let rest = &rest[..rest.floor_char_boundary(MAX_PATH)];
            let may_end = |c: char| c.is_whitespace() || "\"'<>`,()[]{}?#&;\\".contains(c);
            let end = rest.find(may_end).unwrap_or(rest.len());
            let path = plain(rest[..end].trim_end_matches(['.', '/']));
            if !path.is_empty() {
                let others: Vec<_> = longer(rest, end, may_end).filter(|other| *other != path).collect();
                paths.entry(path).or_default().extend(others);
            }
        }
    }
}

/// Returns the paths that end later than at `first`.
fn longer(rest: &str, first: usize, may_end: impl Fn(char) -> bool) -> impl Iterator<Item = String> {
    let must_end = |c: char| c.is_control() || "\"<>".contains(c);
    let whole = rest.find(must_end).unwrap_or(rest.len());
    let ends = rest[..whole].char_indices().filter(move |(_, c)| may_end(*c)).map(|(at, _)| at);
    let ends = ends.chain([whole]).filter(move |end| *end > first);
    ends.take(MAX_ENDS).map(|end| plain(&rest[..end]))
}

/// Returns a path without the encodings of HTML and addresses, and without `.` and `..`.
fn plain(path: &str) -> String {
    let mut path = path.to_owned();
    for (entity, text) in
        [("&#39;", "'"), ("&#x27;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
    {
        path = path.replace(entity, text);
    }
    let path = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns everything in a text that looks like the id in the name of a file: `YYYYMMDD_HHMMSS_<8 hexadecimal digits>`.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let is_id = |bytes: &&[u8]| {
        bytes[8] == b'_'
            && bytes[15] == b'_'
            && bytes[..8].iter().chain(&bytes[9..15]).all(u8::is_ascii_digit)
            && bytes[16..].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.as_bytes().windows(24).filter(is_id).map(|id| String::from_utf8_lossy(id).into_owned())
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn paths_are_found_in_every_kind_of_text() {
        let document = doc! {
            "content": r#"<img src="/uploads/a.webp?size=5" srcset="/uploads/a.webp 1200w, /uploads/a_750.webp 750w"><video poster='https://x.example/uploads/b%20c.jpg'>"#,
            "photos": [{ "url": "/uploads/photos/1/d.webp" }, 5, { "url": "uploads/e.mp4" }],
            "text": "See ![x](/uploads/f.png). Not /my-uploads/g.png, nor uploads/.",
            "image": "/_next/image?url=%2Fuploads%2Fphotos%2Fh.png&w=640",
            "dots": "/uploads/./x/../i.png",
        };
        let mut found = Paths::new();
        visit_texts(&document, &mut |text| collect_paths(text, &mut found));
        let paths: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["a.webp", "a_750.webp", "b c.jpg", "e.mp4", "f.png", "i.png", "photos/1/d.webp", "photos/h.png"]
        );
    }

    #[test]
    fn names_may_contain_what_ends_an_address() {
        for (text, name) in [
            (r#"<img src="/uploads/My%20photo%20(1).png">"#, "My photo (1).png"),
            (r#"<img src="/uploads/a,b&amp;c%27d.png" alt="x">"#, "a,b&c'd.png"),
            (r#"<img src="/uploads/x;y[1].png">"#, "x;y[1].png"),
            ("![x](/uploads/two words.png)", "two words.png"),
        ] {
            let mut found = Paths::new();
            collect_paths(text, &mut found);
            let others = found.values().flatten();
            assert!(found.keys().chain(others).any(|path| path == name), "{text}: {found:?}");
        }
    }

    #[test]
    fn ids_are_found_wherever_they_are() {
        let text = "/%75ploads%2Fx%2f20240104_030406_0a1b2c3f.png é 20240104_030406_0A1B2C3F";
        let found = ids_in(&doc! { "content": text });
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["20240104_030406_0a1b2c3f"]);
    }
}
