use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::http::ApiError;

/// An operation of the OpenAPI document, as far as a handler's signature describes it.
#[derive(Default)]
pub(crate) struct Operation {
    /// Query parameters.
    pub(crate) query: Vec<Value>,
    /// Request headers.
    pub(crate) headers: Vec<Value>,
    /// The schema of the request body.
    pub(crate) body: Option<Value>,
    /// The media type of the request body, if it is not JSON.
    pub(crate) body_type: Option<&'static str>,
    /// Responses that are not errors of the common form.
    pub(crate) responses: BTreeMap<u16, ResponseDoc>,
    /// Statuses of errors of the common form.
    pub(crate) errors: BTreeSet<u16>,
    /// Named schemas that the operation refers to.
    pub(crate) schemas: Map<String, Value>,
}

/// A response of the OpenAPI document.
#[derive(Clone)]
pub(crate) struct ResponseDoc {
    pub(crate) description: &'static str,
    pub(crate) content: Option<(&'static str, Value)>,
    /// Names of headers beside those of every response.
    pub(crate) headers: BTreeSet<&'static str>,
}

impl Operation {
    /// Adds a response; `content` is its media type and schema.
    pub(crate) fn response(
        &mut self,
        status: StatusCode,
        description: &'static str,
        content: Option<(&'static str, Value)>,
        headers: &[&'static str],
    ) {
        let headers = headers.iter().copied().collect();
        self.responses.insert(status.as_u16(), ResponseDoc { description, content, headers });
    }

    /// Adds a JSON response.
    pub(crate) fn json(&mut self, status: StatusCode, description: &'static str, schema: Value) {
        self.response(status, description, Some(("application/json", schema)), &[]);
    }

    /// Adds a named schema and returns a reference to it.
    pub(crate) fn component(&mut self, name: &str, schema: Value) -> Value {
        self.schemas.insert(name.to_owned(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// Adds a schema that `utoipa` derives, with those it refers to, and returns a reference to it.
    pub(crate) fn derived<T: ToSchema>(&mut self) -> Value {
        let mut schemas = Vec::new();
        T::schemas(&mut schemas);
        schemas.push((T::name().into_owned(), T::schema()));
        for (name, schema) in schemas {
            self.schemas.insert(name, serde_json::to_value(schema).expect("a schema is JSON"));
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }
}

/// A type that a handler takes.
pub(crate) trait Input {
    /// True if it rejects callers that the route's policy does not admit.
    const AUTHENTICATES: bool = false;

    /// Describes what it requires of a request, and the errors that it can return.
    fn describe(_: &mut Operation) {}
}

impl Input for Uri {}

/// A type that a handler returns.
pub(crate) trait Output {
    /// Describes the response.
    fn describe(operation: &mut Operation);
}

/// A response that the row of the route describes.
impl Output for Response {
    fn describe(_: &mut Operation) {}
}

impl<T: ToSchema> Output for Json<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.derived::<T>();
        operation.json(StatusCode::OK, "Success", schema);
    }
}

impl<T: Output> Output for Result<T, ApiError> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

/// A handler whose signature describes its operation: `I` are the types it takes, `O` is what it returns.
pub(crate) trait Endpoint<I, O> {
    /// True if one of its inputs enforces the route's policy.
    const AUTHENTICATES: bool;

    /// Describes the operation.
    fn describe(operation: &mut Operation);
}

/// Implements [`Endpoint`] for functions, by their number of arguments.
macro_rules! endpoints {
    ($(($($input:ident),*))+) => {$(
        impl<F, R, O, $($input,)*> Endpoint<($($input,)*), O> for F
        where
            F: Fn($($input),*) -> R,
            R: Future<Output = O>,
            O: Output,
            $($input: Input,)*
        {
            const AUTHENTICATES: bool = false $(|| $input::AUTHENTICATES)*;

            fn describe(operation: &mut Operation) {
                $($input::describe(operation);)*
                O::describe(operation);
            }
        }
    )+};
}

endpoints! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) }
