//! Checks of arguments, made before an operation reaches an engine, so that both engines reject the same ones.

use bson::{Bson, Document};

use super::{Field, Filter, Find, Projection, Sort, Update, UpdateOp, Write};
use crate::{Error, Result};

impl Field {
    /// Validates the path as [`Field::parse`] does; engines call this before they use a field.
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |part: &str| {
            part.is_empty()
                || part.starts_with('$')
                || part.contains('\0')
                || part.bytes().all(|b| b.is_ascii_digit())
        };
        if self.parts().any(bad) {
            return Err(Error::Invalid(format!("{:?} is not a field path", self.as_str())));
        }
        Ok(())
    }
}

/// Accepts the types that both engines store, compare and index alike.
pub(crate) fn check_value(value: &Bson) -> Result<()> {
    match value {
        Bson::Null
        | Bson::Boolean(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::Double(_)
        | Bson::String(_)
        | Bson::DateTime(_)
        | Bson::Timestamp(_)
        | Bson::Binary(_)
        | Bson::ObjectId(_) => Ok(()),
        Bson::Array(values) => values.iter().try_for_each(check_value),
        Bson::Document(document) => document.values().try_for_each(check_value),
        other => Err(Error::Invalid(format!("values of type {:?} are not supported", other.element_type()))),
    }
}

/// Checks that every value of a document has a type that the store keeps, and names the field otherwise.
pub(crate) fn check_document(document: &Document) -> Result<()> {
    if matches!(document.get("_id"), Some(Bson::Array(_))) {
        return Err(Error::Invalid("an id must not be an array".into()));
    }
    for (field, value) in document {
        if let Err(error) = check_value(value) {
            return Err(match error {
                Error::Invalid(what) => Error::Invalid(format!("{field}: {what}")),
                other => other,
            });
        }
    }
    Ok(())
}

impl Filter {
    /// Validates fields and operands; engines call this before they use a filter.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Exists(field) | Self::Missing(field) => field.check(),
            Self::StartsWith(field, prefix) => {
                field.check()?;
                if prefix.contains('\0') {
                    return Err(Error::Invalid("a string prefix must not contain a NUL".into()));
                }
                Ok(())
            }
            Self::Eq(field, value)
            | Self::Ne(field, value)
            | Self::Lt(field, value)
            | Self::Lte(field, value)
            | Self::Gt(field, value)
            | Self::Gte(field, value) => {
                field.check()?;
                check_value(value)
            }
            Self::In(field, values) => {
                field.check()?;
                values.iter().try_for_each(check_value)
            }
            Self::And(filters) | Self::Or(filters) => filters.iter().try_for_each(Self::check),
            Self::Not(filter) => filter.check(),
        }
    }
}

impl Sort {
    fn check(&self) -> Result<()> {
        if self.fields().len() > 32 {
            return Err(Error::Invalid("a sort has at most 32 fields".into()));
        }
        for (i, (field, _)) in self.fields().iter().enumerate() {
            field.check()?;
            if self.fields()[..i].iter().any(|(other, _)| other == field) {
                return Err(Error::Invalid(format!("a sort names {field} twice")));
            }
        }
        Ok(())
    }
}

impl Projection {
    fn check(&self) -> Result<()> {
        for (i, field) in self.fields().iter().enumerate() {
            field.check()?;
            if field.overlaps(&Field::ID) {
                return Err(Error::Invalid(
                    "a projection always includes the id and must not name it".into(),
                ));
            }
            if let Some(other) = self.fields()[..i].iter().find(|o| o.overlaps(field)) {
                return Err(Error::Invalid(format!("a projection names {other} and {field}, which overlap")));
            }
        }
        Ok(())
    }
}

impl Find {
    /// Validates the read; engines call this before they use it.
    pub(crate) fn check(&self) -> Result<()> {
        self.filter.check()?;
        self.sort.check()?;
        if let Some(position) = &self.after {
            if !position.is_empty() && position.len() != self.sort.fields().len() {
                return Err(Error::Invalid("a position needs one value for each sort field".into()));
            }
            if position.iter().any(|value| matches!(value, Bson::Array(_))) {
                return Err(Error::Invalid("a position must not contain an array".into()));
            }
            position.iter().try_for_each(check_value)?;
        }
        if self.skip > i64::MAX as u64 || self.limit.is_some_and(|limit| limit > i64::MAX as u64) {
            return Err(Error::Invalid("skip and limit are at most 2^63 - 1".into()));
        }
        self.projection.as_ref().map_or(Ok(()), Projection::check)
    }
}

impl Update {
    /// Validates fields and operands, and that no two changes overlap; engines call this before they use an update.
    pub(crate) fn check(&self) -> Result<()> {
        if self.ops().is_empty() {
            return Err(Error::Invalid("an update needs at least one change".into()));
        }
        for (i, op) in self.ops().iter().enumerate() {
            op.field().check()?;
            if op.field().overlaps(&Field::ID) {
                return Err(Error::Invalid("the id of a document must not be changed".into()));
            }
            match op {
                UpdateOp::Unset(_) | UpdateOp::Inc(_, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => {}
                UpdateOp::Inc(field, _) => {
                    return Err(Error::Invalid(format!("the increment of {field} must be a number")));
                }
                UpdateOp::Set(_, v) | UpdateOp::SetOnInsert(_, v) | UpdateOp::AddToSet(_, v) => {
                    check_value(v)?;
                }
            }
            if let Some(other) = self.ops()[..i].iter().find(|o| o.field().overlaps(op.field())) {
                return Err(Error::Invalid(format!(
                    "two changes overlap: {} and {}",
                    other.field(),
                    op.field()
                )));
            }
        }
        Ok(())
    }
}

impl Write {
    /// Checks the arguments of a write.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Insert(document) => check_document(document),
            Self::UpdateOne { filter, update } | Self::UpdateMany { filter, update } => {
                filter.check().and_then(|()| update.check())
            }
            Self::DeleteMany(filter) => filter.check(),
        }
    }
}
