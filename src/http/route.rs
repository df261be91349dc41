use axum::http::{Extensions, Method};
use axum::routing::{MethodFilter, MethodRouter};

use super::{AppState, Policy, RateLimit};

/// A method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reading; `HEAD` is answered too.
    Get,
    /// Making.
    Post,
    /// Changing.
    Put,
    /// Deleting.
    Delete,
}

impl Verb {
    /// As in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    pub(super) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    pub(super) fn is(self, method: &Method) -> bool {
        method == self.as_str() || (self == Self::Get && method == Method::HEAD)
    }
}

/// A row of the table: what is answered, to whom, how often. There is no route without a policy.
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// The template of the path.
    pub path: &'static str,
    /// Who may call it.
    pub policy: Policy,
    /// How often a client may call it, if that is counted.
    pub limit: Option<RateLimit>,
    pub(super) handler: fn(MethodFilter) -> MethodRouter<AppState>,
}

impl Route {
    /// Returns the row that a request matched, if there is one.
    pub(super) fn of(extensions: &Extensions) -> Option<&'static Self> {
        extensions.get::<&'static Self>().copied()
    }

    /// Returns whether the template of this row matches a path: each `{…}` stands for one segment that is not empty.
    pub(super) fn matches(&self, path: &str) -> bool {
        let fits = |(template, segment): (&str, &str)| {
            template == segment || (template.starts_with('{') && !segment.is_empty())
        };
        let (templates, segments) = (self.path.split('/'), path.split('/'));
        templates.clone().count() == segments.clone().count() && templates.zip(segments).all(fits)
    }
}

/// A row for reading.
pub(super) const fn get(
    path: &'static str,
    policy: Policy,
    handler: fn(MethodFilter) -> MethodRouter<AppState>,
) -> Route {
    Route { verb: Verb::Get, path, policy, limit: None, handler }
}

/// A row for writing, so many times in a minute.
pub(super) const fn write(
    verb: Verb,
    path: &'static str,
    policy: Policy,
    per_minute: u32,
    handler: fn(MethodFilter) -> MethodRouter<AppState>,
) -> Route {
    Route { verb, path, policy, limit: Some(RateLimit { name: "writes", per_minute }), handler }
}
