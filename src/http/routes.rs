//! Every public route, in one table.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use tower_http::catch_panic::CatchPanicLayer;

use super::{ApiError, App, cache, gate, health, navlinks, observe, pages, projects, sections, stories};

type Handlers = fn() -> MethodRouter<App>;

/// For machines that watch over this one.
const OPERATIONS: &[(&str, Handlers)] = &[
    ("/", || get(health::index)),
    ("/health", || get(health::health)),
    ("/livez", || get(health::health)),
    ("/readyz", || get(health::readyz)),
    ("/warmup", || get(health::warmup)),
];

/// What people read. GET answers carry an `ETag`.
const CONTENT: &[(&str, Handlers)] = &[
    ("/stories", || get(stories::list).post(stories::create)),
    ("/stories/{id}", || get(stories::show).put(stories::update).delete(stories::delete)),
    ("/stories/slug/{slug}", || get(stories::show_by_slug)),
    ("/pages/{page_type}", || get(pages::show).put(pages::put).delete(pages::delete)),
    ("/navlinks", || get(navlinks::list).post(navlinks::create)),
    ("/navlinks/{id}", || get(navlinks::show).put(navlinks::update).delete(navlinks::delete)),
    ("/projects", || get(projects::list).post(projects::create)),
    ("/projects/{id}", || get(projects::show).put(projects::update).delete(projects::delete)),
    ("/projects/slug/{slug}", || get(projects::show_by_slug)),
    ("/sections", || get(sections::list).post(sections::create)),
    ("/sections/{id}", || get(sections::show).put(sections::update).delete(sections::delete)),
    // The original's code and its documents disagree on the name; both are in use.
    ("/sections/by-slug/{slug}", || get(sections::show_by_slug)),
    ("/sections/slug/{slug}", || get(sections::show_by_slug)),
];

/// The templates of all routes.
pub const ROUTES: [&str; OPERATIONS.len() + CONTENT.len()] = {
    let mut all = [""; OPERATIONS.len() + CONTENT.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < OPERATIONS.len() { OPERATIONS[i].0 } else { CONTENT[i - OPERATIONS.len()].0 };
        i += 1;
    }
    all
};

/// The whole application, without a socket.
pub fn router(app: App) -> Router {
    let add = |router: Router<App>, (path, handlers): &(&str, Handlers)| router.route(path, handlers());
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
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
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
    ROUTES.into_iter().filter(fits).min_by_key(|template| template.matches('{').count())
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
    use crate::http::Gate;

    /// Asks a route that is open in every state of the gate.
    async fn ask(handlers: MethodRouter<App>, request_timeout: Duration) -> (Response, serde_json::Value) {
        let app = App { gate: Arc::new(Gate::default()), clock: Arc::new(SystemClock), request_timeout };
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
        let (response, body) = ask(get(panics), Duration::from_mins(1)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["detail"], "Internal Server Error");
        assert_eq!(body["request_id"], response.headers()["x-request-id"].to_str().unwrap());
        assert!(!body.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn a_request_without_end_is_a_503() {
        let (response, body) = ask(get(std::future::pending::<Response>), Duration::from_millis(1)).await;
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
