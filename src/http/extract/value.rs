use std::borrow::Cow;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDateTime, SubsecRound as _, Utc};
use serde_json::Value;
use validator::{ValidateLength, ValidateRange};

use crate::domain::{StringEnum, is_visible};
use crate::http::error::{FieldError, LocPart, MAX_ERRORS};
use crate::http::openapi::schema::ValueSchema;

/// The largest integer that every JSON parser reads exactly.
pub(crate) const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// The value of a field as a client sends it.
pub(crate) enum RawValue<'a> {
    /// A member of a JSON body.
    Json(Value),
    /// A query parameter or a segment of the path.
    Text(Cow<'a, str>),
}

/// A constraint on a value that was parsed.
pub(crate) enum Rule {
    /// Bounds of the number of characters.
    Length(u64, u64),
    /// Bounds of a number.
    Range(i64, i64),
    /// The largest number of elements.
    Items(u64),
    /// The largest number of characters of each element, which must be visible.
    Each(u64),
    /// A predicate, and what it requires.
    Check(fn(&str) -> bool, &'static str),
    /// A pattern for the OpenAPI document; the service validates what it stands for.
    Pattern(&'static str),
    /// All values, for the OpenAPI document; the service validates them.
    Values(&'static [&'static str]),
}

/// A type that a field can have. It is parsed leniently: numbers and booleans may be strings.
pub(crate) trait FieldValue: ValueSchema + Sized {
    /// Parses a value. Errors are located within the value and never repeat it.
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>>;

    /// Returns the errors if the value breaks a rule.
    fn check(&self, _: &Rule) -> Vec<FieldError> {
        Vec::new()
    }
}

/// Returns an error about a value as a whole.
pub(crate) fn invalid(kind: &'static str, msg: impl Into<String>) -> FieldError {
    FieldError { loc: Vec::new(), msg: msg.into(), kind }
}

impl FieldValue for String {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        match input {
            RawValue::Text(text) => Ok(text.into_owned()),
            RawValue::Json(Value::String(text)) if text.contains('\0') => {
                Err(vec![invalid("value_error", "must not contain NUL characters")])
            }
            RawValue::Json(Value::String(text)) => Ok(text),
            RawValue::Json(_) => Err(vec![invalid("string_type", "must be a string")]),
        }
    }

    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        let characters = |n: u64| if n == 1 { "character" } else { "characters" };
        let error = match *rule {
            Rule::Length(min, _) if !self.validate_length(Some(min), None, None) => {
                Some(invalid("string_too_short", format!("must contain at least {min} {}", characters(min))))
            }
            Rule::Length(_, max) if !self.validate_length(None, Some(max), None) => {
                Some(invalid("string_too_long", format!("must contain at most {max} {}", characters(max))))
            }
            Rule::Check(holds, msg) if !holds(self) => Some(invalid("value_error", msg)),
            _ => None,
        };
        error.into_iter().collect()
    }
}

impl FieldValue for bool {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let value = match &input {
            RawValue::Text(text) => parse_bool(text),
            RawValue::Json(Value::String(text)) => parse_bool(text),
            RawValue::Json(Value::Bool(value)) => Some(*value),
            RawValue::Json(Value::Number(number)) if number.as_f64() == Some(1.0) => Some(true),
            RawValue::Json(Value::Number(number)) if number.as_f64() == Some(0.0) => Some(false),
            RawValue::Json(_) => None,
        };
        value.ok_or_else(|| vec![invalid("bool_parsing", "must be true or false")])
    }
}

impl FieldValue for i64 {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let value = match &input {
            RawValue::Text(text) => parse_integer(text),
            RawValue::Json(Value::String(text)) => parse_integer(text),
            RawValue::Json(Value::Bool(value)) => Some(Self::from(*value)),
            RawValue::Json(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Some(number),
                #[expect(clippy::cast_possible_truncation, reason = "whole; out of range it saturates")]
                (None, Some(number)) if number.fract() == 0.0 => Some(number as Self),
                _ => return Err(vec![invalid("int_from_float", "must be an integer")]),
            },
            RawValue::Json(_) => None,
        };
        value.ok_or_else(|| vec![invalid("int_parsing", "must be an integer")])
    }

    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        let error = match *rule {
            Rule::Range(min, _) if !self.validate_range(Some(min), None, None, None) => {
                Some(invalid("greater_than_equal", format!("must be at least {min}")))
            }
            Rule::Range(_, max) if !self.validate_range(None, Some(max), None, None) => {
                Some(invalid("less_than_equal", format!("must be at most {max}")))
            }
            _ => None,
        };
        error.into_iter().collect()
    }
}

