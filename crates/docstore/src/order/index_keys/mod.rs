//! Extracts the index keys and the sort key of a document.
//!
//! A document without arrays has one key. If a path contains an array, each element yields a key; only one array is
//! allowed, because the product of two would be too many keys.

use std::collections::BTreeSet;

use bson::{RawArray, RawBsonRef, RawDocument};

use crate::order::key_encoding::{self as key, unreadable};
use crate::order::paths::{KeyField, same, walk};
use crate::{Error, Result};

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
            Part::Missing => out.push(key::NULL),
            Part::EmptyArray => out.push(key::EMPTY_ARRAY),
            Part::Value(value) => key::encode(value, &mut out)?,
        }
        if field.descending {
            key::invert(&mut out[start..]);
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

#[cfg(test)]
mod tests;
