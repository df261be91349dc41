//! An order-preserving encoding of BSON values: two values compare in MongoDB's BSON order as their encodings do, byte by
//! byte. Index keys, sort keys and filter comparisons all use it, so they cannot disagree.
//!
//! The encoding is prefix-free, so the key of a compound index is the concatenation of its fields' encodings.

use bson::spec::BinarySubtype;
use bson::{Bson, RawBson, RawBsonRef};

use crate::{Error, Result};

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

#[cfg(test)]
mod tests;
