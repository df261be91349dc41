//! MongoDB's order of BSON values. An encoding keeps it: two values compare as their encodings do, byte by byte. Index keys,
//! sort keys and filter comparisons all use it, so they cannot disagree. Field paths resolve through documents and arrays
//! of documents, as MongoDB's do.
//!
//! The encoding is prefix-free, so the key of a compound index is the concatenation of its fields' encodings. A document
//! without arrays has one key. If a path contains an array, each element yields a key; only one array is allowed, because
//! the product of two would be too many keys.

use std::collections::BTreeSet;

use bson::spec::BinarySubtype;
use bson::{Bson, RawArray, RawBson, RawBsonRef, RawDocument};

use crate::{Direction, Error, Field, Result};

#[cfg(test)]
mod tests;

/// The tag of an empty array where its elements are compared: it sorts before null.
pub(crate) const EMPTY_ARRAY: u8 = 1;
pub(crate) const NULL: u8 = 6;
pub(crate) const NUMBER: u8 = 11;
pub(crate) const STRING: u8 = 16;
const DOCUMENT: u8 = 21;
pub(crate) const ARRAY: u8 = 26;
const BINARY: u8 = 31;
const OBJECT_ID: u8 = 36;
pub(crate) const BOOLEAN: u8 = 41;
const DATE: u8 = 46;
const TIMESTAMP: u8 = 48;

const END: u8 = 0;
const SIGN: u64 = 1 << 63;

/// Returns the tag of a value's type, in MongoDB's type order. Unsupported types sort last.
pub(crate) fn tag(value: RawBsonRef<'_>) -> u8 {
    match value {
        RawBsonRef::Null => NULL,
        RawBsonRef::Double(_) | RawBsonRef::Int32(_) | RawBsonRef::Int64(_) => NUMBER,
        RawBsonRef::String(_) => STRING,
        RawBsonRef::Document(_) => DOCUMENT,
        RawBsonRef::Array(_) => ARRAY,
        RawBsonRef::Binary(_) => BINARY,
        RawBsonRef::ObjectId(_) => OBJECT_ID,
        RawBsonRef::Boolean(_) => BOOLEAN,
        RawBsonRef::DateTime(_) => DATE,
        RawBsonRef::Timestamp(_) => TIMESTAMP,
        _ => u8::MAX,
    }
}

/// Appends the encoding of a value.
pub(crate) fn encode(value: RawBsonRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(tag(value));
    encode_payload(value, out)
}

fn encode_payload(value: RawBsonRef<'_>, out: &mut Vec<u8>) -> Result<()> {
    match value {
        RawBsonRef::Null => {}
        RawBsonRef::Double(v) => encode_number(v, 0, out),
        RawBsonRef::Int32(v) => encode_number(f64::from(v), 0, out),
        RawBsonRef::Int64(v) => encode_i64(v, out),
        RawBsonRef::String(v) => encode_text(v.as_bytes(), out),
        RawBsonRef::Document(document) => {
            for element in document.iter_elements() {
                let element = element.map_err(unreadable)?;
                let value = element.value().map_err(unreadable)?;
                out.push(tag(value));
                encode_text(element.key().as_str().as_bytes(), out);
                encode_payload(value, out)?;
            }
            out.push(END);
        }
        RawBsonRef::Array(array) => {
            for value in array {
                encode(value.map_err(unreadable)?, out)?;
            }
            out.push(END);
        }
        RawBsonRef::Binary(binary) => {
            // The old subtype stores its length twice; MongoDB compares the outer one.
            let extra = if binary.subtype == BinarySubtype::BinaryOld { 4 } else { 0 };
            let length = u32::try_from(binary.bytes.len() + extra).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.push(binary.subtype.into());
            out.extend_from_slice(binary.bytes);
        }
        RawBsonRef::ObjectId(id) => out.extend_from_slice(&id.bytes()),
        RawBsonRef::Boolean(v) => out.push(u8::from(v)),
        RawBsonRef::DateTime(v) => {
            out.extend_from_slice(&(v.timestamp_millis().cast_unsigned() ^ SIGN).to_be_bytes());
        }
        RawBsonRef::Timestamp(v) => {
            out.extend_from_slice(&v.time.to_be_bytes());
            out.extend_from_slice(&v.increment.to_be_bytes());
        }
        other => {
            let kind = other.element_type();
            return Err(Error::Invalid(format!("values of type {kind:?} are not supported")));
        }
    }
    Ok(())
}

