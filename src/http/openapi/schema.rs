use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::{Id, StringEnum};

/// A type of a field, in a request or a response.
pub(crate) trait ValueSchema {
    /// Returns its JSON schema.
    fn schema() -> Value;
}

impl<T: StringEnum> ValueSchema for T {
    fn schema() -> Value {
        json!({ "type": "string", "enum": T::WORDS })
    }
}

/// Declares the schemas of types.
macro_rules! schemas {
    ($($type:ty: $schema:tt,)+) => {$(
        impl ValueSchema for $type {
            fn schema() -> Value {
                json!($schema)
            }
        }
    )+};
}

schemas! {
    String: { "type": "string" },
    Id: { "type": "string" },
    bool: { "type": "boolean" },
    i64: { "type": "integer", "format": "int64" },
    f64: { "type": "number", "format": "double" },
    DateTime<Utc>: { "type": "string", "format": "date-time" },
}

impl<T: ValueSchema> ValueSchema for Vec<T> {
    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<T: ValueSchema> ValueSchema for Option<T> {
    fn schema() -> Value {
        nullable(T::schema())
    }
}

/// Returns the schema that admits null as well.
pub(crate) fn nullable(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// Returns the schema of an object.
pub(crate) fn object(
    docs: &[&str],
    properties: impl IntoIterator<Item = (&'static str, Value, bool)>,
    example: &Value,
) -> Value {
    let mut schema = json!({ "type": "object", "properties": {}, "examples": [example] });
    describe(&mut schema, docs);
    let mut required = Vec::new();
    for (name, property, is_required) in properties {
        schema["properties"][name] = property;
        if is_required {
            required.push(name);
        }
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Adds the lines of a doc comment as the description.
pub(crate) fn describe(schema: &mut Value, docs: &[&str]) {
    if let Some(description) = description(docs) {
        schema["description"] = Value::String(description);
    }
}

/// Joins the lines of a doc comment.
pub(crate) fn description(docs: &[&str]) -> Option<String> {
    let lines: Vec<_> = docs.iter().map(|line| line.trim()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
