//! Items in their JSON form, and the responses with one of them.
//!
//! The fields of a form are declared once, with [`response!`]; the declaration serializes them and describes them in the
//! OpenAPI document.

use std::cell::RefCell;

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::domain::{Id, Revised, Revision, SlugLookup, StringEnum};
use crate::html::Removed;
use crate::http::ApiError;
use crate::http::openapi::operation::{Operation, Output};
use crate::http::openapi::schema::ValueSchema;
use crate::service::Written;

const X_CONTENT_SANITIZED: HeaderName = HeaderName::from_static("x-content-sanitized");
/// The number of names in the header; the others are counted together.
const MAX_NAMES: usize = 20;
const OK: u16 = 200;
const CREATED: u16 = 201;

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

plain! { String bool i64 f64 Vec<String> }

/// A time that is sent in UTC without `Z`, as the original sends some.
pub(crate) struct NaiveTime(pub(crate) DateTime<Utc>);

impl ValueSchema for NaiveTime {
    fn schema() -> Value {
        serde_json::json!({ "type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?$" })
    }
}

impl WireValue for NaiveTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_naive_timestamp(self.0))
    }
}

/// A body within another one.
pub(crate) struct Nested<T>(pub(crate) T);

impl<T: ResponseBody> ValueSchema for Nested<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: ResponseBody> WireValue for Nested<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: ResponseBody> WireValue for Vec<Nested<T>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(WireField))
    }
}

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

/// A body without an entity tag.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: ResponseBody> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        Json(Wire(self.0)).into_response()
    }
}

impl<T: ResponseBody> Output for Body<T> {
    fn describe(operation: &mut Operation) {
        let schema = T::describe(operation);
        operation.json(StatusCode::OK, "Success", schema);
    }
}

/// A JSON list, whole.
pub(crate) struct Array<T>(pub(crate) Vec<T>);

impl<T: ResponseBody> IntoResponse for Array<T> {
    fn into_response(self) -> Response {
        Json(self.0.into_iter().map(Wire).collect::<Vec<_>>()).into_response()
    }
}

impl<T: ResponseBody> Output for Array<T> {
    fn describe(operation: &mut Operation) {
        let element = T::describe(operation);
        let schema = serde_json::json!({ "type": "array", "items": element });
        operation.json(StatusCode::OK, "Success", schema);
    }
}

/// An item with its entity tag.
pub(crate) struct Item<T, const STATUS: u16 = OK>(Revised<T>);

/// An item that was created.
pub(crate) type Created<T> = Item<T, CREATED>;

impl<T, const STATUS: u16> From<Revised<T>> for Item<T, STATUS> {
    fn from(item: Revised<T>) -> Self {
        Self(item)
    }
}

impl<T: ResponseBody, const STATUS: u16> IntoResponse for Item<T, STATUS> {
    fn into_response(self) -> Response {
        let Self(Revised { item, revision }) = self;
        (status(STATUS), [(header::ETAG, etag(&revision))], Json(Wire(item))).into_response()
    }
}

impl<T: ResponseBody, const STATUS: u16> Output for Item<T, STATUS> {
    fn describe(operation: &mut Operation) {
        let content = Some(("application/json", T::describe(operation)));
        let description = if STATUS == CREATED { "The new item" } else { "The item" };
        operation.response(status(STATUS), description, content, &["ETag"]);
    }
}

/// An item whose content was sanitized when it was written.
pub(crate) struct Sanitized<T, const STATUS: u16 = OK>(Written<T>);

/// An item with sanitized content that was created.
pub(crate) type CreatedSanitized<T> = Sanitized<T, CREATED>;

impl<T, const STATUS: u16> From<Written<T>> for Sanitized<T, STATUS> {
    fn from(written: Written<T>) -> Self {
        Self(written)
    }
}

impl<T: ResponseBody, const STATUS: u16> IntoResponse for Sanitized<T, STATUS> {
    fn into_response(self) -> Response {
        let Self(Written { revised, removed }) = self;
        with_sanitized_header(Item::<T, STATUS>(revised).into_response(), &removed)
    }
}

