use serde_json::{Map, Value};
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use super::json::FromBody;
use super::query::{parse_truth, parse_whole};
use crate::domain::{ContentType, DisplayType, NavVisibility, Patch};
use crate::http::error::{FieldError, LocPart};

/// The greatest whole number that is exact in JSON, for whoever reads it.
pub(crate) const EXACT: i64 = 9_007_199_254_740_991;

/// What is wrong with a value, or with one element of it.
pub(crate) struct Wrong {
    at: Option<usize>,
    kind: &'static str,
    msg: &'static str,
}

/// A type that fields can have.
pub(crate) trait FromJson: Default {
    /// Reads a value, as leniently as the original did.
    fn from_json(value: Value) -> Result<Self, Vec<Wrong>>;
}

fn wrong<T>(kind: &'static str, msg: &'static str) -> Result<T, Vec<Wrong>> {
    Err(vec![Wrong { at: None, kind, msg }])
}

impl FromJson for String {
    fn from_json(value: Value) -> Result<Self, Vec<Wrong>> {
        match value {
            Value::String(text) if text.contains('\0') => wrong("value_error", "cannot hold a NUL character"),
            Value::String(text) => Ok(text),
            _ => wrong("string_type", "has to be a text"),
        }
    }
}

impl FromJson for bool {
    fn from_json(value: Value) -> Result<Self, Vec<Wrong>> {
        let read = match &value {
            Value::Bool(truth) => Some(*truth),
            Value::String(text) => parse_truth(text),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
            _ => None,
        };
        read.map_or_else(|| wrong("bool_parsing", "has to be true or false"), Ok)
    }
}

impl FromJson for i64 {
    fn from_json(value: Value) -> Result<Self, Vec<Wrong>> {
        let read = match &value {
            Value::Bool(truth) => Some(Self::from(*truth)),
            Value::String(text) => parse_whole(text),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Some(number),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole; beyond the range it is the end of it"
                )]
                (None, Some(number)) if number.fract() == 0.0 => Some(number as Self),
                _ => return wrong("int_from_float", "has to be a whole number"),
            },
            _ => None,
        };
        read.map_or_else(|| wrong("int_parsing", "has to be a whole number"), Ok)
    }
}

/// Enums that are one word each.
macro_rules! words {
    ($($name:ident: $expected:literal,)+) => {$(
        impl FromJson for $name {
            fn from_json(value: Value) -> Result<Self, Vec<Wrong>> {
                let word = value.as_str().and_then(|word| word.parse().ok());
                word.map_or_else(|| wrong("literal_error", $expected), Ok)
            }
        }
    )+};
}

words! {
    DisplayType: "has to be feed, card-grid, static-page or gallery",
    ContentType: "has to be story, project, page, image or photo_essay",
    NavVisibility: "has to be main, secondary or hidden",
}

impl FromJson for Vec<String> {
    fn from_json(value: Value) -> Result<Self, Vec<Wrong>> {
        let Value::Array(elements) = value else { return wrong("list_type", "has to be a list") };
        let (mut read, mut errors) = (Self::new(), Vec::new());
        for (at, element) in elements.into_iter().enumerate() {
            match String::from_json(element) {
                Ok(element) => read.push(element),
                Err(wrong) => errors.extend(wrong.into_iter().map(|wrong| Wrong { at: Some(at), ..wrong })),
            }
        }
        if errors.is_empty() { Ok(read) } else { Err(errors) }
    }
}

/// Reads the fields of a body one by one and keeps what is wrong with them.
pub(crate) struct Fields {
    object: Map<String, Value>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads and judges a body.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the type's fields.
    pub(crate) fn judge<T: FromBody>(object: Map<String, Value>) -> Result<T, Vec<FieldError>> {
        let mut fields = Self { object, asked: Vec::new(), errors: Vec::new() };
        let value = T::from_body(&mut fields);
        if let Err(broken) = value.validate() {
            fields.add(&broken);
        }
        let Self { asked, mut errors, .. } = fields;
        // The validator keeps its errors in a hash map; their order has to be the same each time.
        errors.sort_by_key(|error| {
            asked.iter().position(|name| Some(*name) == error.loc.get(1).and_then(LocPart::name))
        });
        if errors.is_empty() { Ok(value) } else { Err(errors) }
    }

