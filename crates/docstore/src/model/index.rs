use std::fmt;

use bson::Document;

use crate::model::definition;
use crate::{Direction, Error, Field, Filter, Result};

/// A declared index.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    name: String,
    fields: Vec<IndexField>,
    unique: bool,
    sparse: bool,
    partial: Option<Filter>,
}

/// A field of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexField {
    /// The field.
    pub field: Field,
    /// The direction.
    pub direction: Direction,
}

impl Index {
    /// Declares an index on fields in ascending order, named as MongoDB does: `slug_1`, `target_type_1_target_id_1`.
    pub fn on<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::by(fields.into_iter().map(|field| (field, Direction::Ascending)))
    }

    /// Declares an index on fields with directions, named as MongoDB does: `is_published_1_date_-1`.
    pub fn by<F: Into<Field>>(fields: impl IntoIterator<Item = (F, Direction)>) -> Self {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(field, direction)| IndexField { field: field.into(), direction })
            .collect();
        let name = fields
            .iter()
            .map(|f| format!("{}_{}", f.field, if f.direction == Direction::Ascending { "1" } else { "-1" }))
            .collect::<Vec<_>>()
            .join("_");
        Self { name, fields, unique: false, sparse: false, partial: None }
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

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fields in key order.
    pub fn fields(&self) -> &[IndexField] {
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

    /// Compares everything but the name.
    pub fn same_definition(&self, other: &Self) -> bool {
        self.same_keys(other)
            && self.unique == other.unique
            && self.sparse == other.sparse
            && self.partial == other.partial
    }

    /// Compares fields, their order and their directions.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// Encodes the index as a document, for manifests and journals. [`Index::from_document`] decodes it.
    pub fn to_document(&self) -> Document {
        definition::encode(self)
    }

    /// Decodes an index that [`Index::to_document`] encoded; it may be one that cannot be declared.
    ///
    /// # Errors
    /// [`Error::Engine`] if the document is not an encoded index.
    pub fn from_document(document: &Document) -> Result<Self> {
        definition::decode(document)
    }

    /// Validates the declaration; engines call this before they create an index.
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name == "_id_" || self.name.contains('\0') || self.name == "*" {
            return Err(Error::Invalid(format!("{:?} is not a valid index name", self.name)));
        }
        if self.fields.is_empty() || self.fields.len() > 32 {
            return Err(Error::Invalid(format!("index {} needs 1 to 32 fields", self.name)));
        }
        for (i, f) in self.fields.iter().enumerate() {
            f.field.check()?;
            if self.fields[..i].iter().any(|other| other.field == f.field) {
                return Err(Error::Invalid(format!("index {} names {} twice", self.name, f.field)));
            }
        }
        if self.sparse && self.partial.is_some() {
            return Err(Error::Invalid(format!("index {} cannot be both sparse and partial", self.name)));
        }
        match &self.partial {
            None => Ok(()),
            Some(filter) => {
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

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.name)?;
        for (i, field) in self.fields.iter().enumerate() {
            let direction = if field.direction == Direction::Ascending { "" } else { " descending" };
            write!(f, "{}{}{direction}", if i == 0 { "" } else { ", " }, field.field)?;
        }
        f.write_str(")")?;
        if self.unique {
            f.write_str(" unique")?;
        }
        if self.sparse {
            f.write_str(" sparse")?;
        }
        if let Some(filter) = &self.partial {
            write!(f, " partial {filter:?}")?;
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
