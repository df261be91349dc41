//! Every public route, in one table.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use tower_http::catch_panic::CatchPanicLayer;

use super::Policy::{Authors, Everyone, Owner, SignedIn};
use super::{
    ApiError, App, Limit, Policy, cache, edge, gate, health, me, observe, projects, sections, stories,
};

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

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    fn is(self, method: &Method) -> bool {
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
    pub limit: Option<Limit>,
    handler: fn(MethodFilter) -> MethodRouter<App>,
}

/// A row for reading.
const fn get(path: &'static str, policy: Policy, handler: fn(MethodFilter) -> MethodRouter<App>) -> Route {
    Route { verb: Verb::Get, path, policy, limit: None, handler }
}

/// A row for writing, so many times in a minute.
const fn write(
    verb: Verb,
    path: &'static str,
    policy: Policy,
    per_minute: u32,
    handler: fn(MethodFilter) -> MethodRouter<App>,
) -> Route {
    Route { verb, path, policy, limit: Some(Limit { name: "writes", per_minute }), handler }
}

/// Changes to stories: more than anybody makes by hand.
const CONTENT_WRITES: u32 = 120;

/// For machines that watch over this one.
const OPERATIONS: &[Route] = &[
    get("/", Everyone, |verb| on(verb, health::index)),
    get("/health", Everyone, |verb| on(verb, health::health)),
    get("/livez", Everyone, |verb| on(verb, health::health)),
    get("/readyz", Everyone, |verb| on(verb, health::readyz)),
    get("/warmup", Everyone, |verb| on(verb, health::warmup)),
];

/// What people read. GET answers carry an `ETag`.
const CONTENT: &[Route] = &[
    get("/me", SignedIn, |verb| on(verb, me::show)),
    get("/stories", Everyone, |verb| on(verb, stories::list)),
    write(Verb::Post, "/stories", Authors, CONTENT_WRITES, |verb| on(verb, stories::create)),
    get("/stories/{id}", SignedIn, |verb| on(verb, stories::show)),
    write(Verb::Put, "/stories/{id}", Owner, CONTENT_WRITES, |verb| on(verb, stories::update)),
    write(Verb::Delete, "/stories/{id}", Owner, CONTENT_WRITES, |verb| on(verb, stories::delete)),
    get("/stories/slug/{slug}", Everyone, |verb| on(verb, stories::show_by_slug)),
    get("/projects", Everyone, |verb| on(verb, projects::list)),
    write(Verb::Post, "/projects", Authors, CONTENT_WRITES, |verb| on(verb, projects::create)),
    get("/projects/{id}", SignedIn, |verb| on(verb, projects::show)),
    write(Verb::Put, "/projects/{id}", Owner, CONTENT_WRITES, |verb| on(verb, projects::update)),
    write(Verb::Delete, "/projects/{id}", Owner, CONTENT_WRITES, |verb| on(verb, projects::delete)),
    get("/projects/slug/{slug}", Everyone, |verb| on(verb, projects::show_by_slug)),
    get("/sections", Everyone, |verb| on(verb, sections::list)),
    get("/sections/{id}", Everyone, |verb| on(verb, sections::show)),
    // The original's code and its documents disagree on the name; both are in use.
    get("/sections/by-slug/{slug}", Everyone, |verb| on(verb, sections::show_by_slug)),
    get("/sections/slug/{slug}", Everyone, |verb| on(verb, sections::show_by_slug)),
];

/// All routes.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    OPERATIONS.iter().chain(CONTENT)
}

/// The whole application, without a socket.
pub fn router(app: App) -> Router {
    let add =
        |router: Router<App>, route: &Route| router.route(route.path, (route.handler)(route.verb.filter()));
    let operations = OPERATIONS.iter().fold(Router::new(), add);
    let content = CONTENT.iter().fold(Router::new(), add).route_layer(from_fn(cache::conditional));
    layered(operations.merge(content), app)
}

/// Puts what every request goes through around the routes.
fn layered(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| answer_panic(&*panic)))
        .layer(from_fn_with_state(app.clone(), gate::guard))
        .layer(from_fn_with_state(app.clone(), edge::limited))
        .layer(from_fn_with_state(app.clone(), observe::deadline))
        .layer(from_fn_with_state(app.clone(), edge::surround))
        .layer(from_fn(observe::observe))
        .with_state(app)
}

/// The row that answers a request.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let template = template(path)?;
    routes().find(|route| route.path == template && route.verb.is(method))
}

/// The route that a path belongs to.
pub(super) fn template(path: &str) -> Option<&'static str> {
    let fits = |template: &&str| {
        let (mut parts, mut wanted) = (path.split('/'), template.split('/'));
        loop {
            match (parts.next(), wanted.next()) {
                (None, None) => return true,
                (Some(part), Some(want)) if part == want || (want.starts_with('{') && !part.is_empty()) => {}
                _ => return false,
            }
        }
    };
    // A name goes before a variable.
    routes().map(|route| route.path).filter(fits).min_by_key(|template| template.matches('{').count())
}

/// 404, or the way to the same route without a slash at its end.
async fn no_such_route(State(_): State<App>, request: Request) -> Response {
    let uri = request.uri();
    if let Some(without) = uri.path().strip_suffix('/')
        && without != "/"
        && template(without).is_some()
    {
        let location = uri.query().map_or_else(|| without.to_owned(), |query| format!("{without}?{query}"));
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    }
    ApiError::NotFound("Not Found".to_owned()).into_response()
}

fn answer_panic(panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned());
    ApiError::Internal(format!("panicked: {text}").into()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use tower::ServiceExt as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::http::{Edge, EdgeSettings};

    /// Asks a route that is open in every state of the gate.
    async fn ask(handlers: MethodRouter<App>, request_timeout: Duration) -> (Response, serde_json::Value) {
        let edge = Arc::new(Edge::new(EdgeSettings::default()));
        let app = App { gate: Arc::default(), clock: Arc::new(SystemClock), request_timeout, edge };
        let router = layered(Router::new().route("/livez", handlers), app);
        let request = Request::builder().uri("/livez").body(Body::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
        (Response::from_parts(parts, Body::empty()), body)
    }

    async fn panics() -> Response {
        panic!("hunter2")
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_text() {
        let (response, body) = ask(on(MethodFilter::GET, panics), Duration::from_mins(1)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["detail"], "Internal Server Error");
        assert_eq!(body["request_id"], response.headers()["x-request-id"].to_str().unwrap());
        assert!(!body.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn a_request_without_end_is_a_503() {
        let (response, body) =
            ask(on(MethodFilter::GET, std::future::pending::<Response>), Duration::from_millis(1)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(body["detail"], "the request took too long");
    }

    #[test]
    fn paths_find_their_templates() {
        assert_eq!(template("/"), Some("/"));
        assert_eq!(template("/sections"), Some("/sections"));
        assert_eq!(template("/sections/abc"), Some("/sections/{id}"));
        assert_eq!(template("/sections/slug/blog"), Some("/sections/slug/{slug}"));
        for none in ["", "/sections/", "//sections", "/sections/a/b", "/sections/slug/", "/nothing"] {
            assert_eq!(template(none), None, "{none:?}");
        }
    }
}
