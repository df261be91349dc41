//! JSON bodies of responses. The fields of a body are declared once, with [`response!`]; the declaration serializes
//! them and describes them in the OpenAPI document.

use std::cell::RefCell;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::domain::{Id, StringEnum};
use crate::http::ApiError;
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema::ValueSchema;

/// A type with a JSON form for clients. Implemented by [`response!`].
pub(crate) trait ResponseBody: Sized {
    /// The name of its schema.
    const NAME: &'static str;

    /// Serializes all fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Returns its schema.
    fn schema() -> Value;

    /// Adds its schema to an operation and returns a reference to it.
    fn describe(operation: &mut Operation) -> Value {
        operation.component(Self::NAME, Self::schema())
    }
}

/// Serializes a body in its form for clients.
pub(crate) struct Wire<T>(pub(crate) T);

impl<T: ResponseBody> Serialize for Wire<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A type of a field in a response.
pub(crate) trait WireValue: ValueSchema {
    /// Serializes the value in its form for clients.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// Serializes a value in its form for clients.
pub(crate) struct WireField<'a, T>(pub(crate) &'a T);

impl<T: WireValue> Serialize for WireField<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Implements [`WireValue`] for types that `serde` serializes as clients read them.
macro_rules! plain {
    ($($name:ty)+) => {$(
        impl WireValue for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Serialize::serialize(self, serializer)
            }
        }
    )+};
}

plain! { String bool i64 Vec<String> }

impl WireValue for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl WireValue for DateTime<Utc> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_timestamp(*self))
    }
}

impl<T: StringEnum> WireValue for T {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<T: WireValue> WireValue for Option<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// Returns the schema of the type that a function selects.
pub(crate) fn schema_of<S, T: ValueSchema>(_: fn(&S) -> &T) -> Value {
    T::schema()
}

/// Declares the fields of a response in their order:
///
/// ```ignore
/// response! {
///     /// The description of the schema.
///     Story as "Story" {
///         title,
///         created as "createdDate",
///     }
///     from { meta: Meta { created, id: _ }, draft: StoryDraft { title } };
///     example { "title": "First light", "createdDate": "2026-01-02T03:04:05Z" }
/// }
/// ```
///
/// Types come from the struct. `from` is the pattern of a struct whose fields are nested or not all sent; since it names
/// every field, a new one does not compile until it is listed. `Card of Project` declares a second form of a type.
macro_rules! response {
    (
        $(#[doc = $docs:literal])*
        $body:ident as $schema:literal {
            $($(#[doc = $field_docs:literal])* $field:ident $(as $name:literal)?,)*
        }
        example $example:tt
    ) => {
        $crate::http::respond::response! {
            @form [$($docs)*] $body () $body { $($field,)* } $schema $example
            $($(#[doc = $field_docs])* $field $(as $name)?,)*
        }
    };
    (
        $(#[doc = $docs:literal])*
        $body:ident as $schema:literal { $($fields:tt)* }
        from $pattern:tt;
        example $example:tt
    ) => {
        $crate::http::respond::response! {
            @form [$($docs)*] $body () $body $pattern $schema $example $($fields)*
        }
    };
    (
        $(#[doc = $docs:literal])*
        $body:ident of $source:ident as $schema:literal { $($fields:tt)* }
        from $pattern:tt;
        example $example:tt
    ) => {
        $(#[doc = $docs])*
        pub(crate) struct $body($source);

        impl From<$source> for $body {
            fn from(source: $source) -> Self {
                Self(source)
            }
        }

        $crate::http::respond::response! {
            @form [$($docs)*] $body (.0) $source $pattern $schema $example $($fields)*
        }
    };
    (
        @form [$($docs:literal)*] $body:ident ($($access:tt)*) $source:ident $pattern:tt $schema:literal $example:tt
        $($(#[doc = $field_docs:literal])* $field:ident $(as $name:literal)?,)*
    ) => {
        impl $crate::http::respond::ResponseBody for $body {
            const NAME: &'static str = $schema;

            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;

                let $source $pattern = &self $($access)*;
                let mut body = serializer.serialize_struct($schema, [$(stringify!($field)),*].len())?;
                $(body.serialize_field(
                    $crate::http::respond::response!(@name $field $($name)?),
                    &$crate::http::respond::WireField($field),
                )?;)*
                body.end()
            }

            fn schema() -> serde_json::Value {
                use $crate::http::openapi::schema::{describe, object};

                let properties = [$({
                    let mut property = $crate::http::respond::schema_of(|source: &$source| {
                        #[expect(unused_variables, reason = "the pattern names all fields")]
                        let $source $pattern = source;
                        $field
                    });
                    describe(&mut property, &[$($field_docs),*]);
                    ($crate::http::respond::response!(@name $field $($name)?), property, true)
                }),*];
                object(&[$($docs),*], properties, &serde_json::json!($example))
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}

pub(crate) use response;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON body. Replaces `axum::Json` for content: lists and items are mostly long strings, which `sonic_rs` escapes several
/// times as fast as `serde_json`, to the same bytes.
pub(crate) struct Json<T>(pub(crate) T);

thread_local! {
    /// The buffer in which bodies grow, so that each body is allocated once, in its final size.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The capacity that the buffer keeps between bodies.
const MAX_IDLE_CAPACITY: usize = 256 * 1024;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let written = BUFFER.with_borrow_mut(|buffer| {
            let written = sonic_rs::to_writer(&mut *buffer, &self.0).map(|()| Bytes::copy_from_slice(buffer));
            buffer.clear();
            buffer.shrink_to(MAX_IDLE_CAPACITY);
            written
        });
        match written {
            Ok(body) => ([(header::CONTENT_TYPE, JSON)], body).into_response(),
            Err(error) => ApiError::Internal(Box::new(error)).into_response(),
        }
    }
}

/// Formats a timestamp in UTC with `Z`. The fraction has six digits, or is left out if it is zero.
pub(crate) fn format_timestamp(at: DateTime<Utc>) -> String {
    let format = if at.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    at.to_rfc3339_opts(format, true)
}

/// Formats a timestamp in UTC without `Z`, as the health routes of the original API do.
pub(crate) fn format_naive_timestamp(at: DateTime<Utc>) -> String {
    format_timestamp(at).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// `sonic_rs` writes the same bytes as `serde_json`.
        #[test]
        fn strings_are_written_as_by_serde_json(text in "(\\PC|[\\x00-\\x7f]){0,200}") {
            prop_assert_eq!(sonic_rs::to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn fractions_have_six_digits_or_are_left_out() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        assert_eq!(format_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05Z");
        assert_eq!(format_timestamp(at(1_767_323_045_123)), "2026-01-02T03:04:05.123000Z");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_120)), "2026-01-02T03:04:05.120000");
    }
}
