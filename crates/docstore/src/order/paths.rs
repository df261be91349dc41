//! How a dotted path leads to values: through documents, and through arrays of documents, as in MongoDB.

use bson::{RawArray, RawBsonRef, RawDocument};

use crate::order::key_encoding::unreadable;
use crate::order::layout;
use crate::{Direction, Field, Result};

/// A field path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl From<&Field> for Path {
    fn from(field: &Field) -> Self {
        Self(field.parts().map(str::to_owned).collect())
    }
}

/// A value of a document by its name.
pub(crate) fn get<'a>(document: &'a RawDocument, name: &str) -> Result<Option<RawBsonRef<'a>>> {
    // Most filters ask whether a document has a mark that it does not have.
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

/// Follows a path through documents, up to its end or to the first array; `rest` is what is left of it then.
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

/// Whether a value at the path passes the test; `None` stands for a missing value. With `elements`, an array at the
/// end of the path is tested element by element and then as a whole; without, only as a whole.
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
            // Elements that are no documents have nothing at the rest of the path, not even a missing value.
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

/// A field of an index or of a sort.
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

/// Whether two arrays are one and the same.
pub(crate) fn same(a: &RawArray, b: &RawArray) -> bool {
    std::ptr::eq(a.as_bytes(), b.as_bytes())
}
