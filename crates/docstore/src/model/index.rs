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
    /// Which field.
    pub field: Field,
    /// In which direction.
    pub direction: Direction,
}

impl Index {
    /// An index on fields in ascending order, named as MongoDB does: `slug_1`, `target_type_1_target_id_1`.
    pub fn on<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::by(fields.into_iter().map(|field| (field, Direction::Ascending)))
    }

    /// An index on fields with directions, named as MongoDB does: `is_published_1_date_-1`.
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

    /// Gives it another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// No two documents may have the same key. A missing field counts as null.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Leaves out documents that have none of the fields.
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Holds only documents that match. The filter may use `eq`, comparisons, `exists`, `in`, `and` and `or`, which
    /// is what MongoDB 6.0 allows.
    #[must_use]
    pub fn partial(mut self, filter: Filter) -> Self {
        self.partial = Some(filter);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[IndexField] {
        &self.fields
    }

    /// Whether keys are unique.
    pub fn is_unique(&self) -> bool {
        self.unique
    }

    /// Whether documents without any of the fields are left out.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Which documents it holds, if not all.
    pub fn partial_filter(&self) -> Option<&Filter> {
        self.partial.as_ref()
    }

    /// Whether it is the same index but for the name.
    pub fn same_definition(&self, other: &Self) -> bool {
        self.same_keys(other)
            && self.unique == other.unique
            && self.sparse == other.sparse
            && self.partial == other.partial
    }

    /// Whether it has the same fields in the same order and directions.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// As a document, for manifests and journals. [`Index::from_document`] reads it.
    pub fn to_document(&self) -> Document {
        definition::encode(self)
    }

    /// The index that [`Index::to_document`] wrote; it may be one that cannot be declared.
    ///
    /// # Errors
    /// [`Error::Engine`] if it did not.
    pub fn from_document(document: &Document) -> Result<Self> {
        definition::decode(document)
    }

    /// Engines call it before they create an index.
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name == "_id_" || self.name.contains('\0') || self.name == "*" {
            return Err(Error::Invalid(format!("{:?} cannot be the name of an index", self.name)));
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

/// How a declared index came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It was made now.
    Created,
    /// It was there.
    Existed,
    /// It was there under this other name.
    ExistedAs(String),
}
