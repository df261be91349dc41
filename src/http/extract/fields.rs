//! Fields of requests. A field is declared once, as in `title: required().length(1..=200)`; the declaration parses it,
//! validates it and describes it in the OpenAPI document.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::value::{FieldValue, MAX_SAFE_INTEGER, RawValue, Rule, invalid};
use crate::domain::{PageRequest, Patch, Position, is_visible};
use crate::http::error::{FieldError, LocPart, MAX_ERRORS};
use crate::http::openapi::schema;
use crate::service::Write;

/// A type that is read from the fields of a request. Implemented by [`request!`].
pub(crate) trait FromFields: Sized + Send {
    /// Visits each field in order. Returns none if a field is invalid, or if fields are described rather than read.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// A type that is read from a JSON body, with its named schema.
pub(crate) trait RequestBody: FromFields {
    /// The name of the schema.
    const NAME: &'static str;
    /// The lines of its description.
    const DOCS: &'static [&'static str];

    /// Returns an example of a body.
    fn example() -> Value;
}

/// The fields of one request, while they are read or described.
pub(crate) struct Fields<'a> {
    source: Source<'a>,
    errors: Vec<FieldError>,
}

enum Source<'a> {
    Body(Map<String, Value>),
    Query(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    Description(Vec<FieldDoc>),
}

/// A field in the OpenAPI document.
pub(crate) struct FieldDoc {
    pub(crate) name: &'static str,
    pub(crate) schema: Value,
    pub(crate) description: Option<String>,
    pub(crate) required: bool,
    pub(crate) nullable: bool,
}

impl<'a> Fields<'a> {
    /// Reads a type from a JSON object.
    ///
    /// # Errors
    /// All invalid fields, in the order of their declarations.
    pub(crate) fn read_body<T: FromFields>(object: Map<String, Value>) -> Result<T, Vec<FieldError>> {
        Fields { source: Source::Body(object), errors: Vec::new() }.read()
    }

    /// Reads a type from a query string. `errors` were found in the names of the parameters.
    ///
    /// # Errors
    /// As [`Fields::read_body`], after `errors`.
    pub(crate) fn read_query<T: FromFields>(
        pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
        errors: Vec<FieldError>,
    ) -> Result<T, Vec<FieldError>> {
        Fields { source: Source::Query(pairs), errors }.read()
    }

    /// Describes the fields of a type.
    pub(crate) fn describe<T: FromFields>() -> Vec<FieldDoc> {
        let mut fields = Fields { source: Source::Description(Vec::new()), errors: Vec::new() };
        T::from_fields(&mut fields);
        let Source::Description(docs) = fields.source else { unreachable!("the source stays the same") };
        docs
    }

    fn read<T: FromFields>(mut self) -> Result<T, Vec<FieldError>> {
        let value = T::from_fields(&mut self);
        value.filter(|_| self.errors.is_empty()).ok_or(self.errors)
    }

    /// Returns the value that the client sent. The last one of a repeated query parameter counts.
    fn take(&mut self, name: &str) -> Option<RawValue<'a>> {
        match &mut self.source {
            Source::Body(object) => object.remove(name).map(RawValue::Json),
            Source::Query(pairs) => {
                let (_, value) = pairs.iter().rev().find(|(key, _)| key == name)?;
                Some(RawValue::Text(value.clone()))
            }
            Source::Description(_) => None,
        }
    }

    fn error(&mut self, name: &'static str, error: FieldError) {
        let part = if matches!(self.source, Source::Body(_)) { "body" } else { "query" };
        self.errors.push(error.within([part.into(), name.into()]));
    }
}

/// The declaration of a field or of a group of fields.
pub(crate) trait FieldSpec {
    /// The type of the value.
    type Value;

    /// Reads or describes the field. Returns none if it is invalid or described.
    fn visit(self, fields: &mut Fields<'_>, name: &'static str, docs: &[&str]) -> Option<Self::Value>;
}

/// A field of type `T` that is read as `V`, which also represents that it is absent or null.
pub(crate) struct Field<T, V> {
    absent: Option<V>,
    null: Option<V>,
    wrap: fn(T) -> V,
    rules: Vec<Rule>,
    default: Option<Value>,
}

fn field<T, V>(absent: Option<V>, null: Option<V>, wrap: fn(T) -> V) -> Field<T, V> {
    Field { absent, null, wrap, rules: Vec::new(), default: None }
}

/// Declares a field that must be present and not null.
pub(crate) fn required<T>() -> Field<T, T> {
    field(None, None, |value| value)
}

