//! What comes after a position in an order, as a query. The server's comparisons stay within a type and its orders do
//! not, so the types that come later are named one by one. Each part of the query is a range of one index, and the
//! server merges them.

use bson::{Bson, Document, doc};

use super::translate;
use crate::{Direction, Field, Filter, Find};

/// Types in their order, from the first above null; arrays stand where an element of theirs stands.
const TYPES: [&[&str]; 9] = [
    &["number"],
    &["string", "symbol"],
    &["object"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
    &["regex", "javascript"],
];

/// The queries of a read, whose results follow one another. One where the server can merge their parts: it does not if
/// it has to merge within a part as well, or can choose among indexes; and where it merges, a missing value is less
/// than null, while in its indexes they are the same.
pub(super) fn queries(find: &Find) -> Vec<Document> {
    let Some(position) = &find.after else { return vec![translate::filter(&find.filter)] };
    let parts = parts(find, position);
    if parts.is_empty() {
        vec![doc! { "$nor": [{}] }]
    } else if is_plain(&find.filter) && !position.contains(&Bson::Null) {
        vec![doc! { "$or": parts }]
    } else {
        parts
    }
}

/// Whether a filter is one equality at the most, and what an index does not look at.
fn is_plain(filter: &Filter) -> bool {
    let mut equalities = 0;
    let mut all = |filter: &Filter| match filter {
        Filter::All | Filter::Ne(..) | Filter::NotIn(..) => true,
        Filter::Eq(_, value) => {
            equalities += 1;
            *value != Bson::Null && equalities == 1
        }
        _ => false,
    };
    conjuncts(filter).into_iter().all(&mut all)
}

fn conjuncts(filter: &Filter) -> Vec<&Filter> {
    match filter {
        Filter::And(filters) => filters.iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// What comes after a position, from what comes first.
fn parts(find: &Find, position: &[Bson]) -> Vec<Document> {
    // A choice stays on top, where the server merges the indexes of its parts.
    let choices = match &find.filter {
        Filter::Or(choices) => choices.iter().map(translate::filter).collect(),
        other => vec![translate::filter(other)],
    };
    let mut groups = Vec::new();
    let mut same = Vec::new();
    for ((field, direction), value) in find.sort.fields().iter().zip(position) {
        let mut group = Vec::new();
        for beyond in beyond(field, *direction, value) {
            let with = |choice: &Document| {
                let mut all = same.clone();
                all.push(beyond.clone());
                all.extend((!choice.is_empty()).then(|| choice.clone()));
                doc! { "$and": all }
            };
            match choices.as_slice() {
                [one] => group.push(with(one)),
                [] => {}
                several => group.push(doc! { "$or": several.iter().map(with).collect::<Vec<_>>() }),
            }
        }
        groups.push(group);
        same.push(on(field, "$eq", value.clone()));
    }
    groups.into_iter().rev().flatten().collect()
}

/// Conditions of which one holds for each value that comes later, in their order, and none for others.
fn beyond(field: &Field, direction: Direction, value: &Bson) -> Vec<Document> {
    let ascending = direction == Direction::Ascending;
    let mut parts = Vec::new();
    let rank = rank(value);
    let is_nan = matches!(value, Bson::Double(number) if number.is_nan());
    let nan = || on(field, "$eq", f64::NAN);
    match (rank, ascending) {
        (None, false) => return parts,
        (None, true) => return vec![on(field, "$ne", Bson::Null)],
        // What is not a number comes before all numbers, and compares with none.
        (Some(_), true) if is_nan => parts.push(on(field, "$gte", f64::NEG_INFINITY)),
        (Some(_), false) if is_nan => {}
        (Some(_), true) => parts.push(on(field, "$gt", value.clone())),
        (Some(rank), false) => {
            parts.push(on(field, "$lt", value.clone()));
            if rank == 0 {
                parts.push(nan());
            }
        }
    }
    let rank = rank.unwrap_or_default();
    let others = if ascending { &TYPES[rank + 1..] } else { &TYPES[..rank] };
    if !others.is_empty() {
        let names: Vec<_> = others.iter().flat_map(|names| names.iter().copied()).collect();
        parts.push(on(field, "$type", names));
    }
    if !ascending {
        // And missing.
        parts.push(on(field, "$eq", Bson::Null));
    }
    parts
}

/// Where the type of a value stands in [`TYPES`]; `None` for null.
fn rank(value: &Bson) -> Option<usize> {
    Some(match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 0,
        Bson::String(_) => 1,
        Bson::Document(_) => 2,
        Bson::Binary(_) => 3,
        Bson::ObjectId(_) => 4,
        Bson::Boolean(_) => 5,
        Bson::DateTime(_) => 6,
        Bson::Timestamp(_) => 7,
        // Others are refused before they come here.
        _ => return None,
    })
}

fn on(field: &Field, operator: &str, operand: impl Into<Bson>) -> Document {
    doc! { field.as_str(): { operator: operand.into() } }
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;
    use crate::Sort;

    #[test]
    fn nothing_comes_after_null_in_a_descending_order() {
        let order = Sort::descending("d").then_ascending("_id");
        let id = ObjectId::from_bytes([1; 12]);
        let find = Find::new(Filter::eq("a", 1)).sort(order).after(vec![Bson::Null, id.into()]);
        let a = doc! { "a": { "$eq": 1 } };
        let null = doc! { "d": { "$eq": null } };
        let later = doc! { "_id": { "$gt": id } };
        let others = doc! { "_id": { "$type": ["bool", "date", "timestamp", "regex", "javascript"] } };
        let parts = [vec![null.clone(), later, a.clone()], vec![null, others, a]];
        assert_eq!(queries(&find), parts.map(|all| doc! { "$and": all }));
        let last = Find::new(Filter::All).sort(Sort::descending("d")).after(vec![Bson::Null]);
        assert_eq!(queries(&last), [doc! { "$nor": [{}] }]);
    }
}
