use axum::handler::Handler;
use axum::http::{Extensions, Method};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::openapi::operation::{Endpoint, Operation};
use super::{AppState, Policy, RateLimit};

/// A row of the route table: the one place where a route is declared. The router, the policy, the rate limit and the
/// OpenAPI document come from it. The row that a request matched travels in the request's extensions.
pub struct Route {
    /// The method; a `GET` route also answers `HEAD`.
    pub method: Method,
    /// The template of the path.
    pub path: &'static str,
    /// The callers that are admitted.
    pub policy: Policy,
    /// The rate limit of each client, if there is one.
    pub limit: Option<RateLimit>,
    pub(super) operation_id: &'static str,
    pub(super) summary: Option<&'static str>,
    pub(super) note: Option<&'static str>,
    /// Statuses of errors that do not follow from the other columns or from the handler's signature.
    pub(super) errors: &'static [u16],
    /// True if the response cache serves the route.
    pub(super) is_content: bool,
    pub(super) handler: MethodRouter<AppState>,
    pub(super) describe: Vec<fn(&mut Operation)>,
}

/// Declares constructors of rows, one for each method.
macro_rules! constructors {
    ($($name:ident $method:ident)+) => {$(
        #[doc = concat!("Declares a `", stringify!($method), "` route.")]
        pub(super) fn $name<H, T, I, O>(
            operation_id: &'static str,
            path: &'static str,
            policy: Policy,
            handler: H,
        ) -> Route
        where
            H: Handler<T, AppState> + Endpoint<I, O>,
            T: 'static,
        {
            assert!(policy == Policy::Everyone || H::AUTHENTICATES, "{path}: the handler has to take a Caller");
            Route {
                method: Method::$method,
                path,
                policy,
                limit: None,
                operation_id,
                summary: None,
                note: None,
                errors: &[],
                is_content: false,
                handler: on(MethodFilter::$method, handler),
                describe: vec![H::describe],
            }
        }
    )+};
}

constructors! { get GET post POST put PUT delete DELETE }

impl Route {
    /// Returns the row that a request matched, if there is one.
    pub(super) fn matched(extensions: &Extensions) -> Option<&'static Self> {
        extensions.get::<&'static Self>().copied()
    }

    /// Reports whether the row answers a method. `GET` includes `HEAD`.
    pub(super) fn answers(&self, method: &Method) -> bool {
        self.method == method || (self.method == Method::GET && method == Method::HEAD)
    }

    /// Reports whether the template of this row matches a path. Each `{…}` stands for one nonempty segment.
    pub(super) fn matches(&self, path: &str) -> bool {
        let fits = |(template, segment): (&str, &str)| {
            template == segment || (template.starts_with('{') && !segment.is_empty())
        };
        let (templates, segments) = (self.path.split('/'), path.split('/'));
        templates.clone().count() == segments.clone().count() && templates.zip(segments).all(fits)
    }

    /// Limits each client to `per_minute` requests.
    pub(super) fn limit(self, per_minute: u32) -> Self {
        Self { limit: Some(RateLimit { name: "writes", per_minute }), ..self }
    }

    /// Replaces the summary that is derived from the operation id.
    pub(super) fn summary(self, summary: &'static str) -> Self {
        Self { summary: Some(summary), ..self }
    }

    /// Adds a description to the operation.
    pub(super) fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Adds errors that follow from nothing else in the row.
    pub(super) fn errors(self, statuses: &'static [u16]) -> Self {
        Self { errors: statuses, ..self }
    }

    /// Describes what the handler's signature leaves open.
    pub(super) fn describe(mut self, describe: fn(&mut Operation)) -> Self {
        self.describe.push(describe);
        self
    }

    /// Returns what the handler's signature says of the operation.
    pub(super) fn operation(&self) -> Operation {
        let mut operation = Operation::default();
        self.describe.iter().for_each(|describe| describe(&mut operation));
        operation
    }

    /// Reports whether every caller gets the same response, so that it is cached and revalidated.
    pub(super) fn is_public_read(&self) -> bool {
        self.is_content && self.method == Method::GET && self.policy == Policy::Everyone
    }
}