/// Declares a field that may be absent; then it has this value.
pub(crate) fn absent_is<T>(value: T) -> Field<T, T> {
    Field { absent: Some(value), ..required() }
}

/// Declares a field that may be absent; the OpenAPI document states its default.
pub(crate) fn default<T: Into<Value> + Clone>(value: T) -> Field<T, T> {
    Field { default: Some(value.clone().into()), ..absent_is(value) }
}

/// Declares a field that may be absent or null, which mean the same.
pub(crate) fn optional<T>() -> Field<T, Option<T>> {
    Field { null: Some(None), ..omittable() }
}

/// Declares a field that may be absent or null, which mean `absent`. Other values are converted with `wrap`.
pub(crate) fn optional_as<T, V: Clone>(absent: V, wrap: fn(T) -> V) -> Field<T, V> {
    field(Some(absent.clone()), Some(absent), wrap)
}

/// Declares a string that may be absent, null or empty, which mean the same.
pub(crate) fn optional_text() -> Field<String, Option<String>> {
    optional_as(None, |text: String| Some(text).filter(|text| !text.is_empty()))
}

/// Declares an id as [`optional_text`] declares a string.
pub(crate) fn optional_id() -> Field<String, Option<String>> {
    optional_text().id_or_empty()
}

/// Declares a field that may be absent but not null.
pub(crate) fn omittable<T>() -> Field<T, Option<T>> {
    field(Some(None), None, Some)
}

/// Declares an id that is kept if absent, and cleared by null or an empty string.
pub(crate) fn patch_id() -> Field<String, Patch<String>> {
    let patch = |id: String| if id.is_empty() { Patch::Clear } else { Patch::Set(id) };
    field(Some(Patch::Keep), Some(Patch::Clear), patch).id_or_empty()
}

/// Declares a string that is kept if absent, and cleared by null.
pub(crate) fn patch_text() -> Field<String, Patch<String>> {
    field(Some(Patch::Keep), Some(Patch::Clear), Patch::Set)
}

impl<T, V> Field<T, V> {
    fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

impl<V> Field<String, V> {
    /// Bounds the number of characters.
    pub(crate) fn length(self, bounds: RangeInclusive<u64>) -> Self {
        let (min, max) = bounds.into_inner();
        self.rule(Rule::Length(min, max))
    }

    /// Requires a character that is neither white space nor invisible.
    pub(crate) fn visible(self) -> Self {
        let holds = |text: &str| text.is_empty() || is_visible(text);
        self.check(holds, "must contain a visible character")
    }

    /// Requires a predicate; `msg` completes the sentence "The field …".
    pub(crate) fn check(self, holds: fn(&str) -> bool, msg: &'static str) -> Self {
        self.rule(Rule::Check(holds, msg))
    }

    /// States a pattern in the OpenAPI document.
    pub(crate) fn pattern(self, pattern: &'static str) -> Self {
        self.rule(Rule::Pattern(pattern))
    }

    /// States in the OpenAPI document that the value is an id or empty.
    fn id_or_empty(self) -> Self {
        self.pattern("^([0-9a-fA-F]{24})?$")
    }

    /// States all values in the OpenAPI document.
    pub(crate) fn one_of(self, values: &'static [&'static str]) -> Self {
        self.rule(Rule::Values(values))
    }
}

impl<V> Field<Vec<String>, V> {
    /// Bounds the number of elements, and the number of characters of each, one of which must be visible.
    pub(crate) fn items(self, max: u64, max_length: u64) -> Self {
        self.rule(Rule::Items(max)).rule(Rule::Each(max_length))
    }
}

impl<T, V> Field<Vec<T>, V> {
    /// Bounds the number of elements.
    pub(crate) fn at_most(self, max: usize) -> Self {
        self.rule(Rule::Items(max as u64))
    }
}

impl<V> Field<f64, V> {
    /// Requires a number that is not negative.
    pub(crate) fn not_negative(self) -> Self {
        self.rule(Rule::Range(0, MAX_SAFE_INTEGER))
    }
}

impl<V> Field<i64, V> {
    /// Bounds the number.
    pub(crate) fn range(self, bounds: RangeInclusive<i64>) -> Self {
        let (min, max) = bounds.into_inner();
        self.rule(Rule::Range(min, max))
    }
}

impl<T: FieldValue, V> Field<T, V> {
    fn read(self, input: Option<RawValue<'_>>) -> Result<V, Vec<FieldError>> {
        let input = match (input, self.null) {
            (None, _) => return self.absent.ok_or_else(|| vec![invalid("missing", "field required")]),
            (Some(RawValue::Json(Value::Null)), Some(null)) => return Ok(null),
            (Some(input), _) => input,
        };
        let value = T::parse(input)?;
        let errors: Vec<_> = self.rules.iter().flat_map(|rule| value.check(rule)).collect();
        if errors.is_empty() { Ok((self.wrap)(value)) } else { Err(errors) }
    }

