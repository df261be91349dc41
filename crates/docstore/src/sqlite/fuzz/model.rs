use std::cmp::Ordering;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};

use crate::{Field, Filter};

/// Returns whether a document matches.
pub(super) fn matches(filter: &Filter, document: &Document) -> bool {
    let compared = |field: &Field, operand: &Bson, accepted: &[Ordering]| {
        let accepts = |value: Option<&Bson>| {
            let value = value.unwrap_or(&Bson::Null);
            let is_comparable = rank(value) == rank(operand);
            let ordering = compare(value, operand);
            is_comparable
                && accepted.contains(&ordering)
                && (ordering == Ordering::Equal || !is_nan(value) && !is_nan(operand))
        };
        values(document, field, true).into_iter().any(accepts)
    };
    match filter {
        Filter::All => true,
        Filter::Eq(field, value) => compared(field, value, &[Ordering::Equal]),
        Filter::Ne(field, value) => !compared(field, value, &[Ordering::Equal]),
        Filter::In(field, values) => values.iter().any(|value| compared(field, value, &[Ordering::Equal])),
        Filter::Lt(field, value) => compared(field, value, &[Ordering::Less]),
        Filter::Lte(field, value) => compared(field, value, &[Ordering::Less, Ordering::Equal]),
        Filter::Gt(field, value) => compared(field, value, &[Ordering::Greater]),
        Filter::Gte(field, value) => compared(field, value, &[Ordering::Greater, Ordering::Equal]),
        Filter::Exists(field) => values(document, field, false).iter().any(Option::is_some),
        Filter::Missing(field) => !values(document, field, false).iter().any(Option::is_some),
        Filter::StartsWith(field, prefix) => {
            let starts = |value: Option<&Bson>| {
                value.and_then(Bson::as_str).is_some_and(|text| text.starts_with(prefix))
            };
            values(document, field, true).into_iter().any(starts)
        }
        Filter::And(filters) => filters.iter().all(|filter| matches(filter, document)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(filter, document)),
        Filter::Not(filter) => !matches(filter, document),
    }
}

/// Returns the values at a path, `None` where one is missing; with `elements` also those of an array at its end.
fn values<'d>(document: &'d Document, field: &Field, elements: bool) -> Vec<Option<&'d Bson>> {
    let mut found = Vec::new();
    collect(document, &field.parts().collect::<Vec<_>>(), elements, &mut found);
    found
}

fn collect<'d>(document: &'d Document, path: &[&str], elements: bool, found: &mut Vec<Option<&'d Bson>>) {
    let Some((name, rest)) = path.split_first() else { return };
    match document.get(name) {
        value if rest.is_empty() => {
            if let (true, Some(Bson::Array(array))) = (elements, value) {
                found.extend(array.iter().map(Some));
            }
            found.push(value);
        }
        Some(Bson::Document(inner)) => collect(inner, rest, elements, found),
        Some(Bson::Array(array)) => {
            array
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|inner| collect(inner, rest, elements, found));
        }
        _ => found.push(None),
    }
}

/// Returns the place of a type in MongoDB's order of types.
fn rank(value: &Bson) -> u8 {
    match value {
        Bson::Null => 0,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 1,
        Bson::String(_) => 2,
        Bson::Document(_) => 3,
        Bson::Array(_) => 4,
        Bson::Binary(_) => 5,
        Bson::ObjectId(_) => 6,
        Bson::Boolean(_) => 7,
        Bson::DateTime(_) => 8,
        Bson::Timestamp(_) => 9,
        other => panic!("no value of this type is stored: {other:?}"),
    }
}

fn is_nan(value: &Bson) -> bool {
    value.as_f64().is_some_and(f64::is_nan)
}

/// Compares two values in MongoDB's order.
fn compare(a: &Bson, b: &Bson) -> Ordering {
    let by_value = match (a, b) {
        (Bson::String(a), Bson::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bson::Document(a), Bson::Document(b)) => {
            let fields = a.iter().zip(b).map(|((a_name, a), (b_name, b))| {
                rank(a).cmp(&rank(b)).then_with(|| a_name.cmp(b_name)).then_with(|| compare(a, b))
            });
            first_difference(fields).then(a.len().cmp(&b.len()))
        }
        (Bson::Array(a), Bson::Array(b)) => {
            first_difference(a.iter().zip(b).map(|(a, b)| compare(a, b))).then(a.len().cmp(&b.len()))
        }
        (Bson::Binary(a), Bson::Binary(b)) => size(a)
            .cmp(&size(b))
            .then(u8::from(a.subtype).cmp(&u8::from(b.subtype)))
            .then(a.bytes.cmp(&b.bytes)),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (Bson::Boolean(a), Bson::Boolean(b)) => a.cmp(b),
        (Bson::DateTime(a), Bson::DateTime(b)) => a.timestamp_millis().cmp(&b.timestamp_millis()),
        (Bson::Timestamp(a), Bson::Timestamp(b)) => (a.time, a.increment).cmp(&(b.time, b.increment)),
        _ => compare_numbers(a, b),
    };
    rank(a).cmp(&rank(b)).then(by_value)
}

fn first_difference(mut orderings: impl Iterator<Item = Ordering>) -> Ordering {
    orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// Returns the size by which binary values are compared: the old subtype repeats its length within.
fn size(binary: &Binary) -> usize {
    binary.bytes.len() + if binary.subtype == BinarySubtype::BinaryOld { 4 } else { 0 }
}

/// Compares numbers exactly, whatever their widths. NaN is the lowest. Other values are equal.
fn compare_numbers(a: &Bson, b: &Bson) -> Ordering {
    let integer = |value: &Bson| match value {
        Bson::Int32(number) => Some(i128::from(*number)),
        Bson::Int64(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (integer(a), integer(b), a.as_f64(), b.as_f64()) {
        (Some(a), Some(b), ..) => a.cmp(&b),
        (Some(a), None, _, Some(b)) => compare_exactly(a, b),
        (None, Some(b), Some(a), _) => compare_exactly(b, a).reverse(),
        (None, None, Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())),
        _ => Ordering::Equal,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a conversion to an integer saturates, beyond all integers of 64 bits"
)]
fn compare_exactly(integer: i128, number: f64) -> Ordering {
    if number.is_nan() {
        return Ordering::Greater;
    }
    let whole = number.trunc();
    integer.cmp(&(whole as i128)).then_with(|| whole.partial_cmp(&number).unwrap_or(Ordering::Equal))
}
