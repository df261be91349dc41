use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use crate::model::find::upsert_seeds;
use crate::{Direction, Field, Filter, Projection, Sort, Update, UpdateOp};

/// Translates a filter to a query document. Operands always follow an explicit operator, so that a document operand is
/// never interpreted as one.
pub(crate) fn filter(filter: &Filter) -> Document {
    let all = |filters: &[Filter]| filters.iter().map(self::filter).collect::<Vec<_>>();
    match filter {
        Filter::All => Document::new(),
        Filter::Eq(field, value) => on(field, "$eq", value.clone()),
        Filter::Ne(field, value) => on(field, "$ne", value.clone()),
        Filter::In(field, values) => on(field, "$in", values.clone()),
        Filter::Lt(field, value) => on(field, "$lt", value.clone()),
        Filter::Lte(field, value) => on(field, "$lte", value.clone()),
        Filter::Gt(field, value) => on(field, "$gt", value.clone()),
        Filter::Gte(field, value) => on(field, "$gte", value.clone()),
        Filter::Exists(field) => on(field, "$exists", true),
        Filter::Missing(field) => on(field, "$exists", false),
        Filter::StartsWith(field, prefix) => on(field, "$regex", format!("^{}", escaped(prefix))),
        // The server rejects empty lists.
        Filter::And(filters) if filters.is_empty() => Document::new(),
        Filter::Or(filters) if filters.is_empty() => doc! { "$nor": [{}] },
        Filter::And(filters) => doc! { "$and": all(filters) },
        Filter::Or(filters) => doc! { "$or": all(filters) },
        Filter::Not(filter) => doc! { "$nor": [self::filter(filter)] },
    }
}

/// Translates the filter of an upsert. The server copies the equalities of the simplified filter into the new document, and
/// it simplifies `$in` or `$or` with a single alternative to an equality. A double negation prevents that.
pub(crate) fn filter_to_upsert(filter: &Filter) -> Document {
    match filter {
        Filter::And(filters) if !filters.is_empty() => {
            doc! { "$and": filters.iter().map(filter_to_upsert).collect::<Vec<_>>() }
        }
        Filter::In(..) | Filter::Or(_) => doc! { "$nor": [{ "$nor": [self::filter(filter)] }] },
        other => self::filter(other),
    }
}

fn on(field: &Field, operator: &str, operand: impl Into<Bson>) -> Document {
    doc! { field.as_str(): { operator: operand.into() } }
}

/// Escapes a string for a regular expression. The server recognizes the literal prefix and uses an index for it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\^$.|?*+()[]{}-#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Translates an update to an update document.
pub(crate) fn update(update: &Update) -> Document {
    let mut document = Document::new();
    for op in update.ops() {
        match op {
            UpdateOp::Set(field, value) => add(&mut document, "$set", field, value.clone()),
            UpdateOp::Unset(field) => add(&mut document, "$unset", field, ""),
            UpdateOp::Inc(field, by) => add(&mut document, "$inc", field, by.clone()),
            UpdateOp::SetOnInsert(field, value) => add(&mut document, "$setOnInsert", field, value.clone()),
            // `$each` prevents a document element from being interpreted as a modifier.
            UpdateOp::AddToSet(field, value) => {
                add(&mut document, "$addToSet", field, doc! { "$each": [value.clone()] });
            }
        }
    }
    document
}

/// Translates the update of an upsert. The id of the new document is generated here unless the filter provides it, so
/// that it is known and has the same type on both engines.
pub(crate) fn upsert(filter: &Filter, update: &Update) -> Document {
    let mut document = self::update(update);
    if !upsert_seeds(filter).iter().any(|(field, _)| field.overlaps(&Field::ID)) {
        add(&mut document, "$setOnInsert", &Field::ID, ObjectId::new());
    }
    document
}

fn add(document: &mut Document, operator: &str, field: &Field, operand: impl Into<Bson>) {
    let operand = operand.into();
    match document.get_mut(operator) {
        Some(Bson::Document(fields)) => {
            fields.insert(field.as_str(), operand);
        }
        _ => {
            document.insert(operator, doc! { field.as_str(): operand });
        }
    }
}

/// Translates a sort.
pub(crate) fn sort(sort: &Sort) -> Document {
    sort.fields().iter().map(|(field, by)| (field.to_string(), Bson::Int32(direction(*by)))).collect()
}

/// Returns 1 or -1, as used in sorts and index keys.
pub(crate) fn direction(direction: Direction) -> i32 {
    match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    }
}

/// Translates a projection.
pub(crate) fn projection(projection: &Projection) -> Document {
    // An empty document would select all fields.
    std::iter::once("_id")
        .chain(projection.fields().iter().map(Field::as_str))
        .map(|field| (field.to_owned(), Bson::Int32(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_operands_are_never_operators() {
        let evil = doc! { "$gt": "" };
        assert_eq!(filter(&Filter::eq("a", evil.clone())), doc! { "a": { "$eq": { "$gt": "" } } });
        assert_eq!(
            update(&Update::new().add_to_set("a", evil.clone()).add_to_set("b", 1)),
            doc! { "$addToSet": { "a": { "$each": [{ "$gt": "" }] }, "b": { "$each": [1] } } }
        );
    }

    #[test]
    fn empty_and_matches_all_and_empty_or_matches_none() {
        assert_eq!(filter(&Filter::And(vec![])), doc! {});
        assert_eq!(filter(&Filter::Or(vec![])), doc! { "$nor": [{}] });
        assert_eq!(filter(&Filter::Or(vec![]).negated()), doc! { "$nor": [{ "$nor": [{}] }] });
    }

    #[test]
    fn prefix_is_anchored_and_escaped() {
        assert_eq!(filter(&Filter::starts_with("a", "x.(é")), doc! { "a": { "$regex": r"^x\.\(é" } });
    }

    #[test]
    fn upsert_generates_an_id_unless_the_filter_has_one() {
        let change = Update::new().set("a", 1);
        assert!(
            upsert(&Filter::eq("b", 1), &change).get_document("$setOnInsert").unwrap().contains_key("_id")
        );
        assert_eq!(upsert(&Filter::id(7), &change), doc! { "$set": { "a": 1 } });
    }

    #[test]
    fn upsert_copies_only_equalities() {
        let filter = Filter::and([Filter::id(1), Filter::is_in("a", [5])]);
        assert_eq!(
            filter_to_upsert(&filter),
            doc! { "$and": [{ "_id": { "$eq": 1 } }, { "$nor": [{ "$nor": [{ "a": { "$in": [5] } }] }] }] }
        );
    }
}
