use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::domain::{PageRequest, Position};
use crate::http::error::{FieldError, LocPart};
use crate::http::{ApiError, AppState};

/// The greatest offset: beyond it a JSON number is no longer exact.
pub(crate) const MAX_OFFSET: i64 = 9_007_199_254_740_991;

/// The part of a list that judged parameters ask for; neither number is negative, and an empty cursor is where a walk
/// begins.
pub(crate) fn page_request(limit: i64, offset: i64, cursor: Option<String>) -> PageRequest {
    let position = match cursor {
        None => Position::Offset(offset.unsigned_abs()),
        Some(cursor) => Position::Cursor(Some(cursor).filter(|cursor| !cursor.is_empty())),
    };
    PageRequest { limit: limit.unsigned_abs(), position }
}

/// Names of parameters are repeated in errors up to this length.
const MAX_NAME: usize = 64;

/// A request type that is read from query parameters.
pub(crate) trait FromQuery: Validate + Sized {
    /// Reads each field; those that cannot be read get their default and an error in the reader.
    fn from_query(reader: &mut Reader<'_>) -> Self;
}

/// Query parameters, read and judged.
pub(crate) struct ValidQuery<T>(pub(crate) T);

impl<T: FromQuery> FromRequestParts<AppState> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        read(parts.uri.query().unwrap_or_default()).map(Self).map_err(ApiError::Validation)
    }
}

/// Reads fields one by one and keeps what is wrong with them.
pub(crate) struct Reader<'q> {
    pairs: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
}

/// Reads and judges a query string.
///
/// # Errors
/// Everything that is wrong with it, in the order of the type's fields.
pub(crate) fn read<T: FromQuery>(query: &str) -> Result<T, Vec<FieldError>> {
    let mut reader = Reader {
        pairs: url::form_urlencoded::parse(query.as_bytes()).collect(),
        asked: Vec::new(),
        errors: Vec::new(),
    };
    reader.refuse_operators();
    let value = T::from_query(&mut reader);
    if let Err(errors) = value.validate() {
        reader.add(&errors);
    }
    let Reader { asked, mut errors, .. } = reader;
    // The validator keeps its errors in a hash map; their order has to be the same each time.
    errors.sort_by_key(|error| {
        asked.iter().position(|name| Some(*name) == error.loc.get(1).and_then(LocPart::name))
    });
    if errors.is_empty() { Ok(value) } else { Err(errors) }
}

impl Reader<'_> {
    /// A whole number: `3`, `+3`, `3.0`. Numbers beyond 64 bits become the greatest or least, so that the range rule
    /// speaks of them.
    pub(crate) fn whole(&mut self, name: &'static str, default: i64) -> i64 {
        self.read(name, default, parse_whole, "int_parsing", "has to be a whole number")
    }

    /// `true` or `false` in any of their spellings.
    pub(crate) fn truth(&mut self, name: &'static str, default: bool) -> bool {
        self.read(name, default, parse_truth, "bool_parsing", "has to be true or false")
    }

    /// A text as it is.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        self.last(name).map(str::to_owned)
    }

    /// The cursor of a walk, which says by itself where it goes on.
    pub(crate) fn cursor(&mut self) -> Option<String> {
        let cursor = self.text("cursor");
        if cursor.is_some() && self.last("offset").is_some() {
            let msg = "cannot be given together with an offset".to_owned();
            self.errors.push(field_error("cursor", msg, "value_error"));
        }
        cursor
    }

    /// A value that has to be given; `default` stands in for it where it is not.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
        kind: &'static str,
        msg: &str,
    ) -> T {
        if self.last(name).is_none() {
            self.errors.push(field_error(name, "has to be given".to_owned(), "missing"));
        }
        self.read(name, default, parse, kind, msg)
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
        kind: &'static str,
        msg: &str,
    ) -> T {
        self.asked.push(name);
        let Some(text) = self.last(name) else { return default };
        if let Some(value) = parse(text) {
            return value;
        }
        self.errors.push(field_error(name, msg.to_owned(), kind));
        default
    }

    /// Of a repeated parameter the last one counts.
    fn last(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Names that look like operators of a query language are refused, lest anybody think that they work.
    fn refuse_operators(&mut self) {
        let mut refused = Vec::<&str>::new();
        for (name, _) in &self.pairs {
            if (name.starts_with('$') || name.contains(['[', ']'])) && !refused.contains(&&**name) {
                refused.push(name);
                let shown: String = name.chars().take(MAX_NAME).collect();
                let msg = "names of parameters cannot hold brackets or start with a dollar sign".to_owned();
                self.errors.push(field_error(&shown, msg, "value_error"));
            }
        }
    }

    /// Flattens the validator's tree. Its own text would repeat the value that was sent.
    fn add(&mut self, errors: &ValidationErrors) {
        for (name, kind) in errors.errors() {
            let ValidationErrorsKind::Field(broken) = kind else { continue };
            for rule in broken {
                let bound = |name: &str| rule.params.get(name).and_then(serde_json::Value::as_i64);
                let value = bound("value");
                let error = match (bound("min"), bound("max")) {
                    (Some(min), _) if value.is_some_and(|value| value < min) => {
                        field_error(name, format!("has to be at least {min}"), "greater_than_equal")
                    }
                    (_, Some(max)) => {
                        field_error(name, format!("has to be at most {max}"), "less_than_equal")
                    }
                    _ => field_error(name, "is not valid".to_owned(), "value_error"),
                };
                self.errors.push(error);
            }
        }
    }
}