    /// Reads a value that is not a field itself.
    pub(crate) fn parse_value(self, input: RawValue<'_>) -> Result<V, Vec<FieldError>> {
        self.read(Some(input))
    }

    fn doc(&self, name: &'static str, docs: &[&str]) -> FieldDoc {
        let mut schema = T::schema();
        for rule in &self.rules {
            match rule {
                Rule::Length(min, max) => {
                    if *min > 0 {
                        schema["minLength"] = json!(min);
                    }
                    schema["maxLength"] = json!(max);
                }
                Rule::Range(min, max) => {
                    schema["minimum"] = json!(min);
                    schema["maximum"] = json!(max);
                }
                Rule::Items(max) => schema["maxItems"] = json!(max),
                Rule::Each(max) => {
                    schema["items"]["minLength"] = json!(1);
                    schema["items"]["maxLength"] = json!(max);
                }
                Rule::Pattern(pattern) => schema["pattern"] = json!(pattern),
                Rule::Values(values) => schema["enum"] = json!(values),
                Rule::Check(..) => {}
            }
        }
        if let Some(default) = &self.default {
            schema["default"] = default.clone();
        }
        let (required, nullable) = (self.absent.is_none(), self.null.is_some());
        FieldDoc { name, schema, description: schema::description(docs), required, nullable }
    }
}

impl<T: FieldValue, V> FieldSpec for Field<T, V> {
    type Value = V;

    fn visit(self, fields: &mut Fields<'_>, name: &'static str, docs: &[&str]) -> Option<V> {
        if let Source::Description(all) = &mut fields.source {
            all.push(self.doc(name, docs));
            return None;
        }
        let input = fields.take(name);
        match self.read(input) {
            Ok(value) => Some(value),
            Err(errors) => {
                for error in errors {
                    fields.error(name, error);
                }
                None
            }
        }
    }
}

/// The parameters that select a part of a list: `limit`, `offset` and `cursor`.
pub(crate) struct PageFields {
    default: i64,
    max: i64,
}

/// Declares the parameters that every list has.
pub(crate) fn page(default: i64, max: i64) -> PageFields {
    PageFields { default, max }
}

impl FieldSpec for PageFields {
    type Value = PageRequest;

    fn visit(self, fields: &mut Fields<'_>, _: &'static str, _: &[&str]) -> Option<PageRequest> {
        let limit = default(self.default).range(1..=self.max);
        let limit = limit.visit(fields, "limit", &["Maximum number of items to return."]);
        let offset = default(0).range(0..=MAX_SAFE_INTEGER);
        let offset = offset.visit(fields, "offset", &["Number of items to skip."]);
        let docs = [
            "Position in the list: empty for its start, then the value in the `Link` whose `rel` is `next`. Cannot be",
            "combined with `offset`. The other parameters must stay the same, except `limit`.",
        ];
        let cursor = optional::<String>().pattern("^[A-Za-z0-9_-]*$").visit(fields, "cursor", &docs)?;
        if cursor.is_some() && fields.take("offset").is_some() {
            fields.error("cursor", invalid("value_error", "cannot be combined with offset"));
        }
        let position = match cursor {
            None => Position::Offset(offset?.unsigned_abs()),
            Some(cursor) => Position::Cursor(Some(cursor).filter(|cursor| !cursor.is_empty())),
        };
        Some(PageRequest { limit: limit?.unsigned_abs(), position })
    }
}

/// Reads a value that is an object.
pub(crate) fn read_object<T: FromFields>(input: RawValue<'_>) -> Result<T, Vec<FieldError>> {
    let RawValue::Json(Value::Object(object)) = input else {
        return Err(vec![invalid("model_attributes_type", "must be a JSON object")]);
    };
    Fields::read_body(object).map_err(|mut errors| {
        // The value is within a body: its own location comes in between.
        for error in &mut errors {
            error.loc.remove(0);
        }
        errors
    })
}

