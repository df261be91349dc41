use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::options::Collation;

use crate::{Direction, Field, Filter, Projection, Update, UpdateOp};

impl Filter {
    /// Returns the filter in MongoDB's query language. Operands always follow an explicit operator, so that a document
    /// operand is never interpreted as one.
    pub fn to_mql(&self) -> Document {
        let all = |filters: &[Self]| filters.iter().map(Self::to_mql).collect::<Vec<_>>();
        match self {
            Self::All => Document::new(),
            Self::Eq(field, value) => on(field, "$eq", value.clone()),
            Self::Ne(field, value) => on(field, "$ne", value.clone()),
            Self::In(field, values) => on(field, "$in", values.clone()),
            Self::Lt(field, value) => on(field, "$lt", value.clone()),
            Self::Lte(field, value) => on(field, "$lte", value.clone()),
            Self::Gt(field, value) => on(field, "$gt", value.clone()),
            Self::Gte(field, value) => on(field, "$gte", value.clone()),
            Self::Exists(field) => on(field, "$exists", true),
            Self::Missing(field) => on(field, "$exists", false),
            Self::StartsWith(field, prefix) => on(field, "$regex", format!("^{}", escaped(prefix))),
            // The server rejects empty lists.
            Self::And(filters) if filters.is_empty() => Document::new(),
            Self::Or(filters) if filters.is_empty() => doc! { "$nor": [{}] },
            Self::And(filters) => doc! { "$and": all(filters) },
            Self::Or(filters) => doc! { "$or": all(filters) },
            Self::Not(filter) => doc! { "$nor": [filter.to_mql()] },
        }
    }
}

/// Returns the collation of all operations: strings compare byte by byte, as declared indexes do, even if a collection has
/// another default.
pub(crate) fn simple_collation() -> Collation {
    Collation::builder().locale("simple").build()
}

/// Translates the filter of an upsert. The server copies the equalities of the simplified filter into the new document, and
/// it simplifies `$in` or `$or` with a single alternative to an equality. A double negation prevents that.
pub(crate) fn filter_to_upsert(filter: &Filter) -> Document {
    match filter {
        Filter::And(filters) if !filters.is_empty() => {
            doc! { "$and": filters.iter().map(filter_to_upsert).collect::<Vec<_>>() }
        }
        Filter::In(..) | Filter::Or(_) => doc! { "$nor": [{ "$nor": [filter.to_mql()] }] },
        other => other.to_mql(),
    }
}

pub(crate) fn on(field: &Field, operator: &str, operand: impl Into<Bson>) -> Document {
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

impl Update {
    /// Returns the update in MongoDB's query language.
    pub fn to_mql(&self) -> Document {
        let mut document = Document::new();
        for op in self.ops() {
            match op {
                UpdateOp::Set(field, value) => add(&mut document, "$set", field, value.clone()),
                UpdateOp::Unset(field) => add(&mut document, "$unset", field, ""),
                UpdateOp::Inc(field, by) => add(&mut document, "$inc", field, by.clone()),
                UpdateOp::SetOnInsert(field, value) => {
                    add(&mut document, "$setOnInsert", field, value.clone());
                }
                // `$each` prevents a document element from being interpreted as a modifier.
                UpdateOp::AddToSet(field, value) => {
                    add(&mut document, "$addToSet", field, doc! { "$each": [value.clone()] });
                }
            }
        }
        document
    }
}

/// Translates the update of an upsert. The id of the new document is generated here unless the filter provides it, so
/// that it is known and has the same type on both engines.
pub(crate) fn upsert(filter: &Filter, update: &Update) -> Document {
    let mut document = update.to_mql();
    if !filter.equalities().any(|(field, _)| field.overlaps(&Field::ID)) {
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

/// Translates the fields of a sort or an index, with 1 or -1 as their directions.
pub(crate) fn directions(fields: &[(Field, Direction)]) -> Document {
    let number = |direction: &Direction| if *direction == Direction::Ascending { 1 } else { -1 };
    fields.iter().map(|(field, direction)| (field.to_string(), Bson::Int32(number(direction)))).collect()
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
    use crate::Index;

    #[test]
    fn document_operands_are_never_operators() {
        let evil = doc! { "$gt": "" };
        assert_eq!(Filter::eq("a", evil.clone()).to_mql(), doc! { "a": { "$eq": { "$gt": "" } } });
        assert_eq!(
            Update::new().add_to_set("a", evil.clone()).add_to_set("b", 1).to_mql(),
            doc! { "$addToSet": { "a": { "$each": [{ "$gt": "" }] }, "b": { "$each": [1] } } }
        );
    }

    #[test]
    fn filters_updates_and_indexes_are_shown_in_mql() {
        let filter = Filter::eq("a", 1).also(Filter::missing("b"));
        assert_eq!(filter.to_mql(), doc! { "$and": [{ "a": { "$eq": 1 } }, { "b": { "$exists": false } }] });
        let update = Update::new().set("a", 1).unset("b");
        assert_eq!(update.to_mql(), doc! { "$set": { "a": 1 }, "$unset": { "b": "" } });
        let index = Index::on(["a"]).unique().partial(Filter::exists("a"));
        let expected = doc! {
            "key": { "a": 1 }, "name": "a_1", "unique": true, "partialFilterExpression": { "a": { "$exists": true } },
        };
        assert_eq!(index.to_mql(), expected);
    }

    #[test]
    fn empty_and_matches_all_and_empty_or_matches_none() {
        assert_eq!(Filter::And(vec![]).to_mql(), doc! {});
        assert_eq!(Filter::Or(vec![]).to_mql(), doc! { "$nor": [{}] });
        assert_eq!(Filter::Or(vec![]).negated().to_mql(), doc! { "$nor": [{ "$nor": [{}] }] });
    }

    #[test]
    fn prefix_is_anchored_and_escaped() {
        assert_eq!(Filter::starts_with("a", "x.(é").to_mql(), doc! { "a": { "$regex": r"^x\.\(é" } });
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
