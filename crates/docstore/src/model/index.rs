use std::fmt;

use bson::{Bson, Document, doc};

use crate::{Direction, Error, Field, Filter, Result};

/// A declared index.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    name: String,
    pub(crate) fields: Vec<(Field, Direction)>,
    pub(crate) unique: bool,
    pub(crate) sparse: bool,
    pub(crate) partial: Option<Filter>,
    expire_after_seconds: Option<u32>,
}

impl Index {
    /// Declares an index on fields in ascending order, named as MongoDB does: `slug_1`, `target_type_1_target_id_1`.
    pub fn on<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::by(fields.into_iter().map(|field| (field, Direction::Ascending)))
    }

    /// Declares an index on fields with directions, named as MongoDB does: `is_published_1_date_-1`.
    pub fn by<F: Into<Field>>(fields: impl IntoIterator<Item = (F, Direction)>) -> Self {
        let fields: Vec<(Field, _)> =
            fields.into_iter().map(|(field, direction)| (field.into(), direction)).collect();
        let part = |(field, direction): &(Field, Direction)| {
            format!("{field}_{}", if *direction == Direction::Ascending { "1" } else { "-1" })
        };
        let name = fields.iter().map(part).collect::<Vec<_>>().join("_");
        Self { name, fields, unique: false, sparse: false, partial: None, expire_after_seconds: None }
    }

    /// Replaces the default name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Rejects two documents with the same key. A missing field counts as null.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Excludes documents that have none of the fields.
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Includes only documents that match. The filter may use `eq`, comparisons, `exists`, `in`, `and` and `or`, as in
    /// MongoDB 6.0.
    #[must_use]
    pub fn partial(mut self, filter: Filter) -> Self {
        self.partial = Some(filter);
        self
    }

    /// Lets MongoDB delete documents this many seconds after the date in the only field, within about a minute. The
    /// embedded store keeps the declaration and deletes nothing: there the owner of the collection does.
    #[must_use]
    pub fn expire_after_seconds(mut self, seconds: u32) -> Self {
        self.expire_after_seconds = Some(seconds);
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fields and their directions in key order.
    pub fn fields(&self) -> &[(Field, Direction)] {
        &self.fields
    }

    /// Returns true if keys are unique.
    pub fn is_unique(&self) -> bool {
        self.unique
    }

    /// Returns true if documents without any of the fields are excluded.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Returns the filter of a partial index.
    pub fn partial_filter(&self) -> Option<&Filter> {
        self.partial.as_ref()
    }

    /// Returns the age at which documents expire, in seconds.
    pub fn expiration(&self) -> Option<u32> {
        self.expire_after_seconds
    }

    /// Compares everything but the name.
    pub fn same_definition(&self, other: &Self) -> bool {
        self.same_keys(other)
            && self.unique == other.unique
            && self.sparse == other.sparse
            && self.partial == other.partial
            && self.expire_after_seconds == other.expire_after_seconds
    }

    /// Compares fields, their order and their directions.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// Encodes the index as a document, for the catalog of a store, manifests and journals. [`Index::from_document`] decodes
    /// it.
    pub fn to_document(&self) -> Document {
        let field = |(field, direction): &(Field, Direction)| {
            Bson::from(doc! { "field": field.as_str(), "descending": *direction == Direction::Descending })
        };
        let mut document =
            doc! { "name": &self.name, "fields": self.fields.iter().map(field).collect::<Vec<_>>() };
        if self.unique {
            document.insert("unique", true);
        }
        if self.sparse {
            document.insert("sparse", true);
        }
        if let Some(filter) = &self.partial {
            document.insert("partial", encode_filter(filter));
        }
        if let Some(seconds) = self.expire_after_seconds {
            document.insert("expire_after_seconds", i64::from(seconds));
        }
        document
    }

    /// Decodes an index that [`Index::to_document`] encoded. Field names are not checked, because an engine may report an
    /// index that cannot be declared.
    ///
    /// # Errors
    /// [`Error::Engine`] if the document is not an encoded index.
    pub fn from_document(document: &Document) -> Result<Self> {
        let field = |field: &Bson| {
            let Bson::Document(field) = field else { return Err(broken("a field is not a document")) };
            let name = field.get_str("field").map_err(|_| broken("a field without a name"))?;
            let descending = field.get_bool("descending").unwrap_or(false);
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            Ok((Field::unchecked(name.to_owned()), direction))
        };
        let fields = document.get_array("fields").map_err(|_| broken("no fields"))?;
        let seconds = document.get_i64("expire_after_seconds").ok().map(u32::try_from).transpose();
        Ok(Self {
            name: document.get_str("name").map_err(|_| broken("no name"))?.to_owned(),
            fields: fields.iter().map(field).collect::<Result<_>>()?,
            unique: document.contains_key("unique"),
            sparse: document.contains_key("sparse"),
            partial: document.get_document("partial").ok().map(decode_filter).transpose()?,
            expire_after_seconds: seconds.map_err(|_| broken("an age out of range"))?,
        })
    }

    /// Checks that no existing index of the collection has the name or the keys.
    ///
    /// # Errors
    /// [`Error::IndexConflict`] with the first that has.
    pub(crate) fn check_conflict<'a>(
        &self,
        collection: &str,
        existing: impl IntoIterator<Item = &'a Self>,
    ) -> Result<()> {
        let conflicts = |other: &&Self| other.name == self.name || other.same_keys(self);
        existing.into_iter().find(conflicts).map_or(Ok(()), |existing| {
            Err(Error::IndexConflict {
                collection: collection.to_owned(),
                declared: Box::new(self.clone()),
                existing: Box::new(existing.clone()),
            })
        })
    }

    /// Validates the declaration; engines call this before they create an index.
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name == "_id_" || self.name.contains('\0') || self.name == "*" {
            return Err(Error::Invalid(format!("{:?} is not a valid index name", self.name)));
        }
        if self.fields.is_empty() || self.fields.len() > 32 {
            return Err(Error::Invalid(format!("index {} needs 1 to 32 fields", self.name)));
        }
        for (i, (field, _)) in self.fields.iter().enumerate() {
            field.check()?;
            if self.fields[..i].iter().any(|(other, _)| other == field) {
                return Err(Error::Invalid(format!("index {} names {field} twice", self.name)));
            }
        }
        if self.sparse && self.partial.is_some() {
            return Err(Error::Invalid(format!("index {} cannot be both sparse and partial", self.name)));
        }
        if self.expire_after_seconds.is_some() && self.fields.len() > 1 {
            return Err(Error::Invalid(format!(
                "index {} expires documents by more than one field",
                self.name
            )));
        }
        let Some(filter) = &self.partial else { return Ok(()) };
        filter.check()?;
        if !partial_allows(filter) {
            return Err(Error::Invalid(format!(
                "the filter of index {} uses an operator that a partial index does not allow",
                self.name
            )));
        }
        Ok(())
    }
}

