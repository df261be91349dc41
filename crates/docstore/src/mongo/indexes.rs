//! Listing, creating and dropping indexes.
//!
//! The server may list an index that [`Index`](crate::Index) cannot express. It is represented by one that cannot be declared and
//! therefore equals no declared index: a field of a kind other than ascending or descending becomes `$hashed.path`,
//! `$text.path` and so on; with a collation of its own, all fields become `$collation.path`; an option that changes the
//! content of the index (a language, a partial filter with other operators) becomes a condition on a field named
//! `$default_language` and so on. Names that start with a dollar are rejected in every declaration.
//! [`to_mql`](crate::Index::to_mql) returns such an index as the server defines it.
//!
//! A declared index compares strings by their bytes, whatever the default collation of its collection. An index that
//! inherited that collation when it was created counts as the declared one.

use bson::{Bson, Document, doc};

use crate::mongo::engine::{Core, NAMESPACE_NOT_FOUND};
use crate::mongo::error::{failed, has_code};
use crate::mongo::translate;
use crate::{Direction, Error, Field, Filter, Index, Result};

const INDEX_NOT_FOUND: i32 = 27;
/// `IndexOptionsConflict` and `IndexKeySpecsConflict`.
const CONFLICTS: [i32; 2] = [85, 86];

/// Options that do not change the content of an index.
const HARMLESS: &[&str] =
    &["v", "key", "name", "ns", "background", "hidden", "unique", "sparse", "partialFilterExpression"];

/// The option, and the mark of fields of an index that has it.
const COLLATION: &str = "collation";
const WILDCARD: &str = "wildcard";

impl Core {
    pub(crate) async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        let command = doc! { "createIndexes": collection, "indexes": [definition(index)?] };
        let Err(error) = self.write_command(command, None).await else { return Ok(()) };
        if has_code(&error, &CONFLICTS) {
            // Another process created it first, or the server compares definitions less strictly.
            index.check_conflict(collection, &self.list_indexes(collection).await?)?;
        }
        Err(failed("creating an index", collection)(error))
    }

    /// Creates indexes in one scan of the documents; all of them, or none.
    pub(crate) async fn create_indexes(&self, collection: &str, indexes: &[Index]) -> Result<()> {
        let definitions = indexes.iter().map(definition).collect::<Result<Vec<_>>>()?;
        let command = doc! { "createIndexes": collection, "indexes": definitions };
        let created = self.write_command(command, None).await;
        created.map(drop).map_err(failed("creating indexes", collection))
    }

    pub(crate) async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        let listed = self.raw_indexes(collection).await?;
        let inherited = if listed.iter().any(|one| one.contains_key(COLLATION)) {
            self.server_options(collection).await?.unwrap_or_default()
        } else {
            Document::new()
        };
        Ok(listed.iter().filter(|one| !is_on_id(one)).map(|one| read(one, &inherited)).collect())
    }

    pub(crate) async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        if name == "_id_" || name == "*" || name.is_empty() {
            return Err(Error::Invalid(format!("the index {name:?} must not be dropped")));
        }
        let command = doc! { "dropIndexes": collection, "index": name };
        match self.write_command(command, None).await {
            Err(error) if has_code(&error, &[NAMESPACE_NOT_FOUND, INDEX_NOT_FOUND]) => Ok(()),
            dropped => dropped.map(drop).map_err(failed("dropping an index", collection)),
        }
    }
}

/// Returns the definition of a declared index for `createIndexes`.
fn definition(index: &Index) -> Result<Document> {
    index.check()?;
    let mut definition = index.to_mql();
    // Without an explicit collation the index would inherit that of the collection.
    definition.insert(COLLATION, doc! { "locale": "simple" });
    Ok(definition)
}

