use utoipa::openapi::{Object, ObjectBuilder, Type};

/// The schema of a text that is one of a few words.
pub(crate) fn words(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}
