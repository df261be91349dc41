use bson::{Bson, Document};

pub(crate) fn texts_to_bson(texts: &[String]) -> Bson {
    Bson::Array(texts.iter().map(|t| Bson::String(t.clone())).collect())
}

/// Returns the id of a document as text.
pub(crate) fn id_of(document: &Document) -> String {
    document.get("_id").map_or_else(|| "without _id".into(), ToString::to_string)
}

pub(crate) fn text(document: &Document, key: &str) -> Option<String> {
    document.get_str(key).ok().map(str::to_owned)
}

pub(crate) fn integer(document: &Document, key: &str) -> Option<i64> {
    match document.get(key) {
        Some(Bson::Int64(n)) => Some(*n),
        Some(Bson::Int32(n)) => Some(i64::from(*n)),
        _ => None,
    }
}

pub(crate) fn texts(document: &Document, key: &str) -> Vec<String> {
    let list = document.get_array(key).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

pub(crate) fn documents<'a>(document: &'a Document, key: &str) -> impl Iterator<Item = &'a Document> {
    document.get_array(key).map(Vec::as_slice).unwrap_or_default().iter().filter_map(Bson::as_document)
}