impl FieldValue for f64 {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let value = match &input {
            RawValue::Text(text) => text.trim().parse().ok(),
            RawValue::Json(Value::String(text)) => text.trim().parse().ok(),
            RawValue::Json(value) => value.as_f64(),
        };
        let value = value.filter(|number: &Self| number.is_finite());
        value.ok_or_else(|| vec![invalid("float_parsing", "must be a number")])
    }

    #[expect(clippy::cast_precision_loss, reason = "bounds are exact")]
    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        let error = match *rule {
            Rule::Range(min, _) if *self < min as Self => {
                Some(invalid("greater_than_equal", format!("must be at least {min}")))
            }
            Rule::Range(_, max) if *self > max as Self => {
                Some(invalid("less_than_equal", format!("must be at most {max}")))
            }
            _ => None,
        };
        error.into_iter().collect()
    }
}

/// A time in whole milliseconds. One without a zone is in UTC.
impl FieldValue for DateTime<Utc> {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let parse = |text: &str| {
            let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
            let naive = || text.parse::<NaiveDateTime>().map(|time| time.and_utc());
            let time = zoned.or_else(|_| naive()).ok().filter(|time| (0..=9999).contains(&time.year()));
            time.map(|time| time.trunc_subsecs(3))
        };
        let value = match &input {
            RawValue::Text(text) => parse(text),
            RawValue::Json(value) => value.as_str().and_then(parse),
        };
        value.ok_or_else(|| vec![invalid("datetime_parsing", "must be a time such as 2026-01-02T03:04:05Z")])
    }
}

/// Returns the errors of a list with this number of elements.
pub(crate) fn check_length(length: usize, rule: &Rule) -> Vec<FieldError> {
    match *rule {
        Rule::Items(max) if length as u64 > max => {
            vec![invalid("too_long", format!("must contain at most {max} elements"))]
        }
        _ => Vec::new(),
    }
}

impl<T: StringEnum + ValueSchema + FromStr> FieldValue for T {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let value = match &input {
            RawValue::Text(text) => text.parse().ok(),
            RawValue::Json(value) => value.as_str().and_then(|text| text.parse().ok()),
        };
        let expected = || format!("must be one of {}", T::WORDS.join(", "));
        value.ok_or_else(|| vec![invalid("literal_error", expected())])
    }
}

impl FieldValue for Vec<String> {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        let RawValue::Json(Value::Array(elements)) = input else {
            return Err(vec![invalid("list_type", "must be a list")]);
        };
        let (mut values, mut errors) = (Self::new(), Vec::new());
        for (index, element) in elements.into_iter().enumerate() {
            // The rest is not looked at: a body could have a million invalid elements.
            if errors.len() >= MAX_ERRORS {
                break;
            }
            match String::parse(RawValue::Json(element)) {
                Ok(value) => values.push(value),
                Err(invalid) => {
                    errors.extend(invalid.into_iter().map(|error| error.within([LocPart::Index(index)])));
                }
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }

    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        match *rule {
            Rule::Items(max) if self.len() as u64 > max => {
                vec![invalid("too_long", format!("must contain at most {max} elements"))]
            }
            Rule::Each(max) => {
                let errors = |(index, element): (usize, &String)| {
                    let visible = Rule::Check(is_visible, "must contain a visible character");
                    let errors = [Rule::Length(0, max), visible];
                    let errors = errors.iter().flat_map(|rule| element.check(rule)).collect::<Vec<_>>();
                    errors.into_iter().map(move |error| error.within([LocPart::Index(index)]))
                };
                self.iter().enumerate().flat_map(errors).take(MAX_ERRORS).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Parses `3`, `+3` and `3.0`. Numbers beyond 64 bits saturate, so that the range rule reports them.
fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // All digits, so the only way to fail is to be too large.
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

/// Parses the spellings of `true` and `false` that the original accepted.
fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_parsed_leniently() {
        for (text, number) in [("3", 3), ("1.0", 1), ("5.00", 5), ("+7", 7), ("007", 7), (" 9 ", 9)] {
            assert_eq!(parse_integer(text), Some(number), "{text:?}");
        }
        assert_eq!(parse_integer("-0"), Some(0));
        assert_eq!(parse_integer("9223372036854775808"), Some(i64::MAX));
        assert_eq!(parse_integer("-99999999999999999999"), Some(-i64::MAX));
        for bad in ["", " ", "1.5", "1.", ".0", "abc", "1e3", "0x1", "--1", "+-1", "1 2", "é", "\0", "١"] {
            assert_eq!(parse_integer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn booleans_have_many_spellings() {
        for yes in ["1", "true", "TRUE", "yes", "on", "t", "Y"] {
            assert_eq!(parse_bool(yes), Some(true), "{yes}");
        }
        for no in ["0", "False", "no", "OFF", "f", "n"] {
            assert_eq!(parse_bool(no), Some(false), "{no}");
        }
        for bad in ["", "2", "truee", " true", "ja"] {
            assert_eq!(parse_bool(bad), None, "{bad:?}");
        }
    }
}