impl<T: ResponseBody, const STATUS: u16> Output for Sanitized<T, STATUS> {
    fn describe(operation: &mut Operation) {
        Item::<T, STATUS>::describe(operation);
        operation.responses.entry(STATUS).and_modify(|response| {
            response.headers.insert("X-Content-Sanitized");
        });
    }
}

/// The item with a slug, or a redirect to its current slug.
pub(crate) enum ItemAtSlug<T> {
    Item(Item<T>),
    Redirect(Response),
}

impl<T> ItemAtSlug<T> {
    /// Answers a request whose path ends with the slug.
    pub(crate) fn new(uri: &Uri, lookup: SlugLookup<T>) -> Self {
        match lookup {
            SlugLookup::Current(item) => Self::Item(item.into()),
            SlugLookup::Renamed(slug) => {
                let (collection, _) = uri.path().rsplit_once('/').expect("a path begins with a slash");
                Self::Redirect(permanent_redirect(collection, &slug))
            }
        }
    }
}

impl<T: ResponseBody> IntoResponse for ItemAtSlug<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Item(item) => item.into_response(),
            Self::Redirect(response) => response,
        }
    }
}

impl<T: ResponseBody> Output for ItemAtSlug<T> {
    fn describe(operation: &mut Operation) {
        Item::<T>::describe(operation);
        let description = "The item has another slug now, which `Location` names";
        operation.response(StatusCode::MOVED_PERMANENTLY, description, None, &["Location"]);
    }
}

/// An empty response after a deletion. As in the original, its type is JSON.
pub(crate) struct Deleted;

impl IntoResponse for Deleted {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, json)]).into_response()
    }
}

impl Output for Deleted {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::NO_CONTENT, "The item is deleted", None, &[]);
    }
}

/// An empty response after a change of several items.
pub(crate) struct Changed;

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        Deleted.into_response()
    }
}

impl Output for Changed {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::NO_CONTENT, "The items are changed", None, &[]);
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a constant of this module")
}

/// Returns the entity tag of a revision.
pub(crate) fn etag(revision: &Revision) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("a revision consists of letters and digits")
}

/// Redirects (301) to the current slug of an item. Must not be cached: another item may get the old slug.
fn permanent_redirect(collection: &str, slug: &str) -> Response {
    let location = format!("{collection}/{}", encode_segment(slug));
    let location = HeaderValue::from_str(&location).expect("percent-encoded ASCII is valid in a header");
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// Percent-encodes a path segment. Old documents have slugs of any kind.
fn encode_segment(slug: &str) -> String {
    url::form_urlencoded::byte_serialize(slug.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Adds a header that names the elements and attributes that were removed from the content, with their numbers:
/// `script;1, onclick;2`. Adds none if nothing was removed.
fn with_sanitized_header(mut response: Response, removed: &[Removed]) -> Response {
    if removed.is_empty() {
        return response;
    }
    let (named, others) = removed.split_at(removed.len().min(MAX_NAMES));
    let mut parts: Vec<String> = named.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let count = others.iter().map(|removed| removed.count).sum();
        parts.push(Removed { name: "more".to_owned(), count }.to_string());
    }
    let value = HeaderValue::from_str(&parts.join(", ")).expect("names of removed elements are ASCII");
    response.headers_mut().insert(X_CONTENT_SANITIZED, value);
    response
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

    #[test]
    fn slugs_are_encoded_as_one_path_segment() {
        let to = |slug| {
            permanent_redirect("/stories/slug", slug).headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a-2"), "/stories/slug/a-2");
        assert_eq!(to("a b/../+\r\né"), "/stories/slug/a%20b%2F..%2F%2B%0D%0A%C3%A9");
    }

    #[test]
    fn sanitized_header_is_bounded_and_absent_if_nothing_was_removed() {
        let header = |count: usize| {
            let removed = |n| Removed { name: format!("x{n}"), count: 2 };
            let response =
                with_sanitized_header(().into_response(), &(0..count).map(removed).collect::<Vec<_>>());
            response.headers().get(X_CONTENT_SANITIZED).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(0), None);
        assert_eq!(header(2).unwrap(), "x0;2, x1;2");
        assert!(header(23).unwrap().ends_with("x19;2, more;6"));
    }
}