    /// A field that has to be there.
    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> T {
        self.asked.push(name);
        if let Some(value) = self.object.remove(name) {
            self.read(name, value)
        } else {
            self.error(name, None, "is needed".to_owned(), "missing");
            T::default()
        }
    }

    /// A field that has a value of its own when it is left out.
    pub(crate) fn or<T: FromJson>(&mut self, name: &'static str, default: T) -> T {
        self.asked.push(name);
        match self.object.remove(name) {
            Some(value) => self.read(name, value),
            None => default,
        }
    }

    /// A field that may be left out or be null, which is the same.
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        self.asked.push(name);
        match self.object.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => Some(self.read(name, value)),
        }
    }

    /// A field that may be left out, but not be null.
    pub(crate) fn given<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        self.asked.push(name);
        self.object.remove(name).map(|value| self.read(name, value))
    }

    /// A field of which null is a value.
    pub(crate) fn nullable<T: FromJson>(&mut self, name: &'static str) -> Patch<T> {
        self.asked.push(name);
        match self.object.remove(name) {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Clear,
            Some(value) => Patch::Set(self.read(name, value)),
        }
    }

    fn read<T: FromJson>(&mut self, name: &'static str, value: Value) -> T {
        T::from_json(value).unwrap_or_else(|wrong| {
            for Wrong { at, kind, msg } in wrong {
                self.error(name, at, msg.to_owned(), kind);
            }
            T::default()
        })
    }

    fn error(&mut self, name: &str, at: Option<usize>, msg: String, kind: &'static str) {
        let loc = ["body".into(), name.into()].into_iter().chain(at.map(LocPart::At)).collect();
        self.errors.push(FieldError { loc, msg, kind });
    }

    /// Flattens the validator's tree. A field that could not be read has its error already.
    fn add(&mut self, broken: &ValidationErrors) {
        for (name, kind) in broken.errors() {
            let read = |error: &FieldError| error.loc.get(1).and_then(LocPart::name) != Some(name.as_ref());
            if let (ValidationErrorsKind::Field(rules), true) = (kind, self.errors.iter().all(read)) {
                for rule in rules {
                    let (kind, msg) = told(rule);
                    self.error(name, None, msg, kind);
                }
            }
        }
    }
}

/// A broken rule in the words of the contract. The validator's own text would repeat the value that was sent.
fn told(rule: &ValidationError) -> (&'static str, String) {
    let bound = |name: &str| rule.params.get(name).and_then(Value::as_i64);
    let value = rule.params.get("value");
    let length = value.and_then(Value::as_str).map(|text| text.chars().count());
    let length = length.and_then(|length| i64::try_from(length).ok());
    let number = value.and_then(Value::as_i64);
    match (&*rule.code, bound("min"), bound("max")) {
        ("length", Some(min), _) if length.is_some_and(|length| length < min) => {
            ("string_too_short", format!("has to have at least {min} {}", characters(min)))
        }
        ("length", _, Some(max)) => {
            ("string_too_long", format!("has to have at most {max} {}", characters(max)))
        }
        ("range", Some(min), _) if number.is_some_and(|number| number < min) => {
            ("greater_than_equal", format!("has to be at least {min}"))
        }
        ("range", _, Some(max)) => ("less_than_equal", format!("has to be at most {max}")),
        _ => ("value_error", rule.message.as_deref().unwrap_or("is not valid").to_owned()),
    }
}

