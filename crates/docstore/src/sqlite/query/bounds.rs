//! The index keys that a condition of a filter selects.

use bson::Bson;

use crate::order::key_encoding as key;
use crate::{Field, Filter, Result};

/// A range of keys from one (inclusive) to another (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    pub(crate) until: Vec<u8>,
}

impl Range {
    /// Every key: none begins with this byte.
    pub(crate) fn all() -> Self {
        Self { from: Vec::new(), until: vec![u8::MAX] }
    }

    /// The keys that begin with these bytes.
    pub(crate) fn prefix(prefix: Vec<u8>) -> Self {
        Self { until: key::after_prefix(prefix.clone()), from: prefix }
    }
}

/// One end of an interval: values whose encodings begin with `bytes` are within it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    bytes: Vec<u8>,
    inclusive: bool,
}

/// The values of one field between two edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    low: Edge,
    high: Edge,
}

impl Interval {
    /// The values that are in both.
    pub(crate) fn and(self, other: Self) -> Self {
        let low = if other.low.as_low() > self.low.as_low() { other.low } else { self.low };
        let high = if other.high.as_high() < self.high.as_high() { other.high } else { self.high };
        Self { low, high }
    }

    /// The range of an index whose earlier fields have the keys `prefix`.
    pub(crate) fn range(&self, prefix: &[u8], descending: bool) -> Range {
        let bound = |edge: &Edge, beyond: bool| {
            let mut bytes = prefix.to_vec();
            key::push_field(&mut bytes, &edge.bytes, descending);
            if beyond { key::after_prefix(bytes) } else { bytes }
        };
        let (first, last) = if descending { (&self.high, &self.low) } else { (&self.low, &self.high) };
        Range { from: bound(first, !first.inclusive), until: bound(last, last.inclusive) }
    }
}

impl Edge {
    fn as_low(&self) -> Vec<u8> {
        if self.inclusive { self.bytes.clone() } else { key::after_prefix(self.bytes.clone()) }
    }

    fn as_high(&self) -> Vec<u8> {
        if self.inclusive { key::after_prefix(self.bytes.clone()) } else { self.bytes.clone() }
    }
}

/// A field, and the keys of which it must have one.
pub(crate) type Points<'f> = (&'f Field, Vec<Vec<u8>>);

/// Returns the field of an equality and the keys of which it must have one. Arrays are excluded: they match whole or by
/// an element, so no single key decides.
pub(crate) fn points(condition: &Filter) -> Result<Option<Points<'_>>> {
    let (field, values): (_, &[Bson]) = match condition {
        Filter::Eq(field, value) => (field, std::slice::from_ref(value)),
        Filter::In(field, values) => (field, values),
        // Only null itself compares with null.
        Filter::Lte(field, value @ Bson::Null) | Filter::Gte(field, value @ Bson::Null) => {
            (field, std::slice::from_ref(value))
        }
        _ => return Ok(None),
    };
    if values.iter().any(|value| matches!(value, Bson::Array(_))) {
        return Ok(None);
    }
    let mut keys = values.iter().map(key::encode_value).collect::<Result<Vec<_>>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(Some((field, keys)))
}

/// Returns the field of a comparison and the interval of its values.
pub(crate) fn interval(condition: &Filter) -> Result<Option<(&Field, Interval)>> {
    let edge = |bytes: Vec<u8>, inclusive| Edge { bytes, inclusive };
    let (field, value) = match condition {
        Filter::StartsWith(field, prefix) => {
            let bytes = key::text_prefix(prefix);
            return Ok(Some((field, Interval { low: edge(bytes.clone(), true), high: edge(bytes, true) })));
        }
        Filter::Lt(field, value)
        | Filter::Lte(field, value)
        | Filter::Gt(field, value)
        | Filter::Gte(field, value) => (field, value),
        _ => return Ok(None),
    };
    let bytes = key::encode_value(value)?;
    if matches!(value, Bson::Array(_) | Bson::Null) || key::is_nan(&bytes) {
        return Ok(None);
    }
    // Comparisons stay within the type and never match NaN.
    let kind = bytes[0];
    let lowest = if kind == key::NUMBER {
        edge(key::encode_value(&Bson::Double(f64::NAN))?, false)
    } else {
        edge(vec![kind], true)
    };
    let highest = edge(vec![kind], true);
    Ok(Some((
        field,
        match condition {
            Filter::Lt(..) => Interval { low: lowest, high: edge(bytes, false) },
            Filter::Lte(..) => Interval { low: lowest, high: edge(bytes, true) },
            Filter::Gt(..) => Interval { low: edge(bytes, false), high: highest },
            _ => Interval { low: edge(bytes, true), high: highest },
        },
    )))
}

/// Returns whether every document that meets the condition has the field.
pub(crate) fn implies_presence(condition: &Filter, field: &Field) -> bool {
    let null = |value: &Bson| matches!(value, Bson::Null);
    match condition {
        Filter::Exists(f) | Filter::StartsWith(f, _) => f == field,
        Filter::Eq(f, v) | Filter::Lt(f, v) | Filter::Lte(f, v) | Filter::Gt(f, v) | Filter::Gte(f, v) => {
            f == field && !null(v)
        }
        Filter::In(f, values) => f == field && !values.iter().any(null),
        _ => false,
    }
}

/// Returns whether every document that meets all conditions matches `required`. May return `false` where it does.
pub(crate) fn imply(conditions: &[&Filter], required: &Filter) -> Result<bool> {
    Ok(match required {
        Filter::All => true,
        Filter::And(parts) => {
            for part in parts {
                if !imply(conditions, part)? {
                    return Ok(false);
                }
            }
            true
        }
        Filter::Or(parts) => {
            for part in parts {
                if imply(conditions, part)? {
                    return Ok(true);
                }
            }
            conditions.contains(&required)
        }
        Filter::Exists(field) => conditions.iter().any(|condition| implies_presence(condition, field)),
        required => {
            for condition in conditions {
                if implies(condition, required)? {
                    return Ok(true);
                }
            }
            false
        }
    })
}

fn implies(condition: &Filter, required: &Filter) -> Result<bool> {
    if condition == required {
        return Ok(true);
    }
    if let (Some((field, keys)), Some((of, allowed))) = (points(condition)?, points(required)?) {
        return Ok(field == of && keys.iter().all(|key| allowed.contains(key)));
    }
    let Some((of, allowed)) = interval(required)? else { return Ok(false) };
    let allowed = allowed.range(&[], false);
    if let Some((field, keys)) = points(condition)? {
        return Ok(field == of && keys.iter().all(|key| *key >= allowed.from && *key < allowed.until));
    }
    if let Some((field, within)) = interval(condition)? {
        let within = within.range(&[], false);
        return Ok(field == of && within.from >= allowed.from && within.until <= allowed.until);
    }
    Ok(false)
}
