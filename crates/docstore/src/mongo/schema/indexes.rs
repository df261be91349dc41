//! Listing, creating and dropping indexes.
//!
//! The server may list an index that [`Index`] cannot express. It is represented by one that cannot be declared and
//! therefore equals no declared index: a field of a kind other than ascending or descending becomes `$hashed.path`,
//! `$text.path` and so on; with a collation, all fields become `$collation.path`; an option that changes the content of the
//! index (`expireAfterSeconds`, `hidden`, a partial filter with other operators) becomes a condition on a field named
//! `$expireAfterSeconds` and so on. Names that start with a dollar are rejected in every declaration.

use bson::{Bson, Document, doc};

use crate::mongo::core::{Core, NAMESPACE_NOT_FOUND};
use crate::mongo::error::server_error;
use crate::mongo::parse::{condition, truth};
use crate::mongo::translate;
use crate::{Direction, Error, Field, Filter, Index, Result};

const CREATING: &str = "creating an index";
const DROPPING: &str = "dropping an index";
const INDEX_NOT_FOUND: i32 = 27;
/// `IndexOptionsConflict` and `IndexKeySpecsConflict`.
const CONFLICTS: [i32; 2] = [85, 86];

/// Options that do not change the content of an index.
const HARMLESS: &[&str] =
    &["v", "key", "name", "ns", "background", "unique", "sparse", "partialFilterExpression"];

impl Core {
    pub(crate) async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        index.check()?;
        let command = doc! { "createIndexes": collection, "indexes": [specification(index)] };
        let Err(error) = self.write_command(command, None).await else { return Ok(()) };
        let conflict = server_error(&error).is_some_and(|coded| CONFLICTS.contains(&coded.code));
        if conflict {
            // Another process created it first, or the server compares definitions less strictly.
            let existing = self.list_indexes(collection).await?;
            let other =
                existing.into_iter().find(|other| other.name() == index.name() || other.same_keys(index));
            if let Some(existing) = other {
                return Err(Error::IndexConflict {
                    collection: collection.to_owned(),
                    declared: Box::new(index.clone()),
                    existing: Box::new(existing),
                });
            }
        }
        Err(self.error(CREATING, collection, &error).await)
    }

    pub(crate) async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        let listed = self.raw_indexes(collection).await?;
        Ok(listed.iter().filter(|one| !is_on_id(one)).map(read).collect())
    }

    pub(crate) async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        if name == "_id_" || name == "*" || name.is_empty() {
            return Err(Error::Invalid(format!("the index {name:?} must not be dropped")));
        }
        let command = doc! { "dropIndexes": collection, "index": name };
        match self.write_command(command, None).await {
            Ok(_) => Ok(()),
            Err(error)
                if server_error(&error)
                    .is_some_and(|c| [NAMESPACE_NOT_FOUND, INDEX_NOT_FOUND].contains(&c.code)) =>
            {
                Ok(())
            }
            Err(error) => Err(self.error(DROPPING, collection, &error).await),
        }
    }
}

/// Builds the argument of `createIndexes`.
pub(crate) fn specification(index: &Index) -> Document {
    let keys: Document = index
        .fields()
        .iter()
        .map(|f| (f.field.to_string(), Bson::Int32(translate::direction(f.direction))))
        .collect();
    let mut specification = doc! { "key": keys, "name": index.name() };
    if index.is_unique() {
        specification.insert("unique", true);
    }
    if index.is_sparse() {
        specification.insert("sparse", true);
    }
    if let Some(filter) = index.partial_filter() {
        specification.insert("partialFilterExpression", translate::filter(filter));
    }
    specification
}

pub(crate) fn is_on_id(listed: &Document) -> bool {
    listed.get_str("name").is_ok_and(|name| name == "_id_")
}

pub(crate) fn read(listed: &Document) -> Index {
    let none = Document::new();
    let keys = listed.get_document("key").unwrap_or(&none);
    let collated = listed.contains_key("collation");
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
                .unwrap_or_else(|| unspeakable("partialFilterExpression", expression))
        })
        .into_iter()
        .collect();
    let others = listed.iter().filter(|(option, _)| !HARMLESS.contains(&option.as_str()));
    conditions.extend(others.map(|(option, value)| unspeakable(option, value)));
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
                (true, _) => marked("collation"),
                (false, true) => marked("wildcard"),
                (false, false) => Field::unchecked(path.to_owned()),
            };
            (field, direction)
        }
        (None, Bson::String(kind)) => (marked(kind), Direction::Ascending),
        (None, _) => (marked("unknown"), Direction::Ascending),
    }
}

fn unspeakable(option: &str, value: &Bson) -> Filter {
    Filter::Eq(Field::unchecked(format!("${option}")), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_read_back() {
        let partial = Filter::and([Filter::eq("a", 1), Filter::exists("b.c"), Filter::is_in("d", [1, 2])]);
        for index in [
            Index::on(["a", "b.c"]).unique(),
            Index::by([("a", Direction::Descending), ("b", Direction::Ascending)]).named("other").sparse(),
            Index::on(["a"]).partial(partial),
            Index::on(["a"]).partial(Filter::or([Filter::gt("a", 1), Filter::lte("a", 0)])),
        ] {
            assert_eq!(read(&specification(&index)), index);
        }
    }

    #[test]
    fn older_ways_of_writing_mean_the_same() {
        let listed = doc! { "v": 2, "key": { "a": 1.0 }, "name": "a_1", "background": true, "unique": 1,
        "partialFilterExpression": { "x": true, "n": { "$gt": 1, "$lt": 9 } } };
        let wanted = Filter::and([Filter::eq("x", true), Filter::gt("n", 1), Filter::lt("n", 9)]);
        assert_eq!(read(&listed), Index::on(["a"]).unique().partial(wanted));
    }

    #[test]
    fn what_cannot_be_said_equals_no_declared_index() {
        for listed in [
            doc! { "key": { "a": "hashed" }, "name": "a_1" },
            doc! { "key": { "_fts": "text", "_ftsx": 1 }, "name": "a_1", "weights": { "a": 1 } },
            doc! { "key": { "a": 1 }, "name": "a_1", "expireAfterSeconds": 60 },
            doc! { "key": { "a": 1 }, "name": "a_1", "hidden": true },
            doc! { "key": { "a": 1 }, "name": "a_1", "collation": { "locale": "en" } },
            doc! { "key": { "a": 1 }, "name": "a_1", "partialFilterExpression": { "a": { "$type": 2 } } },
            doc! { "key": { "$**": 1 }, "name": "a_1" },
        ] {
            let index = read(&listed);
            assert_eq!(index.name(), "a_1");
            assert!(index.check().is_err(), "{index} could be declared");
            assert!(!index.same_definition(&Index::on(["a"])), "{index}");
        }
    }
}
