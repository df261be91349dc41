use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::fields::{Fields, FromFields};
use super::value::invalid;
use crate::http::error::FieldError;
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState, Route};

/// Errors repeat the name of a parameter up to this length.
const MAX_NAME: usize = 64;

/// Query parameters, parsed and validated.
pub(crate) struct ValidQuery<T>(pub(crate) T);

impl<T: FromFields> FromRequestParts<AppState> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        read(parts.uri.query().unwrap_or_default()).map(Self).map_err(ApiError::Validation)
    }
}

impl<T: FromFields> Input for ValidQuery<T> {
    fn describe(operation: &mut Operation) {
        operation.errors.insert(422);
        for field in Fields::describe::<T>() {
            if field.name == "cursor" {
                // The cursor of another list, or of this one with other parameters.
                operation.errors.insert(400);
            }
            let mut parameter = json!({
                "name": field.name, "in": "query", "required": field.required, "schema": field.schema,
            });
            if let Some(description) = field.description {
                parameter["description"] = Value::String(description);
            }
            operation.query.push(parameter);
        }
    }
}

/// Reads a query string.
///
/// # Errors
/// All invalid parameters: first those whose names look like operators, then the others in field order.
pub(super) fn read<T: FromFields>(query: &str) -> Result<T, Vec<FieldError>> {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let mut names = Vec::<&str>::new();
    for (name, _) in &pairs {
        if Route::is_operator(name) && !names.contains(&&**name) {
            names.push(name);
        }
    }
    let error = |name: &&str| {
        let name: String = name.chars().take(MAX_NAME).collect();
        let msg = "parameter names must not contain brackets or start with a dollar sign";
        invalid("value_error", msg).within(["query".into(), name.as_str().into()])
    };
    let errors = names.iter().map(error).collect();
    Fields::read_query(pairs, errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::{default, query};

    query! {
        Flag {
            flag: bool = default(false),
        }
    }

    #[test]
    fn operator_names_are_rejected_before_fields() {
        let errors = read::<Flag>("flag=maybe&slug[$ne]=x&slug[$ne]=y&$where=1").unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.loc[1].name().unwrap()).collect();
        assert_eq!(names, ["slug[$ne]", "$where", "flag"]);
    }
}
