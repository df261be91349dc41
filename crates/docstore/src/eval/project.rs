//! Projections of documents.

use bson::{RawArray, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::order::unreadable;
use crate::{Field, Projection, Result};

/// Returns the paths that a projection includes, with that of the id.
pub(crate) fn included(projection: &Projection) -> Vec<Vec<String>> {
    let fields = projection.fields().iter().chain([&Field::ID]);
    fields.map(|field| field.parts().map(str::to_owned).collect()).collect()
}

/// Returns the part of a document at these paths, with fields in the document's order.
pub(crate) fn project<P: AsRef<[String]>>(document: &RawDocument, paths: &[P]) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    for element in document.iter_elements() {
        let element = element.map_err(unreadable)?;
        let key = element.key();
        let inner: Vec<_> = paths.iter().filter_map(|path| below(path.as_ref(), key.as_str())).collect();
        if inner.is_empty() {
            continue;
        }
        match element.value().map_err(unreadable)? {
            value if inner.iter().any(|path| path.is_empty()) => out.append(key, value),
            RawBsonRef::Document(document) => out.append(key, project(document, &inner)?),
            RawBsonRef::Array(values) => out.append(key, array(values, &inner)?),
            _ => {}
        }
    }
    Ok(out)
}

/// Returns the part of a path below a field, if it leads through the field.
fn below<'p>(path: &'p [String], field: &str) -> Option<&'p [String]> {
    path.split_first().filter(|(first, _)| *first == field).map(|(_, rest)| rest)
}

/// Projects the documents in an array and drops the other elements.
fn array(values: &RawArray, paths: &[&[String]]) -> Result<RawArrayBuf> {
    let mut out = RawArrayBuf::new();
    for value in values {
        match value.map_err(unreadable)? {
            RawBsonRef::Document(document) => out.push(project(document, paths)?),
            RawBsonRef::Array(values) => out.push(array(values, paths)?),
            _ => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    #[track_caller]
    fn check(projection: &Projection, expected: &Document) {
        let stored = doc! {
            "_id": 1, "a": { "b": 1, "c": 2 }, "l": [1, { "b": 3, "c": 4 }, [{ "b": 5, "c": 6 }, 7]], "s": "text",
        };
        let raw = RawDocumentBuf::try_from(&stored).unwrap();
        let projected = project(&raw, &included(projection)).unwrap();
        assert_eq!(Document::try_from(projected.as_ref()).unwrap(), *expected);
    }

    #[test]
    fn inclusion_keeps_what_is_named() {
        check(&Projection::include(["s"]), &doc! { "_id": 1, "s": "text" });
        check(
            &Projection::include(["l.b", "a.b"]),
            &doc! { "_id": 1, "a": { "b": 1 }, "l": [{ "b": 3 }, [{ "b": 5 }]] },
        );
        check(&Projection::include(["s.t", "a.x"]), &doc! { "_id": 1, "a": {} });
        check(&Projection::id(), &doc! { "_id": 1 });
    }
}
