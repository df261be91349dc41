//! Resolves dotted field paths through documents and arrays of documents, as MongoDB does.

use bson::{RawArray, RawBsonRef, RawDocument};

use crate::order::key_encoding::unreadable;
use crate::order::layout;
use crate::{Direction, Field, Result};

/// A field path, split at the dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl From<&Field> for Path {
    fn from(field: &Field) -> Self {
        Self(field.parts().map(str::to_owned).collect())
    }
}

/// Returns the value of a top-level field.
pub(crate) fn get<'a>(document: &'a RawDocument, name: &str) -> Result<Option<RawBsonRef<'a>>> {
    // Most filters test a flag that the document does not have.
    if layout::has(document.as_bytes(), name.as_bytes()) == Some(false) {
        return Ok(None);
    }
    for element in document.iter_elements() {
        let element = element.map_err(unreadable)?;
        if element.key().as_str() == name {
            return element.value().map(Some).map_err(unreadable);
        }
    }
    Ok(None)
}

/// Follows a path through documents to its end or to the first array. Returns the value and the remaining path.
pub(crate) fn walk<'a, 'p>(
    document: &'a RawDocument,
    mut rest: &'p [String],
) -> Result<(Option<RawBsonRef<'a>>, &'p [String])> {
    let mut document = document;
    loop {
        let Some((name, tail)) = rest.split_first() else { return Ok((None, rest)) };
        let value = get(document, name)?;
        rest = tail;
        match value {
            Some(RawBsonRef::Document(inner)) if !rest.is_empty() => document = inner,
            Some(RawBsonRef::Array(_)) => return Ok((value, rest)),
            Some(_) if !rest.is_empty() => return Ok((None, rest)),
            value => return Ok((value, rest)),
        }
    }
}

/// Returns true if a value at the path passes the test; `None` represents a missing value. With `elements`, an array at
/// the end of the path is tested element by element and then as a whole; without it, only as a whole.
pub(crate) fn any(
    document: &RawDocument,
    path: &[String],
    elements: bool,
    test: &mut dyn FnMut(Option<RawBsonRef<'_>>) -> Result<bool>,
) -> Result<bool> {
    let (value, rest) = walk(document, path)?;
    let Some(RawBsonRef::Array(array)) = value else { return test(value) };
    if !rest.is_empty() {
        for element in array {
            // An element that is not a document has no value at the remaining path, not even a missing one.
            if let RawBsonRef::Document(inner) = element.map_err(unreadable)?
                && any(inner, rest, elements, test)?
            {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if elements {
        for element in array {
            if test(Some(element.map_err(unreadable)?))? {
                return Ok(true);
            }
        }
    }
    test(value)
}

/// One field of an index key or a sort key.
#[derive(Debug, Clone)]
pub(crate) struct KeyField {
    pub(crate) path: Path,
    pub(crate) descending: bool,
}

impl KeyField {
    pub(crate) fn new(field: &Field, direction: Direction) -> Self {
        Self { path: field.into(), descending: direction == Direction::Descending }
    }
}

/// Returns true if both refer to the same array in memory.
pub(crate) fn same(a: &RawArray, b: &RawArray) -> bool {
    std::ptr::eq(a.as_bytes(), b.as_bytes())
}