fn characters(n: i64) -> &'static str {
    if n == 1 { "character" } else { "characters" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use validator::Validate;

    use super::*;

    #[derive(Debug, PartialEq, Validate)]
    struct Sample {
        #[validate(length(min = 1, max = 3))]
        title: String,
        flag: bool,
        #[validate(range(min = 0, max = 9))]
        number: Option<i64>,
        list: Option<Vec<String>>,
    }

    impl FromBody for Sample {
        fn from_body(fields: &mut Fields) -> Self {
            Self {
                title: fields.required("title"),
                flag: fields.required("flag"),
                number: fields.optional("number"),
                list: fields.optional("list"),
            }
        }
    }

    fn judge(body: Value) -> Result<Sample, Vec<(String, &'static str)>> {
        let Value::Object(object) = body else { panic!("an object is judged") };
        Fields::judge(object).map_err(|errors| {
            let loc = |error: &FieldError| serde_json::to_string(&error.loc).unwrap();
            errors.iter().map(|error| (loc(error), error.kind)).collect()
        })
    }

    fn kind(field: &str, value: Value) -> &'static str {
        let mut body = json!({ "title": "a", "flag": true });
        body[field] = value;
        judge(body).unwrap_err()[0].1
    }

    #[test]
    fn all_errors_come_together_in_the_order_of_the_fields() {
        let errors = judge(json!({ "list": ["a", 1, null], "title": "four", "number": 1.5 })).unwrap_err();
        let expected = [
            ("[\"body\",\"title\"]", "string_too_long"),
            ("[\"body\",\"flag\"]", "missing"),
            ("[\"body\",\"number\"]", "int_from_float"),
            ("[\"body\",\"list\",1]", "string_type"),
            ("[\"body\",\"list\",2]", "string_type"),
        ];
        assert_eq!(errors, expected.map(|(loc, kind)| (loc.to_owned(), kind)));
    }

    #[test]
    fn types_are_read_leniently() {
        for flag in [json!(true), json!("on"), json!("True"), json!(1), json!(1.0)] {
            assert!(judge(json!({ "title": "a", "flag": flag })).unwrap().flag);
        }
        for number in [json!(3), json!("3"), json!(3.0), json!("3.0")] {
            assert_eq!(judge(json!({ "title": "a", "flag": 0, "number": number })).unwrap().number, Some(3));
        }
        let nulls =
            judge(json!({ "title": "äöü", "flag": "no", "number": null, "extra": { "$gt": "" } })).unwrap();
        assert_eq!(nulls, Sample { title: "äöü".into(), flag: false, number: None, list: None });
    }

    #[test]
    fn wrong_types_and_broken_rules_have_the_words_of_the_contract() {
        for (field, value, expected) in [
            ("title", json!({ "$gt": "" }), "string_type"),
            ("title", json!(5), "string_type"),
            ("title", json!(null), "string_type"),
            ("title", json!(""), "string_too_short"),
            ("title", json!("a\0"), "value_error"),
            ("flag", json!("maybe"), "bool_parsing"),
            ("flag", json!(2), "bool_parsing"),
            ("flag", json!(null), "bool_parsing"),
            ("number", json!("x"), "int_parsing"),
            ("number", json!(""), "int_parsing"),
            ("number", json!([]), "int_parsing"),
            ("number", json!(-1), "greater_than_equal"),
            ("number", json!(u64::MAX), "less_than_equal"),
            ("number", json!(1e300), "less_than_equal"),
            ("number", json!(-1e300), "greater_than_equal"),
            ("list", json!("a"), "list_type"),
        ] {
            assert_eq!(kind(field, value.clone()), expected, "{field}: {value}");
        }
    }

    #[test]
    fn errors_never_repeat_the_value() {
        let Value::Object(object) =
            json!({ "title": "secretvalue", "flag": "secretvalue", "number": 123_454_321 })
        else {
            panic!("an object is judged")
        };
        let said = format!("{:?}", Fields::judge::<Sample>(object).unwrap_err());
        assert!(!said.contains("secretvalue") && !said.contains("123454321"), "{said}");
    }
}