fn partial_allows(filter: &Filter) -> bool {
    match filter {
        Filter::Eq(..)
        | Filter::In(..)
        | Filter::Lt(..)
        | Filter::Lte(..)
        | Filter::Gt(..)
        | Filter::Gte(..)
        | Filter::Exists(_) => true,
        Filter::And(filters) | Filter::Or(filters) => {
            !filters.is_empty() && filters.iter().all(partial_allows)
        }
        _ => false,
    }
}

/// Shows an index that cannot be declared as the server defines it.
impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.check().is_err() {
            return self.to_mql().fmt(f);
        }
        write!(f, "{} (", self.name)?;
        for (i, (field, direction)) in self.fields.iter().enumerate() {
            let direction = if *direction == Direction::Ascending { "" } else { " descending" };
            write!(f, "{}{field}{direction}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")?;
        if self.unique {
            f.write_str(" unique")?;
        }
        if self.sparse {
            f.write_str(" sparse")?;
        }
        if let Some(filter) = &self.partial {
            write!(f, " where {}", filter.to_mql())?;
        }
        if let Some(seconds) = self.expire_after_seconds {
            write!(f, " expireAfterSeconds {seconds}")?;
        }
        Ok(())
    }
}

/// The result of ensuring a declared index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// The index was created.
    Created,
    /// The index existed.
    Existed,
    /// The index existed under this name.
    ExistedAs(String),
}

impl Ensured {
    /// Returns the result for an index that exists under any name; `None` if it must be created.
    pub(crate) fn among(existing: &[Index], declared: &Index) -> Option<Self> {
        let same = existing.iter().find(|existing| existing.same_definition(declared))?;
        let is_named_alike = same.name() == declared.name();
        Some(if is_named_alike { Self::Existed } else { Self::ExistedAs(same.name().to_owned()) })
    }
}