impl Index {
    /// Returns the index as an argument of `createIndexes`: `key`, `name` and the options that are set.
    pub fn to_mql(&self) -> Document {
        let conditions = match self.partial_filter() {
            Some(Filter::And(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let options: Document = conditions.iter().filter_map(option).collect();
        let is_marked = |(field, _): &(Field, Direction)| field.as_str().starts_with('$');
        if !options.is_empty() || self.fields().iter().any(is_marked) {
            return self.undeclarable_to_mql(conditions, options);
        }
        let mut specification = doc! { "key": translate::directions(self.fields()), "name": self.name() };
        if self.is_unique() {
            specification.insert("unique", true);
        }
        if self.is_sparse() {
            specification.insert("sparse", true);
        }
        if let Some(filter) = self.partial_filter() {
            specification.insert("partialFilterExpression", filter.to_mql());
        }
        if let Some(seconds) = self.expiration() {
            specification.insert("expireAfterSeconds", i64::from(seconds));
        }
        specification
    }

    fn undeclarable_to_mql(&self, conditions: &[Filter], options: Document) -> Document {
        let key = |(field, direction): &(Field, Direction)| {
            let direction = Bson::from(if *direction == Direction::Descending { -1 } else { 1 });
            let Some((mark, path)) = field.as_str().strip_prefix('$').and_then(|rest| rest.split_once('.'))
            else {
                return (field.as_str().to_owned(), direction);
            };
            let kind = if [COLLATION, WILDCARD].contains(&mark) { direction } else { mark.into() };
            (path.to_owned(), kind)
        };
        let key: Document = self.fields().iter().map(key).collect();
        let mut definition = doc! { "key": key, "name": self.name() };
        if self.is_unique() {
            definition.insert("unique", true);
        }
        if self.is_sparse() {
            definition.insert("sparse", true);
        }
        let filters: Vec<_> = conditions.iter().filter(|filter| option(filter).is_none()).cloned().collect();
        match filters.as_slice() {
            [] => {}
            [one] => _ = definition.insert("partialFilterExpression", one.to_mql()),
            _ => _ = definition.insert("partialFilterExpression", Filter::And(filters).to_mql()),
        }
        if let Some(seconds) = self.expiration() {
            definition.insert("expireAfterSeconds", i64::from(seconds));
        }
        definition.extend(options);
        definition
    }
}

/// Returns the option that a condition represents.
fn option(condition: &Filter) -> Option<(String, Bson)> {
    let Filter::Eq(field, value) = condition else { return None };
    Some((field.as_str().strip_prefix('$')?.to_owned(), value.clone()))
}

pub(crate) fn is_on_id(listed: &Document) -> bool {
    listed.get_str("name").is_ok_and(|name| name == "_id_")
}

/// Decodes an index of a collection with these options.
pub(crate) fn read(listed: &Document, collection_options: &Document) -> Index {
    let none = Document::new();
    let keys = listed.get_document("key").unwrap_or(&none);
    let inherits = listed.get(COLLATION) == collection_options.get(COLLATION);
    let collated = listed.contains_key(COLLATION) && !inherits;
    let fields = keys.iter().map(|(path, kind)| field(path, kind, collated));
    let mut index = Index::by(fields).named(listed.get_str("name").unwrap_or_default());
    if truth(listed.get("unique")) {
        index = index.unique();
    }
    if truth(listed.get("sparse")) {
        index = index.sparse();
    }
    let mut conditions: Vec<Filter> = listed
        .get("partialFilterExpression")
        .map(|expression| {
            expression
                .as_document()
                .and_then(condition)
                .unwrap_or_else(|| undeclarable("partialFilterExpression", expression))
        })
        .into_iter()
        .collect();
    let expiration = listed.get("expireAfterSeconds").and_then(seconds);
    if let Some(seconds) = expiration {
        index = index.expire_after_seconds(seconds);
    }
    let others = listed.iter().filter(|(option, _)| {
        !HARMLESS.contains(&option.as_str())
            && (collated || option.as_str() != COLLATION)
            && (expiration.is_none() || option.as_str() != "expireAfterSeconds")
    });
    conditions.extend(others.map(|(option, value)| undeclarable(option, value)));
    match conditions.len() {
        0 => index,
        1 => index.partial(conditions.remove(0)),
        _ => index.partial(Filter::And(conditions)),
    }
}

fn field(path: &str, kind: &Bson, collated: bool) -> (Field, Direction) {
    let number = match kind {
        Bson::Int32(n) => Some(f64::from(*n)),
        #[expect(clippy::cast_precision_loss, reason = "only the sign counts")]
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        _ => None,
    };
    let marked = |mark: &str| Field::unchecked(format!("${mark}.{path}"));
    match (number, kind) {
        (Some(n), _) => {
            let direction = if n < 0.0 { Direction::Descending } else { Direction::Ascending };
            let wildcard = path == "$**" || path.ends_with(".$**");
            let field = match (collated, wildcard) {
                (true, _) => marked(COLLATION),
                (false, true) => marked(WILDCARD),
                (false, false) => Field::unchecked(path.to_owned()),
            };
            (field, direction)
        }
        (None, Bson::String(kind)) => (marked(kind), Direction::Ascending),
        (None, _) => (marked("unknown"), Direction::Ascending),
    }
}

fn undeclarable(option: &str, value: &Bson) -> Filter {
    Filter::Eq(Field::unchecked(format!("${option}")), value.clone())
}

/// Decodes a query document; `None` if [`Filter`] cannot express it.
fn condition(expression: &Document) -> Option<Filter> {
    let mut all = Vec::new();
    for (key, value) in expression {
        match (key.as_str(), value) {
            ("$and", Bson::Array(list)) => all.push(Filter::And(conditions(list)?)),
            ("$or", Bson::Array(list)) => all.push(Filter::Or(conditions(list)?)),
            (key, _) if key.starts_with('$') => return None,
            (path, value) => {
                let field = Field::parse(path).ok()?;
                match value {
                    Bson::Document(operators)
                        if operators.keys().next().is_some_and(|k| k.starts_with('$')) =>
                    {
                        for (operator, operand) in operators {
                            all.push(comparison(field.clone(), operator, operand)?);
                        }
                    }
                    value => all.push(Filter::Eq(field, value.clone())),
                }
            }
        }
    }
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::And(all)),
    }
}

fn conditions(list: &[Bson]) -> Option<Vec<Filter>> {
    list.iter().map(|filter| filter.as_document().and_then(condition)).collect()
}

fn comparison(field: Field, operator: &str, operand: &Bson) -> Option<Filter> {
    let value = operand.clone();
    Some(match (operator, operand) {
        ("$eq", _) => Filter::Eq(field, value),
        ("$lt", _) => Filter::Lt(field, value),
        ("$lte", _) => Filter::Lte(field, value),
        ("$gt", _) => Filter::Gt(field, value),
        ("$gte", _) => Filter::Gte(field, value),
        ("$exists", _) if truth(Some(operand)) => Filter::Exists(field),
        ("$in", Bson::Array(values)) => Filter::In(field, values.clone()),
        _ => return None,
    })
}

/// Reads an age. Older servers and tools write doubles.
fn seconds(value: &Bson) -> Option<u32> {
    let seconds = match value {
        Bson::Int32(seconds) => f64::from(*seconds),
        Bson::Int64(seconds) => return u32::try_from(*seconds).ok(),
        Bson::Double(seconds) => *seconds,
        _ => return None,
    };
    let whole = seconds.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    whole.then_some(seconds as u32)
}

/// Reads an option as a boolean; older servers and tools write numbers.
fn truth(value: Option<&Bson>) -> bool {
    match value {
        Some(Bson::Boolean(value)) => *value,
        Some(Bson::Int32(value)) => *value != 0,
        Some(Bson::Int64(value)) => *value != 0,
        Some(Bson::Double(value)) => *value != 0.0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_index_is_decoded_to_itself() {
        let partial = Filter::and([Filter::eq("a", 1), Filter::exists("b.c"), Filter::is_in("d", [1, 2])]);
        for index in [
            Index::on(["a", "b.c"]).unique(),
            Index::by([("a", Direction::Descending), ("b", Direction::Ascending)]).named("other").sparse(),
            Index::on(["a"]).partial(partial),
            Index::on(["a"]).partial(Filter::or([Filter::gt("a", 1), Filter::lte("a", 0)])),
            Index::on(["a"]).expire_after_seconds(60),
        ] {
            assert_eq!(read(&index.to_mql(), &doc! {}), index);
        }
    }

    #[test]
    fn older_spellings_are_decoded_alike() {
        let listed = doc! { "v": 2, "key": { "a": 1.0 }, "name": "a_1", "background": true, "unique": 1,
        "partialFilterExpression": { "x": true, "n": { "$gt": 1, "$lt": 9 } } };
        let expected = Filter::and([Filter::eq("x", true), Filter::gt("n", 1), Filter::lt("n", 9)]);
        assert_eq!(read(&listed, &doc! {}), Index::on(["a"]).unique().partial(expected));
    }

    #[test]
    fn undeclarable_index_equals_no_declared_one() {
        for listed in [
            doc! { "key": { "a": "hashed" }, "name": "a_1" },
            doc! { "key": { "_fts": "text", "_ftsx": 1 }, "name": "a_1", "weights": { "a": 1 } },
            doc! { "key": { "a": 1 }, "name": "a_1", "expireAfterSeconds": "60" },
            doc! { "key": { "a": -1, "b": 1 }, "name": "a_1", "collation": { "locale": "en" } },
            doc! { "key": { "a": 1 }, "name": "a_1", "partialFilterExpression": { "a": { "$type": 2 } } },
            doc! { "key": { "a": 1 }, "name": "a_1", "unique": true, "partialFilterExpression": { "b": { "$eq": 1 } },
            "expireAfterSeconds": "60" },
            doc! { "key": { "$**": 1 }, "name": "a_1" },
        ] {
            let index = read(&listed, &doc! {});
            assert_eq!(index.name(), "a_1");
            assert!(index.check().is_err(), "{index} could be declared");
            assert!(!index.same_definition(&Index::on(["a"])), "{index}");
            assert_eq!(index.to_mql(), listed);
            assert_eq!(index.to_string(), listed.to_string());
        }
    }

    #[test]
    fn hidden_index_and_inherited_collation_are_no_difference() {
        let collation = doc! { "locale": "en", "strength": 2 };
        let listed = doc! { "key": { "a": 1 }, "name": "a_1", "hidden": true, "collation": &collation };
        assert_eq!(read(&listed, &doc! { "collation": &collation }), Index::on(["a"]));
        let other = doc! { "collation": { "locale": "de" } };
        assert!(!read(&listed, &other).same_definition(&Index::on(["a"])));
    }

    #[test]
    fn query_of_a_filter_is_decoded_to_it() {
        for filter in [
            Filter::eq("a", doc! { "$gt": 1 }),
            Filter::is_in("a", [1, 2]),
            Filter::and([Filter::gt("a", 1), Filter::lte("b", 2)]),
            Filter::or([Filter::exists("a"), Filter::lt("a", 0), Filter::gte("a", 1)]),
        ] {
            assert_eq!(condition(&filter.to_mql()), Some(filter));
        }
    }

    #[test]
    fn query_that_a_filter_cannot_express_is_none() {
        for query in [
            doc! { "$jsonSchema": { "required": ["a"] } },
            doc! { "a": { "$type": "string" } },
            doc! { "a": { "$regex": "^a.*" } },
            doc! { "a": { "$ne": 1 } },
            doc! { "a": { "$exists": false } },
            doc! { "a": { "$elemMatch": { "$gt": 1 } } },
        ] {
            assert_eq!(condition(&query), None, "{query}");
        }
    }
}
