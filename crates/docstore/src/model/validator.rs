use std::fmt;

use bson::{Document, doc};

use crate::model::definition::{broken, decode_filter, encode_filter};
use crate::{Error, Filter, Result};

/// What every document of a collection has to satisfy, checked by the store at each write.
#[derive(Debug, Clone, PartialEq)]
pub struct Validator {
    /// What a document has to match.
    pub must: Filter,
    /// Which writes are checked.
    pub level: ValidationLevel,
    /// What becomes of a write that does not pass.
    pub action: ValidationAction,
}

/// Which writes a validator checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValidationLevel {
    /// Every insert and every change.
    #[default]
    Strict,
    /// Every insert, and changes of documents that passed before.
    Moderate,
}

/// What becomes of a write that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValidationAction {
    /// It is refused with [`Error::InvalidDocument`].
    #[default]
    Error,
    /// It is carried out, and the store's log tells it.
    Warn,
}

impl Validator {
    /// Refuses every insert and every change that would leave a document without a match.
    pub fn new(must: Filter) -> Self {
        Self { must, level: ValidationLevel::Strict, action: ValidationAction::Error }
    }

    /// Lets documents be changed that did not pass before.
    #[must_use]
    pub fn moderate(mut self) -> Self {
        self.level = ValidationLevel::Moderate;
        self
    }

    /// Lets everything pass, and tells it in the store's log.
    #[must_use]
    pub fn only_warn(mut self) -> Self {
        self.action = ValidationAction::Warn;
        self
    }

    /// As a document, for manifests and journals. [`Validator::from_document`] reads it.
    pub fn to_document(&self) -> Document {
        doc! {
            "must": encode_filter(&self.must),
            "moderate": self.level == ValidationLevel::Moderate,
            "warn": self.action == ValidationAction::Warn,
        }
    }

    /// The validator that [`Validator::to_document`] wrote.
    ///
    /// # Errors
    /// [`Error::Engine`] if it did not.
    pub fn from_document(document: &Document) -> Result<Self> {
        let must = document.get_document("must").map_err(|_| broken("a validator without a condition"))?;
        let is = |key| document.get_bool(key).unwrap_or(false);
        Ok(Self {
            must: decode_filter(must)?,
            level: if is("moderate") { ValidationLevel::Moderate } else { ValidationLevel::Strict },
            action: if is("warn") { ValidationAction::Warn } else { ValidationAction::Error },
        })
    }

    /// Called before an engine gets it.
    pub(crate) fn check(&self) -> Result<()> {
        let empty = match &self.must {
            Filter::All => true,
            Filter::And(filters) => filters.is_empty(),
            _ => false,
        };
        if empty {
            return Err(Error::Invalid("a validator that every document passes is none".into()));
        }
        self.must.check()
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.must)?;
        if self.level == ValidationLevel::Moderate {
            f.write_str(" moderate")?;
        }
        if self.action == ValidationAction::Warn {
            f.write_str(" only warns")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was() {
        for validator in [
            Validator::new(Filter::exists("title")),
            Validator::new(Filter::and([Filter::gt("n", 1_i64), Filter::missing("old")])).moderate(),
            Validator::new(Filter::starts_with("slug", "a").negated()).only_warn(),
        ] {
            assert_eq!(Validator::from_document(&validator.to_document()).unwrap(), validator);
        }
        assert!(Validator::from_document(&doc! { "level": "strict" }).is_err());
    }

    #[test]
    fn one_that_asks_for_nothing_is_refused() {
        for must in [Filter::All, Filter::And(vec![])] {
            assert!(matches!(Validator::new(must).check(), Err(Error::Invalid(_))));
        }
        assert!(Validator::new(Filter::exists("$a")).check().is_err());
        assert!(Validator::new(Filter::exists("a")).check().is_ok());
    }
}
