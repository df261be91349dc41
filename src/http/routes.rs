//! Every public route, in one table.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use tower_http::catch_panic::CatchPanicLayer;

use super::Policy::{Admins, Authors, Everyone, Owner, SignedIn};
use super::middleware::{self, access_log, gate};
use super::resources::{docs, health, me, navlinks, pages, projects, sections, stories, trash};
use super::route::{Route, Verb, get, write};
use super::{ApiError, AppState, CachedService, cache, openapi};

/// Changes to stories, projects and pages: more than anybody makes by hand.
const CONTENT_WRITES: u32 = 120;
/// Changes to what the site is made of.
const SITE_WRITES: u32 = 10;
const SITE_DELETES: u32 = 5;

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
    get("/docs", Everyone, |verb| on(verb, docs::page)),
    get("/docs/script.js", Everyone, |verb| on(verb, docs::script)),
    get("/docs/style.css", Everyone, |verb| on(verb, docs::style)),
    get("/openapi.json", Everyone, |verb| on(verb, openapi::serve)),
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
    get("/pages/{page_type}", Everyone, |verb| on(verb, pages::show)),
    write(Verb::Put, "/pages/{page_type}", Owner, CONTENT_WRITES, |verb| on(verb, pages::put)),
    write(Verb::Delete, "/pages/{page_type}", Owner, CONTENT_WRITES, |verb| on(verb, pages::delete)),
    get("/navlinks", Everyone, |verb| on(verb, navlinks::list)),
    write(Verb::Post, "/navlinks", Authors, SITE_WRITES, |verb| on(verb, navlinks::create)),
    get("/navlinks/{id}", Everyone, |verb| on(verb, navlinks::show)),
    write(Verb::Put, "/navlinks/{id}", Admins, SITE_WRITES, |verb| on(verb, navlinks::update)),
    write(Verb::Delete, "/navlinks/{id}", Admins, SITE_DELETES, |verb| on(verb, navlinks::delete)),
    get("/sections", Everyone, |verb| on(verb, sections::list)),
    write(Verb::Post, "/sections", Authors, SITE_WRITES, |verb| on(verb, sections::create)),
    get("/sections/{id}", Everyone, |verb| on(verb, sections::show)),
    write(Verb::Put, "/sections/{id}", Owner, SITE_WRITES, |verb| on(verb, sections::update)),
    write(Verb::Delete, "/sections/{id}", Owner, SITE_DELETES, |verb| on(verb, sections::delete)),
    // The original's code and its documents disagree on the name; both are in use.
    get("/sections/by-slug/{slug}", Everyone, |verb| on(verb, sections::show_by_slug)),
    get("/sections/slug/{slug}", Everyone, |verb| on(verb, sections::show_by_slug)),
    get("/trash", Admins, |verb| on(verb, trash::list)),
    write(Verb::Post, "/trash/{type}/{id}/restore", Admins, CONTENT_WRITES, |verb| on(verb, trash::restore)),
];

/// All routes.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    OPERATIONS.iter().chain(CONTENT)
}

/// The routes whose GET answers carry an `ETag`.
pub(super) fn content() -> &'static [Route] {
    CONTENT
}

/// The whole application, without a socket.
pub fn router(app: AppState) -> CachedService {
    let add = |router: Router<AppState>, route: &Route| {
        router.route(route.path, (route.handler)(route.verb.filter()))
    };
    let operations = OPERATIONS.iter().fold(Router::new(), add);
    let content =
        CONTENT.iter().fold(Router::new(), add).route_layer(from_fn_with_state(app.clone(), cache::through));
    let long_way = layered(operations.merge(content), app.clone());
    CachedService::new(app, long_way, template)
}

/// Puts what every request goes through around the routes.
fn layered(routes: Router<AppState>, app: AppState) -> Router {
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| answer_panic(&*panic)))
        .layer(from_fn_with_state(app.clone(), gate::guard))
        .layer(from_fn_with_state(app.clone(), middleware::limited))
        .layer(from_fn_with_state(app.clone(), access_log::deadline))
        .layer(from_fn_with_state(app.clone(), middleware::surround))
        .layer(from_fn_with_state(app.clone(), access_log::observe))
        .layer(from_fn(identify))
        .with_state(app)
}

/// Puts the row that a request matched into its extensions, for the layers and extractors.
async fn identify(mut request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>()
        && let Some(route) =
            routes().find(|route| route.path == path.as_str() && route.verb.is(request.method()))
    {
        request.extensions_mut().insert(route);
    }
    next.run(request).await
}

/// Returns the template that matches a path: the one with the fewest variable parts, as in the router.
fn template(path: &str) -> Option<&'static str> {
    let matching = routes().filter(|route| route.matches(path)).map(|route| route.path);
    matching.min_by_key(|template| template.matches('{').count())
}

/// 404, or the way to the same route without a slash at its end.
async fn no_such_route(State(_): State<AppState>, request: Request) -> Response {
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
    use axum::routing::{MethodFilter, MethodRouter};
    use tower::ServiceExt as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::http::{
        AppStateParts, CacheSettings, ConcurrencyLimit, MiddlewareSettings, MiddlewareState, ResponseCache,
    };

    /// Asks a route that is open in every state of the gate.
    async fn ask(
        handlers: MethodRouter<AppState>,
        request_timeout: Duration,
    ) -> (Response, serde_json::Value) {
        let app = AppState::from(AppStateParts {
            gate: Arc::default(),
            clock: Arc::new(SystemClock),
            request_timeout,
            middleware: MiddlewareState::new(MiddlewareSettings::default()),
            cache: Arc::new(ResponseCache::new(&CacheSettings::default())),
            concurrency: ConcurrencyLimit::new(1),
        });
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
