//! Resolves dotted field paths through documents and arrays of documents, as MongoDB does.

use bson::{RawArray, RawBsonRef, RawDocument};

use crate::order::key_encoding::unreadable;
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
    if has(document.as_bytes(), name.as_bytes()) == Some(false) {
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

/// Prepares the fields of an index or a sort.
pub(crate) fn key_fields(fields: &[(Field, Direction)]) -> Vec<KeyField> {
    let key_field = |(field, direction): &(Field, Direction)| KeyField {
        path: field.into(),
        descending: *direction == Direction::Descending,
    };
    fields.iter().map(key_field).collect()
}

/// Returns true if both refer to the same array in memory.
pub(crate) fn same(a: &RawArray, b: &RawArray) -> bool {
    std::ptr::eq(a.as_bytes(), b.as_bytes())
}

/// Tests for a field by walking the BSON layout: names and lengths, without decoding values. Returns `None` if the bytes
/// are malformed, which the caller's decoder reports. Much faster than decoding the elements: it takes one step per field.
///
/// Source: the BSON specification, version 1.1.
fn has(document: &[u8], name: &[u8]) -> Option<bool> {
    // The elements follow the document's length and end with a zero byte.
    let mut rest = document.get(4..)?;
    loop {
        let (&kind, after) = rest.split_first()?;
        if kind == 0 {
            return after.is_empty().then_some(false);
        }
        let end = after.iter().position(|byte| *byte == 0)?;
        if &after[..end] == name {
            return Some(true);
        }
        let value = &after[end + 1..];
        rest = value.get(size(kind, value)?..)?;
    }
}

/// Returns the size in bytes of the value at the start; `None` for types that are practically never stored.
fn size(kind: u8, value: &[u8]) -> Option<usize> {
    let length = || {
        let bytes = value.first_chunk::<4>()?;
        usize::try_from(i32::from_le_bytes(*bytes)).ok()
    };
    match kind {
        // Null, MaxKey and MinKey.
        0x0A | 0x7F | 0xFF => Some(0),
        // A boolean.
        0x08 => Some(1),
        // A 32-bit number.
        0x10 => Some(4),
        // A double, a date, a timestamp, a 64-bit number.
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        // An object id.
        0x07 => Some(12),
        // A decimal.
        0x13 => Some(16),
        // Strings, code and symbols: the length does not include itself.
        0x02 | 0x0D | 0x0E => length()?.checked_add(4),
        // Documents and arrays: the length includes itself.
        0x03 | 0x04 => length(),
        // Binary: the length and the subtype.
        0x05 => length()?.checked_add(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::spec::BinarySubtype;
    use bson::{Binary, Bson, DateTime, Decimal128, Regex, Timestamp, doc};

    use super::*;

    #[test]
    fn finds_fields_after_values_of_every_type() {
        let kinds = [
            Bson::Double(1.5),
            "text".into(),
            doc! { "inner": 1 }.into(),
            Bson::Array(vec![1.into(), "b".into()]),
            Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 2] }),
            ObjectId::from_bytes([7; 12]).into(),
            true.into(),
            DateTime::from_millis(5).into(),
            Bson::Null,
            Bson::JavaScriptCode("f()".into()),
            Bson::Symbol("s".into()),
            1_i32.into(),
            Bson::Timestamp(Timestamp { time: 1, increment: 2 }),
            1_i64.into(),
            Bson::Decimal128(Decimal128::from_bytes([1; 16])),
            Bson::MinKey,
            Bson::MaxKey,
        ];
        for kind in kinds {
            let bytes = doc! { "first": kind.clone(), "last": "end" }.to_vec().unwrap();
            assert_eq!(has(&bytes, b"last"), Some(true), "{kind}");
            assert_eq!(has(&bytes, b"first"), Some(true), "{kind}");
            for none in ["", "inner", "las", "lastly", "en"] {
                assert_eq!(has(&bytes, none.as_bytes()), Some(false), "{kind}: {none}");
            }
        }
    }

    #[test]
    fn unknown_types_and_malformed_bytes_return_none() {
        let pattern = Bson::RegularExpression(Regex {
            pattern: "a".try_into().unwrap(),
            options: "i".try_into().unwrap(),
        });
        let bytes = doc! { "first": pattern, "last": 1 }.to_vec().unwrap();
        assert_eq!(has(&bytes, b"last"), None);
        // A truncated document is never reported as lacking the field.
        let whole = doc! { "a": "text", "b": 1_i64, "c": [1, 2] }.to_vec().unwrap();
        for length in 0..whole.len() {
            assert_eq!(has(&whole[..length], b"z"), None, "{length}");
        }
        // A string whose length exceeds the document.
        let mut bad = doc! { "a": "text" }.to_vec().unwrap();
        bad[7..11].copy_from_slice(&i32::MAX.to_le_bytes());
        assert_eq!(has(&bad, b"z"), None);
        // A terminator before the end.
        assert_eq!(has(b"\x0a\0\0\0\0\x08b\0\x01\0", b"b"), None);
        bad[7..11].copy_from_slice(&(-1_i32).to_le_bytes());
        assert_eq!(has(&bad, b"z"), None);
    }
}