fn field_error(name: &str, msg: String, kind: &'static str) -> FieldError {
    FieldError { loc: vec!["query".into(), name.into()], msg, kind }
}

/// A whole number: `3`, `+3`, `3.0`; the greatest or least one if it is beyond 64 bits.
pub(crate) fn parse_whole(text: &str) -> Option<i64> {
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
    // All digits, so what cannot be parsed is too great.
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

/// `true` or `false` in any of their spellings.
pub(crate) fn parse_truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Validate)]
    struct Window {
        #[validate(range(min = 1, max = 100))]
        limit: i64,
        #[validate(range(min = 0, max = MAX_OFFSET))]
        offset: i64,
        flag: bool,
    }

    impl FromQuery for Window {
        fn from_query(reader: &mut Reader<'_>) -> Self {
            Self {
                limit: reader.whole("limit", 20),
                offset: reader.whole("offset", 0),
                flag: reader.truth("flag", false),
            }
        }
    }

    fn kinds(query: &str) -> Vec<(String, &'static str)> {
        let errors = read::<Window>(query).unwrap_err();
        errors
            .into_iter()
            .map(|e| (e.loc.iter().filter_map(LocPart::name).collect::<Vec<_>>().join("."), e.kind))
            .collect()
    }

    #[test]
    fn numbers_are_read_leniently() {
        for (text, number) in [("3", 3), ("1.0", 1), ("5.00", 5), ("+7", 7), ("007", 7), (" 9 ", 9)] {
            assert_eq!(parse_whole(text), Some(number), "{text:?}");
        }
        assert_eq!(parse_whole("-0"), Some(0));
        assert_eq!(parse_whole("9223372036854775808"), Some(i64::MAX));
        assert_eq!(parse_whole("-99999999999999999999"), Some(-i64::MAX));
        for bad in ["", " ", "1.5", "1.", ".0", "abc", "1e3", "0x1", "--1", "+-1", "1 2", "é", "\0", "١"] {
            assert_eq!(parse_whole(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn truth_has_many_spellings() {
        for yes in ["1", "true", "TRUE", "yes", "on", "t", "Y"] {
            assert_eq!(parse_truth(yes), Some(true), "{yes}");
        }
        for no in ["0", "False", "no", "OFF", "f", "n"] {
            assert_eq!(parse_truth(no), Some(false), "{no}");
        }
        for bad in ["", "2", "truee", " true", "ja"] {
            assert_eq!(parse_truth(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn all_errors_come_together_in_the_order_of_the_fields() {
        let all = kinds("flag=maybe&offset=-1&limit=abc&slug[$ne]=x");
        let expected = [
            ("query.slug[$ne]", "value_error"),
            ("query.limit", "int_parsing"),
            ("query.offset", "greater_than_equal"),
            ("query.flag", "bool_parsing"),
        ];
        assert_eq!(all, expected.map(|(loc, kind)| (loc.to_owned(), kind)));
    }

    #[test]
    fn ranges_say_which_end_was_passed() {
        for (query, kind) in [
            ("limit=0", "greater_than_equal"),
            ("limit=-1", "greater_than_equal"),
            ("limit=101", "less_than_equal"),
            ("limit=9223372036854775808", "less_than_equal"),
            ("limit=-9223372036854775809", "greater_than_equal"),
        ] {
            assert_eq!(kinds(query), [("query.limit".to_owned(), kind)], "{query}");
        }
        assert_eq!(kinds("offset=99999999999999999999"), [("query.offset".to_owned(), "less_than_equal")]);
    }

    #[test]
    fn the_last_of_a_repeated_parameter_counts_and_unknown_ones_are_ignored() {
        let window = read::<Window>("limit=abc&limit=5&colour=red&limit%20=7").unwrap();
        assert_eq!(window, Window { limit: 5, offset: 0, flag: false });
    }

    #[test]
    fn errors_never_repeat_the_value() {
        for query in ["limit=secretvalue", "limit=123454321", "flag=secretvalue"] {
            let said = format!("{:?}", read::<Window>(query).unwrap_err());
            assert!(!said.contains("secretvalue") && !said.contains("123454321"), "{said}");
        }
    }
}