/// Reads a value that is a list.
pub(crate) fn read_elements<T: FieldValue>(input: RawValue<'_>) -> Result<Vec<T>, Vec<FieldError>> {
    let RawValue::Json(Value::Array(elements)) = input else {
        return Err(vec![invalid("list_type", "must be a list")]);
    };
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (index, element) in elements.into_iter().enumerate() {
        // The rest is not looked at: a body could have a million invalid elements.
        if errors.len() >= MAX_ERRORS {
            break;
        }
        match T::parse(RawValue::Json(element)) {
            Ok(value) => values.push(value),
            Err(invalid) => {
                errors.extend(invalid.into_iter().map(|error| error.within([LocPart::Index(index)])));
            }
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// Returns the schema of a value that is an object.
pub(crate) fn described<T: FromFields>() -> Value {
    let mut schema = schema::object(&[], properties::<T>(), &Value::Null);
    schema.as_object_mut().expect("a schema is an object").remove("examples");
    schema
}

/// Returns the properties of an object: name, schema, and whether it is required.
pub(super) fn properties<T: FromFields>() -> impl Iterator<Item = (&'static str, Value, bool)> {
    Fields::describe::<T>().into_iter().map(|field| {
        let mut property = if field.nullable { schema::nullable(field.schema) } else { field.schema };
        if let Some(description) = field.description {
            property["description"] = Value::String(description);
        }
        (field.name, property, field.required)
    })
}

/// Draft or patch, and the section that the item belongs to.
impl<T: FromFields> FromFields for Write<T> {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let content = T::from_fields(fields);
        let docs =
            ["A section for content of this type. A new item without one belongs to the first such section."];
        let section_id = optional_id().visit(fields, "section_id", &docs);
        Some(Self { fields: content?, section_id: section_id? })
    }
}

impl<T: RequestBody> RequestBody for Write<T> {
    const NAME: &'static str = T::NAME;
    const DOCS: &'static [&'static str] = T::DOCS;

    fn example() -> Value {
        T::example()
    }
}

/// Declares the fields of a type, in the order in which errors are reported:
///
/// ```ignore
/// request! {
///     /// The description of the schema.
///     StoryDraft as "StoryWrite" {
///         title: required().length(1..=200),
///     }
///     example { "title": "First light" }
/// }
/// ```
///
/// A field has the name and type of the struct's field, unless `as "name"` renames it. `=> value` builds the type from
/// the fields where it is not a struct of them. Query parameters have neither `as` nor an example.
macro_rules! request {
    (
        $(#[doc = $docs:literal])*
        $target:ty as $schema:literal { $($fields:tt)* }
        example $example:tt
        $(=> $value:expr)?
    ) => {
        impl $crate::http::extract::RequestBody for $target {
            const NAME: &'static str = $schema;
            const DOCS: &'static [&'static str] = &[$($docs),*];

            fn example() -> serde_json::Value {
                serde_json::json!($example)
            }
        }

        $crate::http::extract::request! { $target { $($fields)* } $(=> $value)? }
    };
    (
        $target:ty {
            $($(#[doc = $field_docs:literal])* $field:ident $(as $name:literal)?: $spec:expr,)*
        }
        $(=> $value:expr)?
    ) => {
        impl $crate::http::extract::FromFields for $target {
            fn from_fields(fields: &mut $crate::http::extract::Fields<'_>) -> Option<Self> {
                $(let $field = $crate::http::extract::FieldSpec::visit(
                    $spec,
                    fields,
                    $crate::http::extract::request!(@name $field $($name)?),
                    &[$($field_docs),*],
                );)*
                $(let $field = $field?;)*
                Some($crate::http::extract::request!(@value ($($field)*) $($value)?))
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@value ($($field:ident)*)) => { Self { $($field),* } };
    (@value ($($field:ident)*) $value:expr) => { $value };
}

/// Declares a struct of query parameters, with their types.
macro_rules! query {
    (
        $(#[doc = $docs:literal])*
        $name:ident {
            $($(#[doc = $field_docs:literal])* $field:ident $(as $parameter:literal)?: $type:ty = $spec:expr,)*
        }
    ) => {
        $(#[doc = $docs])*
        #[derive(Debug, PartialEq)]
        pub(crate) struct $name {
            $($(#[doc = $field_docs])* pub(crate) $field: $type,)*
        }

        $crate::http::extract::request! { $name { $($(#[doc = $field_docs])* $field $(as $parameter)?: $spec,)* } }
    };
}

pub(crate) use {query, request};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        title: String,
        flag: bool,
        number: Option<i64>,
        list: Option<Vec<String>>,
    }

    request! {
        Sample {
            title: required().length(1..=3),
            flag: required(),
            number: optional().range(0..=9),
            list: optional(),
        }
    }

    query! {
        Parameters {
            page: PageRequest = page(20, 100),
            flag: bool = default(false),
        }
    }

    fn read(body: Value) -> Result<Sample, Vec<(String, &'static str)>> {
        let Value::Object(object) = body else { panic!("the body is an object") };
        Fields::read_body(object).map_err(|errors| located(&errors))
    }

    fn located(errors: &[FieldError]) -> Vec<(String, &'static str)> {
        errors.iter().map(|error| (serde_json::to_string(&error.loc).unwrap(), error.kind)).collect()
    }

    fn kind(field: &str, value: Value) -> &'static str {
        let mut body = json!({ "title": "a", "flag": true });
        body[field] = value;
        read(body).unwrap_err()[0].1
    }

    fn query(query: &str) -> Result<Parameters, Vec<FieldError>> {
        Fields::read_query(url::form_urlencoded::parse(query.as_bytes()).collect(), Vec::new())
    }

    #[test]
    fn all_errors_are_reported_in_field_order() {
        let errors = read(json!({ "list": ["a", 1, null], "title": "four", "number": 1.5 })).unwrap_err();
        let expected = [
            ("[\"body\",\"title\"]", "string_too_long"),
            ("[\"body\",\"flag\"]", "missing"),
            ("[\"body\",\"number\"]", "int_from_float"),
            ("[\"body\",\"list\",1]", "string_type"),
            ("[\"body\",\"list\",2]", "string_type"),
        ];
        assert_eq!(errors, expected.map(|(loc, kind)| (loc.to_owned(), kind)));
        let errors = query("flag=maybe&offset=-1&limit=abc").unwrap_err();
        let expected = [
            ("[\"query\",\"limit\"]", "int_parsing"),
            ("[\"query\",\"offset\"]", "greater_than_equal"),
            ("[\"query\",\"flag\"]", "bool_parsing"),
        ];
        assert_eq!(located(&errors), expected.map(|(loc, kind)| (loc.to_owned(), kind)));
    }

    #[test]
    fn types_are_coerced_leniently() {
        for flag in [json!(true), json!("on"), json!("True"), json!(1), json!(1.0)] {
            assert!(read(json!({ "title": "a", "flag": flag })).unwrap().flag);
        }
        for number in [json!(3), json!("3"), json!(3.0), json!("3.0")] {
            assert_eq!(read(json!({ "title": "a", "flag": 0, "number": number })).unwrap().number, Some(3));
        }
        let nulls =
            read(json!({ "title": "äöü", "flag": "no", "number": null, "extra": { "$gt": "" } })).unwrap();
        assert_eq!(nulls, Sample { title: "äöü".into(), flag: false, number: None, list: None });
    }

    #[test]
    fn invalid_values_have_the_kinds_of_the_contract() {
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
    fn range_errors_name_the_bound() {
        for (text, kind) in [
            ("limit=0", "greater_than_equal"),
            ("limit=-1", "greater_than_equal"),
            ("limit=101", "less_than_equal"),
            ("limit=9223372036854775808", "less_than_equal"),
            ("limit=-9223372036854775809", "greater_than_equal"),
        ] {
            let expected = [("[\"query\",\"limit\"]".to_owned(), kind)];
            assert_eq!(located(&query(text).unwrap_err()), expected, "{text}");
        }
        let errors = query("offset=99999999999999999999").unwrap_err();
        assert_eq!(located(&errors), [("[\"query\",\"offset\"]".to_owned(), "less_than_equal")]);
    }

    #[test]
    fn last_repeated_parameter_counts_and_unknown_ones_are_ignored() {
        let parameters = query("limit=abc&limit=5&colour=red&limit%20=7").unwrap();
        let page = PageRequest { limit: 5, position: Position::Offset(0) };
        assert_eq!(parameters, Parameters { page, flag: false });
    }

    #[test]
    fn cursor_excludes_offset() {
        let page = |text| query(text).map(|parameters| parameters.page.position);
        assert_eq!(page("cursor=").unwrap(), Position::Cursor(None));
        assert_eq!(page("cursor=a").unwrap(), Position::Cursor(Some("a".to_owned())));
        let errors = page("cursor=a&offset=1").unwrap_err();
        assert_eq!(located(&errors), [("[\"query\",\"cursor\"]".to_owned(), "value_error")]);
    }

    #[test]
    fn errors_never_repeat_the_value() {
        let body = json!({ "title": "secretvalue", "flag": "secretvalue", "number": 123_454_321 });
        let Value::Object(object) = body else { panic!("the body is an object") };
        let mut errors = Fields::read_body::<Sample>(object).unwrap_err();
        for parameters in ["limit=secretvalue", "limit=123454321", "flag=secretvalue"] {
            errors.extend(query(parameters).unwrap_err());
        }
        let text = format!("{errors:?}");
        assert!(!text.contains("secretvalue") && !text.contains("123454321"), "{text}");
    }
}
