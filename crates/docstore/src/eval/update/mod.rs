//! Applying an update to a document.

use bson::{Bson, Document, RawDocumentBuf};

use crate::order;
use crate::{Error, Field, Filter, Result, Update, UpdateOp};

/// The reason why a change does not fit a document; the caller knows the collection.
pub(crate) type Unfit = String;

/// Applies the changes; returns whether the document differs now.
pub(crate) fn apply(document: &mut Document, update: &Update, inserting: bool) -> Result<bool, Unfit> {
    let mut ops: Vec<&UpdateOp> = update.ops().iter().collect();
    // MongoDB's order, and it is by part: `a.b` comes before `a-b`, which it would not as text.
    ops.sort_by(|a, b| a.field().parts().cmp(b.field().parts()));
    let mut changed = false;
    for op in ops {
        changed |= apply_one(document, op, inserting)?;
    }
    Ok(changed)
}

fn apply_one(document: &mut Document, op: &UpdateOp, inserting: bool) -> Result<bool, Unfit> {
    let parts: Vec<&str> = op.field().parts().collect();
    let (Some((last, parents)), field) = (parts.split_last(), op.field()) else { return Ok(false) };
    match op {
        UpdateOp::SetOnInsert(..) if !inserting => Ok(false),
        UpdateOp::Unset(_) => Ok(find_parent(document, parents).is_some_and(|p| p.remove(last).is_some())),
        UpdateOp::Set(_, value) | UpdateOp::SetOnInsert(_, value) => {
            let parent = make_parent(document, parents, field)?;
            if parent.get(last).is_some_and(|old| identical(old, value)) {
                return Ok(false);
            }
            parent.insert(*last, value.clone());
            Ok(true)
        }
        UpdateOp::Inc(_, by) => {
            let parent = make_parent(document, parents, field)?;
            let Some(old) = parent.get_mut(last) else {
                parent.insert(*last, by.clone());
                return Ok(true);
            };
            let sum = add(old, by).map_err(|why| format!("{field} {why}"))?;
            let changed = !same_number(old, &sum);
            if changed {
                *old = sum;
            }
            Ok(changed)
        }
        UpdateOp::AddToSet(_, value) => {
            let operand = encode(value)?;
            let parent = make_parent(document, parents, field)?;
            let Bson::Array(array) =
                parent.entry((*last).to_owned()).or_insert_with(|| Bson::Array(Vec::new()))
            else {
                return Err(format!("{field} is not an array to append to"));
            };
            for element in array.iter() {
                if encode(element)? == operand {
                    return Ok(false);
                }
            }
            array.push(value.clone());
            Ok(true)
        }
    }
}

fn encode(value: &Bson) -> Result<Vec<u8>, Unfit> {
    order::encode_value(value).map_err(|error| error.to_string())
}

/// Returns the document that holds the last part of a path, if it exists.
fn find_parent<'a>(mut document: &'a mut Document, parents: &[&str]) -> Option<&'a mut Document> {
    for part in parents {
        document = document.get_document_mut(part).ok()?;
    }
    Some(document)
}

/// Returns the document that holds the last part of a path, creating missing parents.
fn make_parent<'a>(
    mut document: &'a mut Document,
    parents: &[&str],
    field: &Field,
) -> Result<&'a mut Document, Unfit> {
    for part in parents {
        let inner = document.entry((*part).to_owned()).or_insert_with(|| Bson::Document(Document::new()));
        let Bson::Document(inner) = inner else {
            return Err(format!("{field} leads through {part}, which is not a document"));
        };
        document = inner;
    }
    Ok(document)
}

/// Returns whether two values have the same bytes: 1 and 1.0 are equal, but not identical.
fn identical(a: &Bson, b: &Bson) -> bool {
    let bytes = |value: &Bson| {
        let mut document = Document::new();
        document.insert("v", value.clone());
        RawDocumentBuf::try_from(&document).map(RawDocumentBuf::into_bytes)
    };
    match (a, b) {
        (Bson::Double(a), Bson::Double(b)) => a.to_bits() == b.to_bits(),
        (Bson::Array(_), Bson::Array(_)) | (Bson::Document(_), Bson::Document(_)) => {
            matches!((bytes(a), bytes(b)), (Ok(a), Ok(b)) if a == b)
        }
        _ => a == b,
    }
}

/// Returns whether MongoDB considers an addition a no-op: 0.0 added to -0.0 is one, and anything added to NaN is not.
fn same_number(a: &Bson, b: &Bson) -> bool {
    match (a, b) {
        #[expect(clippy::float_cmp, reason = "equality is what is asked")]
        (Bson::Double(a), Bson::Double(b)) => a == b,
        _ => a == b,
    }
}

#[expect(clippy::cast_precision_loss, reason = "an int64 added to a double is a double, as in MongoDB")]
fn add(old: &Bson, by: &Bson) -> Result<Bson, &'static str> {
    let float = |value: &Bson| match value {
        Bson::Int32(v) => Some(f64::from(*v)),
        Bson::Int64(v) => Some(*v as f64),
        Bson::Double(v) => Some(*v),
        _ => None,
    };
    let integer = |value: &Bson| match value {
        Bson::Int32(v) => Some(i64::from(*v)),
        Bson::Int64(v) => Some(*v),
        _ => None,
    };
    if let (Bson::Int32(a), Bson::Int32(b)) = (old, by) {
        return Ok(a.checked_add(*b).map_or_else(|| Bson::Int64(i64::from(*a) + i64::from(*b)), Bson::Int32));
    }
    if let (Some(a), Some(b)) = (integer(old), integer(by)) {
        return a.checked_add(b).map(Bson::Int64).ok_or("would leave the range of an int64");
    }
    match (float(old), float(by)) {
        (Some(a), Some(b)) => Ok(Bson::Double(a + b)),
        _ => Err("is not a number to add to"),
    }
}

/// Returns the document that an upsert inserts, without an id if the filter gives none.
pub(crate) fn upserted(filter: &Filter, update: &Update) -> Result<Result<Document, Unfit>> {
    let mut seeds: Vec<_> = filter.equalities().collect();
    seeds.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    let mut document = Document::new();
    for (i, (field, value)) in seeds.iter().enumerate() {
        if let Some((other, _)) = seeds[..i].iter().find(|(other, _)| other.overlaps(field)) {
            return Err(Error::Invalid(format!(
                "an upsert cannot derive {field} from a filter on {other} and {field}"
            )));
        }
        let parts: Vec<&str> = field.parts().collect();
        let Some((last, parents)) = parts.split_last() else { continue };
        if !parents.is_empty() && Field::ID.overlaps(field) {
            return Err(Error::Invalid("an upsert needs the whole id, not a part of it".into()));
        }
        match make_parent(&mut document, parents, field) {
            Ok(parent) => parent.insert(*last, (*value).clone()),
            Err(unfit) => return Ok(Err(unfit)),
        };
    }
    Ok(apply(&mut document, update, true).map(|_| document))
}

#[cfg(test)]
mod tests;
