//! Extractors. Their rejections are `ApiError`s, and each describes its part of the operation.

/// Fields of requests: parsed, validated and described from one declaration.
mod fields;
/// The checks of the fuzz targets of bodies and query strings.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// The head of a request: the caller, parameters of the path, preconditions.
mod head;
/// JSON bodies.
mod json;
/// Multipart bodies.
mod multipart;
/// Query parameters.
mod query;
/// Types of fields.
mod value;

pub(crate) use fields::{
    Field, FieldSpec, Fields, FromFields, RequestBody, absent_is, default, described, omittable, optional,
    optional_as, optional_id, optional_text, page, patch_id, patch_text, query, read_elements, read_object,
    request, required,
};
pub(crate) use head::{Auth, AuthorOrWorker, IfMatch, PathParam, TargetParams, TypedId};
pub(crate) use json::{Authorized, Create, Question, Signed, WorkerBody};
pub(crate) use multipart::{Upload, UploadForm};
pub(crate) use query::ValidQuery;
pub(crate) use value::{FieldValue, MAX_SAFE_INTEGER, RawValue, Rule, check_length, invalid};