/// Encodes a filter as a document.
fn encode_filter(filter: &Filter) -> Document {
    let one =
        |op: &str, field: &Field, value: Bson| doc! { "op": op, "field": field.as_str(), "value": value };
    let text = |op: &str, field: &Field| doc! { "op": op, "field": field.as_str() };
    let all = |op: &str, filters: &[Filter]| {
        let filters: Vec<Bson> = filters.iter().map(|f| Bson::Document(encode_filter(f))).collect();
        doc! { "op": op, "filters": filters }
    };
    match filter {
        Filter::All => doc! { "op": "all" },
        Filter::Eq(f, v) => one("eq", f, v.clone()),
        Filter::Ne(f, v) => one("ne", f, v.clone()),
        Filter::In(f, v) => one("in", f, Bson::Array(v.clone())),
        Filter::Lt(f, v) => one("lt", f, v.clone()),
        Filter::Lte(f, v) => one("lte", f, v.clone()),
        Filter::Gt(f, v) => one("gt", f, v.clone()),
        Filter::Gte(f, v) => one("gte", f, v.clone()),
        Filter::Exists(f) => text("exists", f),
        Filter::Missing(f) => text("missing", f),
        Filter::StartsWith(f, prefix) => one("starts_with", f, Bson::String(prefix.clone())),
        Filter::And(filters) => all("and", filters),
        Filter::Or(filters) => all("or", filters),
        Filter::Not(inner) => doc! { "op": "not", "filters": [encode_filter(inner)] },
    }
}

/// Decodes a filter from a document.
fn decode_filter(spec: &Document) -> Result<Filter> {
    let field = || {
        let name = spec.get_str("field").map_err(|_| broken("a filter without a field"))?;
        Ok(Field::unchecked(name.to_owned()))
    };
    let value = || spec.get("value").cloned().ok_or_else(|| broken("a filter without a value"));
    let values = || spec.get_array("value").cloned().map_err(|_| broken("a filter without values"));
    let filters = || {
        spec.get_array("filters")
            .map_err(|_| broken("a filter without parts"))?
            .iter()
            .map(|f| {
                f.as_document().ok_or_else(|| broken("a part is not a document")).and_then(decode_filter)
            })
            .collect::<Result<Vec<_>>>()
    };
    Ok(match spec.get_str("op").map_err(|_| broken("a filter without an operator"))? {
        "all" => Filter::All,
        "eq" => Filter::Eq(field()?, value()?),
        "ne" => Filter::Ne(field()?, value()?),
        "in" => Filter::In(field()?, values()?),
        "lt" => Filter::Lt(field()?, value()?),
        "lte" => Filter::Lte(field()?, value()?),
        "gt" => Filter::Gt(field()?, value()?),
        "gte" => Filter::Gte(field()?, value()?),
        "exists" => Filter::Exists(field()?),
        "missing" => Filter::Missing(field()?),
        "starts_with" => Filter::StartsWith(
            field()?,
            spec.get_str("value").map_err(|_| broken("a prefix is not a string"))?.to_owned(),
        ),
        "and" => Filter::And(filters()?),
        "or" => Filter::Or(filters()?),
        "not" => Filter::Not(Box::new(
            filters()?.into_iter().next().ok_or_else(|| broken("a negation without a filter"))?,
        )),
        other => return Err(broken(&format!("unknown operator {other}"))),
    })
}

/// Returns the error for a stored definition that cannot be decoded.
pub(crate) fn broken(why: &str) -> Error {
    Error::Engine { what: "reading a definition", source: why.to_owned().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_definitions_round_trip() {
        let partial = Filter::and([
            Filter::eq("a", 1),
            Filter::or([Filter::exists("b.c"), Filter::is_in("d", ["x", "y"]), Filter::gte("e", 1.5)]),
        ]);
        for index in [
            Index::on(["slug"]).unique(),
            Index::by([("a", Direction::Descending), ("b.c", Direction::Ascending)]).sparse().named("mine"),
            Index::on(["a"]).partial(partial),
            Index::on(["at"]).expire_after_seconds(u32::MAX),
        ] {
            assert_eq!(Index::from_document(&index.to_document()).unwrap(), index);
        }
    }
}
