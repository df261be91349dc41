//! Projections of documents.

use bson::raw::{CStr, RawElement};
use bson::{RawArray, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::order::key_encoding::unreadable;
use crate::{Projection, Result};

/// Returns the projected part of a document, with fields in the document's order.
pub(crate) fn project(document: &RawDocument, projection: &Projection) -> Result<RawDocumentBuf> {
    let including = matches!(projection, Projection::Include(_));
    let paths: Vec<Vec<&str>> = projection.fields().iter().map(|f| f.parts().collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    let mut out = RawDocumentBuf::new();
    for element in document.iter_elements() {
        let element = element.map_err(unreadable)?;
        if element.key().as_str() == "_id" {
            out.append(element.key(), element.value().map_err(unreadable)?);
        } else {
            field(&element, &paths, including, &mut out)?;
        }
    }
    Ok(out)
}

fn fields(document: &RawDocument, paths: &[&[&str]], including: bool) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    for element in document.iter_elements() {
        field(&element.map_err(unreadable)?, paths, including, &mut out)?;
    }
    Ok(out)
}

fn field(
    element: &RawElement<'_>,
    paths: &[&[&str]],
    including: bool,
    out: &mut RawDocumentBuf,
) -> Result<()> {
    let key: &CStr = element.key();
    let inner: Vec<&[&str]> =
        paths.iter().filter(|path| path.first() == Some(&key.as_str())).map(|path| &path[1..]).collect();
    let value = element.value().map_err(unreadable)?;
    if inner.is_empty() || inner.iter().any(|path| path.is_empty()) {
        // Not named at all, or named itself.
        if inner.is_empty() != including {
            out.append(key, value);
        }
        return Ok(());
    }
    match value {
        RawBsonRef::Document(document) => out.append(key, fields(document, &inner, including)?),
        RawBsonRef::Array(values) => out.append(key, array(values, &inner, including)?),
        value if !including => out.append(key, value),
        _ => {}
    }
    Ok(())
}

/// Projects the documents in an array. An inclusion drops the other elements, an exclusion keeps them.
fn array(values: &RawArray, paths: &[&[&str]], including: bool) -> Result<RawArrayBuf> {
    let mut out = RawArrayBuf::new();
    for value in values {
        match value.map_err(unreadable)? {
            RawBsonRef::Document(document) => out.push(fields(document, paths, including)?),
            RawBsonRef::Array(values) => out.push(array(values, paths, including)?),
            value if !including => out.push(value),
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
        let projected = project(&raw, projection).unwrap();
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
        check(&Projection::include::<&'static str>([]), &doc! { "_id": 1 });
    }

    #[test]
    fn exclusion_drops_what_is_named() {
        check(
            &Projection::exclude(["l.b", "a", "s.t"]),
            &doc! { "_id": 1, "l": [1, { "c": 4 }, [{ "c": 6 }, 7]], "s": "text" },
        );
    }
}