/// Encodes one value.
pub(crate) fn encode_value(value: &Bson) -> Result<Vec<u8>> {
    let raw = RawBson::try_from(value.clone()).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut out = Vec::new();
    encode(raw.as_raw_bson_ref(), &mut out)?;
    Ok(out)
}

/// Encodes a number as an order-preserving double, followed by the difference between an int64 and that double.
fn encode_number(value: f64, residual: i16, out: &mut Vec<u8>) {
    let ordered = if value.is_nan() {
        0
    } else {
        // Adding zero normalizes -0.0 to 0.0.
        let bits = (value + 0.0).to_bits();
        if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
    };
    out.extend_from_slice(&ordered.to_be_bytes());
    out.extend_from_slice(&(residual.cast_unsigned() ^ 0x8000).to_be_bytes());
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the residual holds what the conversion loses"
)]
fn encode_i64(value: i64, out: &mut Vec<u8>) {
    let rounded = value as f64;
    // Doubles of this magnitude are at most 1024 apart, so the residual fits.
    let residual = i128::from(value) - rounded as i128;
    encode_number(rounded, residual as i16, out);
}

fn encode_text(bytes: &[u8], out: &mut Vec<u8>) {
    escape(bytes, out);
    out.extend_from_slice(&[0, 0]);
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
}

/// Returns the common prefix of the encodings of all strings that start with `prefix`.
pub(crate) fn text_prefix(prefix: &str) -> Vec<u8> {
    let mut out = vec![STRING];
    escape(prefix.as_bytes(), &mut out);
    out
}

/// Returns true for the encoding of NaN.
pub(crate) fn is_nan(encoded: &[u8]) -> bool {
    encoded.first() == Some(&NUMBER) && encoded.get(1..9) == Some(&[0; 8])
}

/// Returns the lowest bytes above all keys that start with `prefix`; no key starts with the highest byte.
pub(crate) fn after_prefix(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return prefix;
        }
    }
    vec![u8::MAX]
}

/// Appends the encoding of a field to a key, inverted if the field is descending.
pub(crate) fn push_field(key: &mut Vec<u8>, encoded: &[u8], descending: bool) {
    let start = key.len();
    key.extend_from_slice(encoded);
    if descending {
        invert(&mut key[start..]);
    }
}

/// Inverts an encoding, which reverses its order.
pub(crate) fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

/// The name of a stored document in [`Error::Damaged`], where it is not known which one it is.
pub(crate) const UNNAMED: &str = "a stored document";

