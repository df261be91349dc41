//! What the server lists may be a validator that this crate has no words for: `$jsonSchema`, `$expr`, … It is then
//! kept as one that can never be set: a condition on a field whose name is the operator, or `$validator`.

use bson::{Document, doc};

use crate::mongo::checks::check_collection;
use crate::mongo::error::server_error;
use crate::mongo::parse::condition;
use crate::mongo::schema::indexes::unspeakable;
use crate::mongo::translate;
use crate::mongo::write::operations::Core;
use crate::{Result, ValidationAction, ValidationLevel, Validator};

const SETTING: &str = "setting a validator";
const NAMESPACE_NOT_FOUND: i32 = 26;
const NAMESPACE_EXISTS: i32 = 48;

impl Core {
    pub(crate) async fn set_validator(&self, collection: &str, validator: Option<&Validator>) -> Result<()> {
        validator.map_or(Ok(()), Validator::check)?;
        self.put_validator(collection, validator.map_or_else(off, words)).await
    }

    /// Sets a validator that is said in the words of the server.
    pub(crate) async fn put_validator(&self, collection: &str, options: Document) -> Result<()> {
        check_collection(collection)?;
        let command = |verb: &str| {
            let mut command = doc! { verb: collection };
            command.extend(options.clone());
            command
        };
        let is =
            |error: &mongodb::error::Error, code| server_error(error).is_some_and(|coded| coded.code == code);
        let Err(error) = self.write_command(command("collMod"), None).await else { return Ok(()) };
        if !is(&error, NAMESPACE_NOT_FOUND) {
            return Err(self.error(SETTING, collection, &error).await);
        }
        let Err(error) = self.write_command(command("create"), None).await else { return Ok(()) };
        if !is(&error, NAMESPACE_EXISTS) {
            return Err(self.error(SETTING, collection, &error).await);
        }
        // Somebody was faster than us.
        match self.write_command(command("collMod"), None).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(SETTING, collection, &error).await),
        }
    }
}

/// A validator as options of a collection.
pub(crate) fn words(validator: &Validator) -> Document {
    let level = match validator.level {
        ValidationLevel::Strict => "strict",
        ValidationLevel::Moderate => "moderate",
    };
    let action = match validator.action {
        ValidationAction::Error => "error",
        ValidationAction::Warn => "warn",
    };
    doc! {
        "validator": translate::filter(&validator.must), "validationLevel": level, "validationAction": action,
    }
}

fn off() -> Document {
    doc! { "validator": {}, "validationLevel": "strict", "validationAction": "error" }
}

/// The validator that options of a collection mean.
pub(crate) fn read(options: &Document) -> Option<Validator> {
    let expression = options.get_document("validator").ok().filter(|expression| !expression.is_empty())?;
    let text = |key| options.get_str(key).unwrap_or_default();
    if text("validationLevel") == "off" {
        return None;
    }
    let must = condition(expression).unwrap_or_else(|| match expression.iter().next() {
        Some((operator, value)) if expression.len() == 1 && operator.starts_with('$') => {
            unspeakable(operator.trim_start_matches('$'), value)
        }
        _ => unspeakable("validator", &expression.clone().into()),
    });
    let mut validator = Validator::new(must);
    if text("validationLevel") == "moderate" {
        validator = validator.moderate();
    }
    if text("validationAction") == "warn" {
        validator = validator.only_warn();
    }
    Some(validator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn what_is_set_is_read_back() {
        for validator in [
            Validator::new(Filter::exists("title")),
            Validator::new(Filter::and([Filter::gt("n", 1), Filter::missing("old")])).moderate(),
            Validator::new(Filter::ne("a", "b").negated()).only_warn(),
        ] {
            assert_eq!(read(&words(&validator)), Some(validator));
        }
        assert_eq!(read(&off()), None);
        assert_eq!(read(&doc! { "validator": { "a": 1 }, "validationLevel": "off" }), None);
    }

    #[test]
    fn what_cannot_be_said_cannot_be_set() {
        for expression in
            [doc! { "$jsonSchema": { "required": ["a"] } }, doc! { "a": { "$type": 2 }, "b": 1 }]
        {
            let validator = read(&doc! { "validator": expression }).unwrap();
            assert!(validator.check().is_err(), "{validator}");
        }
    }
}