/// Returns the error for a stored document that is not valid BSON.
pub(crate) fn unreadable(source: bson::error::Error) -> Error {
    Error::Damaged { document: UNNAMED.to_owned(), source: Box::new(source) }
}

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
pub(crate) fn any_value(
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
                && any_value(inner, rest, elements, test)?
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

/// The index keys of one document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Keys {
    /// The encoded keys: all fields, concatenated.
    pub(crate) set: BTreeSet<Vec<u8>>,
    /// True if a path contains an array.
    pub(crate) multikey: bool,
    /// Two fields whose paths contain different arrays; there are no keys then.
    pub(crate) parallel: Option<(String, String)>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Missing,
    EmptyArray,
    Value(RawBsonRef<'a>),
}

#[derive(Clone)]
struct State<'a, 'p> {
    /// The remaining part of each path; `None` once its value is known.
    rest: Vec<Option<&'p [String]>>,
    fixed: Vec<Part<'a>>,
    missing: usize,
}

/// Extracts the keys of a document; none if the index is `sparse` and the document has none of the fields.
pub(crate) fn extract(document: &RawDocument, fields: &[KeyField], sparse: bool) -> Result<Keys> {
    let mut keys = Keys::default();
    let state = State {
        rest: fields.iter().map(|f| Some(f.path.0.as_slice())).collect(),
        fixed: vec![Part::Missing; fields.len()],
        missing: 0,
    };
    expand(Some(document), state, fields, sparse, &mut keys)?;
    Ok(keys)
}

fn expand<'a>(
    document: Option<&'a RawDocument>,
    mut state: State<'a, '_>,
    fields: &[KeyField],
    sparse: bool,
    keys: &mut Keys,
) -> Result<()> {
    let mut array: Option<(&'a RawArray, usize)> = None;
    let mut through = Vec::new();
    for i in 0..fields.len() {
        let Some(path) = state.rest[i] else { continue };
        let (value, rest) = match document {
            Some(document) => walk(document, path)?,
            None => (None, path),
        };
        match value {
            None => {
                state.fixed[i] = Part::Missing;
                state.rest[i] = None;
                state.missing += 1;
            }
            Some(RawBsonRef::Array(found)) => {
                if let Some((first, at)) = array
                    && !same(first, found)
                {
                    keys.parallel = Some((fields[at].path.0.join("."), fields[i].path.0.join(".")));
                    return Ok(());
                }
                array = array.or(Some((found, i)));
                state.rest[i] = Some(rest);
                through.push(i);
            }
            Some(value) => {
                state.fixed[i] = Part::Value(value);
                state.rest[i] = None;
            }
        }
    }
    let Some((array, _)) = array else {
        if !(sparse && state.missing == fields.len()) {
            keys.set.insert(join(&state.fixed, fields)?);
        }
        return Ok(());
    };
    keys.multikey = true;
    if array.is_empty() {
        return expand_element(Part::EmptyArray, None, &state, &through, fields, sparse, keys);
    }
    for element in array {
        let element = element.map_err(unreadable)?;
        let inner = if let RawBsonRef::Document(inner) = element { Some(inner) } else { None };
        expand_element(Part::Value(element), inner, &state, &through, fields, sparse, keys)?;
    }
    Ok(())
}

fn expand_element<'a>(
    part: Part<'a>,
    inner: Option<&'a RawDocument>,
    state: &State<'a, '_>,
    through: &[usize],
    fields: &[KeyField],
    sparse: bool,
    keys: &mut Keys,
) -> Result<()> {
    let mut state = state.clone();
    for &i in through {
        if state.rest[i].is_some_and(<[String]>::is_empty) {
            state.fixed[i] = part;
            state.rest[i] = None;
        }
    }
    expand(inner, state, fields, sparse, keys)
}

fn join(parts: &[Part<'_>], fields: &[KeyField]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (part, field) in parts.iter().zip(fields) {
        let start = out.len();
        match *part {
            Part::Missing => out.push(NULL),
            Part::EmptyArray => out.push(EMPTY_ARRAY),
            Part::Value(value) => encode(value, &mut out)?,
        }
        if field.descending {
            invert(&mut out[start..]);
        }
    }
    Ok(out)
}

/// Returns the key by which a document is sorted: with an array, the first of its keys in the order of the sort.
pub(crate) fn sort_key(document: &RawDocument, fields: &[KeyField]) -> Result<Vec<u8>> {
    let keys = extract(document, fields, false)?;
    if let Some((a, b)) = keys.parallel {
        return Err(Error::Invalid(format!("cannot sort by {a} and {b}: both are arrays in one document")));
    }
    Ok(keys.set.into_iter().next().unwrap_or_default())
}
