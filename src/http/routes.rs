//! The route table, and the application that is built from it.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::http::{Extensions, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use tower_http::catch_panic::CatchPanicLayer;

use super::cache::{self, ContentLoader};
use super::openapi::operation::{Endpoint, Operation};
use super::resources::{
    articles, docs, engagement, health, library, me, media, navlinks, pages, sections, trash, upload,
    video_jobs,
};
use super::{
    ApiError, CachedService, ConcurrencyLimit, Gate, MiddlewareState, RateLimit, ResponseCache, middleware,
    openapi,
};
use crate::clock::Clock;
use crate::domain::{Authorship, Caller, Project, Role, Story};
use crate::service;
use Policy::{Admins, Authors, Everyone, Owner, OwnerAlone, SignedIn};

/// The state of handlers and layers. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<AppStateParts>);

impl From<AppStateParts> for AppState {
    fn from(parts: AppStateParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = AppStateParts;

    fn deref(&self) -> &AppStateParts {
        &self.0
    }
}

/// The contents of an [`AppState`].
pub struct AppStateParts {
    /// The gate, with the services behind it.
    pub gate: Arc<Gate>,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The maximum duration of a request.
    pub request_timeout: Duration,
    /// Allowed origins, trusted proxies and rate limits.
    pub middleware: MiddlewareState,
    /// The response cache.
    pub cache: Arc<ResponseCache>,
    /// The limit of concurrent requests.
    pub concurrency: ConcurrencyLimit,
}

/// The callers that a route admits. Every route has a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Everyone. The response may depend on the caller.
    Everyone,
    /// Authenticated callers.
    SignedIn,
    /// Administrators and authors; every authenticated caller if authorship is open.
    Authors,
    /// Administrators and the owner of the item, which the service decides.
    Owner,
    /// The owner of the item alone, which the service decides.
    OwnerAlone,
    /// Administrators.
    Admins,
}

impl Policy {
    /// Rejects roles that are never admitted.
    pub(super) fn check_role(self, caller: &Caller, authorship: Authorship) -> Result<(), ApiError> {
        match self {
            Self::Authors if !caller.may_create(authorship) => Err(service::Error::MayNotCreate.into()),
            Self::Admins if caller.role != Role::Admin => {
                Err(ApiError::Forbidden("this is for administrators only".to_owned()))
            }
            Self::Everyone
            | Self::SignedIn
            | Self::Authors
            | Self::Owner
            | Self::OwnerAlone
            | Self::Admins => Ok(()),
        }
    }
}

/// A row of the route table: the one place where a route is declared. The router, the policy, the rate limit and the
/// OpenAPI document come from it. The row that a request matched travels in the request's extensions.
pub struct Route {
    /// The method; a `GET` route also answers `HEAD`.
    pub method: Method,
    /// The template of the path.
    pub path: &'static str,
    /// Another path with the same parameters.
    pub alias: Option<&'static str>,
    /// The callers that are admitted.
    pub policy: Policy,
    /// The rate limit of each client and path, if there is one.
    pub limit: Option<RateLimit>,
    /// The rate limit of each user, for all paths of the row together, if there is one.
    pub user_limit: Option<RateLimit>,
    pub(super) operation_id: &'static str,
    pub(super) summary: Option<&'static str>,
    pub(super) note: Option<&'static str>,
    /// Statuses of errors that do not follow from the other columns or from the handler's signature.
    pub(super) errors: &'static [u16],
    /// True if the response cache serves the route.
    is_content: bool,
    /// True if the body is an upload, which takes as long as it is large.
    pub(super) is_upload: bool,
    /// True if the last part of the path stands for any number of segments.
    is_open: bool,
    handler: MethodRouter<AppState>,
    describe: Vec<fn(&mut Operation)>,
    parameters: OnceLock<Vec<String>>,
}

/// Declares constructors of rows, one for each method.
macro_rules! constructors {
    ($($name:ident $method:ident)+) => {$(
        #[doc = concat!("Declares a `", stringify!($method), "` route.")]
        fn $name<H, T, I, O>(
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
                alias: None,
                policy,
                limit: None,
                user_limit: None,
                operation_id,
                summary: None,
                note: None,
                errors: &[],
                is_content: false,
                is_upload: false,
                is_open: false,
                handler: on(MethodFilter::$method, handler),
                describe: vec![H::describe],
                parameters: OnceLock::new(),
            }
        }
    )+};
}

constructors! { get GET post POST put PUT patch PATCH delete DELETE options OPTIONS }

impl Route {
    /// Returns the row that a request matched, if there is one.
    pub(super) fn matched(extensions: &Extensions) -> Option<&'static Self> {
        extensions.get::<&'static Self>().copied()
    }

    /// Returns the row that answers a method and a path, if it needs a permit of the [`ConcurrencyLimit`].
    pub(super) fn find_limited<'a>(table: &'a [Self], method: &Method, path: &str) -> Option<&'a Self> {
        Self::find(table, method, path).filter(|route| route.is_content)
    }

    /// Reports whether the row answers a method. `GET` includes `HEAD`.
    fn answers(&self, method: &Method) -> bool {
        self.method == method || (self.method == Method::GET && method == Method::HEAD)
    }

    /// Returns the templates of the paths.
    fn templates(&self) -> impl Iterator<Item = &'static str> {
        [self.path].into_iter().chain(self.alias)
    }

    /// Returns the paths in the syntax of the router.
    fn router_paths(&self) -> impl Iterator<Item = Cow<'static, str>> {
        self.templates()
            .map(|path| if self.is_open { Cow::Owned(path.replace('{', "{*")) } else { Cow::Borrowed(path) })
    }

    /// Reports whether the response cache serves the route.
    pub(super) fn is_content(&self) -> bool {
        self.is_content
    }

    /// Reports whether the last part of the path stands for any number of segments.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Reports whether a template of this row matches a path. Each `{…}` stands for one nonempty segment.
    fn matches(&self, path: &str) -> bool {
        if self.is_open {
            let (prefix, _) = self.path.split_once('{').expect("an open path ends with a variable part");
            return path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
        }
        self.templates().any(|template| {
            let mut segments = path.split('/');
            let mut fits = |template: &str| {
                let segment = segments.next();
                segment.is_some_and(|segment| {
                    template == segment || (template.starts_with('{') && !segment.is_empty())
                })
            };
            template.split('/').all(&mut fits) && segments.next().is_none()
        })
    }

    /// Returns the row that answers a method and a path: of several the one with the fewest variable parts, as in the
    /// router.
    pub(super) fn find<'a>(routes: &'a [Self], method: &Method, path: &str) -> Option<&'a Self> {
        let matching = routes.iter().filter(|route| route.answers(method) && route.matches(path));
        matching.min_by_key(|route| route.path.matches('{').count())
    }

    /// Returns the names of the query parameters, in the order of their declaration.
    pub(super) fn parameters(&self) -> &[String] {
        self.parameters.get_or_init(|| {
            let query = self.operation().query;
            query.iter().filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect()
        })
    }

    /// Reports whether the name of a query parameter looks like an operator of a query language.
    pub(super) fn is_operator(name: &str) -> bool {
        name.starts_with('$') || name.contains(['[', ']'])
    }

    /// Limits each client to `per_minute` requests.
    fn limit(self, per_minute: u32) -> Self {
        let name = if self.method == Method::GET { "reads" } else { "writes" };
        Self { limit: Some(RateLimit { name, per_minute }), ..self }
    }

    /// Excepts the route from the request timeout: its body is an upload.
    fn upload(self) -> Self {
        Self { is_upload: true, ..self }
    }

    /// Limits each user to `per_minute` requests, whatever the path.
    fn limit_user(self, per_minute: u32) -> Self {
        Self { user_limit: Some(RateLimit { name: "user-writes", per_minute }), ..self }
    }

    /// Also serves the row at its path without this prefix.
    fn also_without(self, prefix: &str) -> Self {
        Self { alias: self.path.strip_prefix(prefix), ..self }
    }

    /// Lets the variable part of the path stand for any number of segments.
    fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Replaces the summary that is derived from the operation id.
    fn summary(self, summary: &'static str) -> Self {
        Self { summary: Some(summary), ..self }
    }

    /// Adds a description to the operation.
    fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Adds errors that follow from nothing else in the row.
    fn errors(self, statuses: &'static [u16]) -> Self {
        Self { errors: statuses, ..self }
    }

    /// Describes what the handler's signature leaves open.
    fn describe(mut self, describe: fn(&mut Operation)) -> Self {
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

/// Writes per minute and client to stories, projects and pages: more than a person makes by hand.
const CONTENT_WRITES: u32 = 120;
/// Writes per minute and client to sections and navigation links.
const SITE_WRITES: u32 = 10;
/// Deletions per minute and client of sections and navigation links.
const SITE_DELETES: u32 = 5;

/// Uploads per minute and client.
const UPLOADS: u32 = 30;
/// Reactions per minute and client to one target, and deletions of one comment.
const REACTIONS: u32 = 10;
/// Comments per minute and client on one target.
const COMMENTS: u32 = 3;
/// Reactions per minute and user.
const USER_REACTIONS: u32 = 60;
/// Comments per minute and user.
const USER_COMMENTS: u32 = 10;
/// The note of routes that another program may use.
const FOR_WORKERS: &str = "Also for the program that has the token in `VIDEO_WORKER_TOKEN`.";

/// Returns the routes for operators and monitoring.
fn operations() -> Vec<Route> {
    vec![
        get("index", "/", Everyone, health::index).summary("Show links to the API"),
        get("health", "/health", Everyone, health::health).summary("Check liveness"),
        get("health_alias", "/livez", Everyone, health::health).summary("Check liveness"),
        get("readyz", "/readyz", Everyone, health::readyz)
            .summary("Check readiness")
            .note("Ready while cached responses can be served, even if the store does not respond.")
            .describe(health::describe_readiness),
        get("warmup", "/warmup", Everyone, health::warmup)
            .summary("Open connections to the store")
            .note("Always 200 after the start."),
    ]
}

/// Returns the routes whose public responses are cached and have an `ETag`.
fn content() -> Vec<Route> {
    vec![
        get("docs", "/docs", Everyone, docs::page)
            .summary("Read and try the API in a browser")
            .describe(|operation| docs::describe(operation, "text/html")),
        get("docs_script", "/docs/script.js", Everyone, docs::script)
            .summary("Get the script of the documentation page")
            .describe(|operation| docs::describe(operation, "text/javascript")),
        get("docs_style", "/docs/style.css", Everyone, docs::style)
            .summary("Get the style sheet of the documentation page")
            .describe(|operation| docs::describe(operation, "text/css")),
        get("openapi", "/openapi.json", Everyone, openapi_json)
            .summary("Get the OpenAPI document")
            .describe(docs::describe_document),
        get("show_me", "/me", SignedIn, me::show).summary("Show the caller"),
        get("list_stories", "/stories", Everyone, articles::list_stories),
        post("create_story", "/stories", Authors, articles::create::<Story>).limit(CONTENT_WRITES),
        get("show_story", "/stories/{id}", SignedIn, articles::show::<Story>),
        put("update_story", "/stories/{id}", Owner, articles::update::<Story>).limit(CONTENT_WRITES),
        delete("delete_story", "/stories/{id}", Owner, articles::delete::<Story>).limit(CONTENT_WRITES),
        get("show_story_by_slug", "/stories/slug/{slug}", Everyone, articles::show_by_slug::<Story>),
        get("list_projects", "/projects", Everyone, articles::list_projects).errors(&[401, 403]),
        post("create_project", "/projects", Authors, articles::create::<Project>).limit(CONTENT_WRITES),
        get("show_project", "/projects/{id}", SignedIn, articles::show::<Project>),
        put("update_project", "/projects/{id}", Owner, articles::update::<Project>).limit(CONTENT_WRITES),
        delete("delete_project", "/projects/{id}", Owner, articles::delete::<Project>).limit(CONTENT_WRITES),
        get("show_project_by_slug", "/projects/slug/{slug}", Everyone, articles::show_by_slug::<Project>),
        get("show_page", "/pages/{page_type}", Everyone, pages::show),
        put("put_page", "/pages/{page_type}", Owner, pages::put)
            .limit(CONTENT_WRITES)
            .summary("Create or update page")
            .note("A new page requires title and content."),
        delete("delete_page", "/pages/{page_type}", Owner, pages::delete).limit(CONTENT_WRITES),
        get("list_navlinks", "/navlinks", Everyone, navlinks::list),
        post("create_navlink", "/navlinks", Authors, navlinks::create).limit(SITE_WRITES),
        get("show_navlink", "/navlinks/{id}", Everyone, navlinks::show),
        put("update_navlink", "/navlinks/{id}", Admins, navlinks::update).limit(SITE_WRITES),
        delete("delete_navlink", "/navlinks/{id}", Admins, navlinks::delete).limit(SITE_DELETES),
        get("list_sections", "/sections", Everyone, sections::list).errors(&[401, 403]),
        post("create_section", "/sections", Authors, sections::create).limit(SITE_WRITES),
        get("show_section", "/sections/{id}", Everyone, sections::show),
        put("update_section", "/sections/{id}", Owner, sections::update).limit(SITE_WRITES),
        put("reorder_sections", "/sections/order", Authors, sections::reorder)
            .limit(SITE_WRITES)
            .summary("Reorder sections")
            .note("Moves all of the sections, or none if one of them may not be moved there.")
            .errors(&[404]),
        delete("delete_section", "/sections/{id}", Owner, sections::delete)
            .limit(SITE_DELETES)
            .note("A section that is not empty is only deleted with `reassign_to` or `force`.")
            .errors(&[409]),
        // The original's code and its documentation disagree on the name; clients use both.
        get("show_section_by_slug_alias", "/sections/by-slug/{slug}", Everyone, sections::show_by_slug),
        get("show_section_by_slug", "/sections/slug/{slug}", Everyone, sections::show_by_slug),
    ]
}

/// Returns the routes of uploads, the library, the trash and video jobs.
fn media_and_trash() -> Vec<Route> {
    vec![
        post("upload", "/uploads", Authors, upload::create)
            .limit(UPLOADS)
            .upload()
            .summary("Upload pictures and videos")
            .note("Stores all files of the request, or none. The same file is stored once, however often it is uploaded.")
            .describe(upload::describe_errors),
        get("list_assets", "/assets/list", SignedIn, library::assets).note("Newest first."),
        get(
            "list_assets_of_section",
            "/assets/by-section/{section_id}",
            SignedIn,
            library::assets_of_section,
        )
        .note("The files to which the section and its content refer, newest first."),
        get("list_media", "/media", SignedIn, library::list).note("Newest first."),
        get("show_media", "/media/{id}", SignedIn, library::show),
        patch("update_media", "/media/{id}", Owner, library::update).limit(CONTENT_WRITES),
        delete("delete_media", "/media/{id}", Owner, library::delete)
            .limit(CONTENT_WRITES)
            .note("A file to which content refers is only deleted with `force`. It is delivered until it is purged from the trash.")
            .errors(&[409]),
        get("list_trash", "/trash", Admins, trash::list),
        post("restore_from_trash", "/trash/{type}/{id}/restore", Admins, trash::restore)
            .limit(CONTENT_WRITES)
            .note("The item gets the slug that it had, or the next free suffix of it.")
            .errors(&[409]),
        delete("purge_from_trash", "/trash/{type}/{id}", Admins, trash::purge)
            .limit(CONTENT_WRITES)
            .summary("Delete permanently")
            .note("Removes a deleted item with its reactions and comments, or a picture or video with its files."),
        get("list_video_jobs", "/video-processing/jobs", SignedIn, video_jobs::list)
            .note("The newest 50 jobs, newest first."),
        post("create_video_job", "/video-processing/jobs", Authors, video_jobs::create)
            .limit(CONTENT_WRITES)
            .note(FOR_WORKERS),
        get("show_video_job", "/video-processing/jobs/{job_id}", SignedIn, video_jobs::show),
        patch("update_video_job", "/video-processing/jobs/{job_id}", Authors, video_jobs::update)
            .limit(CONTENT_WRITES)
            .note(FOR_WORKERS),
        patch(
            "update_video_job_by_file",
            "/video-processing/jobs/by-file",
            Authors,
            video_jobs::update_by_file,
        )
        .limit(CONTENT_WRITES)
        .note(FOR_WORKERS)
        .errors(&[404]),
        delete("delete_video_job", "/video-processing/jobs/{job_id}", Authors, video_jobs::delete)
            .limit(CONTENT_WRITES)
            .note(FOR_WORKERS),
        post(
            "select_video_thumbnail",
            "/video-processing/jobs/{job_id}/select-thumbnail",
            Authors,
            video_jobs::select_thumbnail,
        )
        .limit(CONTENT_WRITES)
        .note(FOR_WORKERS),
    ]
}

/// Returns the routes of reactions and comments. The original's own mock server has them without `/api`.
fn reactions_and_comments() -> Vec<Route> {
    let routes = vec![
        get(
            "list_reactions",
            "/api/engagement/{target_type}/{target_id}/reactions",
            Everyone,
            engagement::reactions,
        )
        .note("`user_reactions` holds those of the caller. A target that is not public has no reactions."),
        post(
            "toggle_reaction",
            "/api/engagement/{target_type}/{target_id}/reactions",
            SignedIn,
            engagement::toggle,
        )
        .limit(REACTIONS)
        .limit_user(USER_REACTIONS)
        .note("Adds the reaction, or removes it if the caller has added it before."),
        get(
            "list_comments",
            "/api/engagement/{target_type}/{target_id}/comments",
            Everyone,
            engagement::comments,
        )
        .note("Oldest first. A comment that was deleted stays as a placeholder while it has replies."),
        post(
            "create_comment",
            "/api/engagement/{target_type}/{target_id}/comments",
            SignedIn,
            engagement::create,
        )
        .limit(COMMENTS)
        .limit_user(USER_COMMENTS),
        get("list_all_comments", "/api/engagement/comments", Admins, engagement::list)
            .summary("List comments of all targets"),
        put("update_comment", "/api/engagement/comments/{id}", OwnerAlone, engagement::update)
            .limit(REACTIONS)
            .limit_user(USER_COMMENTS)
            .note("Within 15 minutes after it was written."),
        delete("delete_comment", "/api/engagement/comments/{id}", Owner, engagement::delete)
            .limit(REACTIONS)
            .note("The owner of the content may delete it, too."),
        post("hide_comment", "/api/engagement/comments/{id}/hide", Admins, engagement::hide)
            .limit(CONTENT_WRITES),
        post("restore_comment", "/api/engagement/comments/{id}/restore", Admins, engagement::restore)
            .limit(CONTENT_WRITES)
            .note("Shows a comment that was hidden or awaits approval."),
        post("count_engagement", "/api/engagement/bulk/counts", Everyone, engagement::counts)
            .summary("Count reactions and comments")
            .note("Targets without `type` or `id` are skipped; those that are not public have no reactions."),
    ];
    routes.into_iter().map(|route| route.also_without("/api")).collect()
}

/// Returns the routes of pictures and videos, whose bytes the response cache does not keep.
fn media_files() -> Vec<Route> {
    vec![
        get("get_file", "/uploads/{path}", Everyone, media::show)
            .open()
            .summary("Get a picture or video")
            .note("The path may have several parts. Every file below `uploads/` is delivered, also those that the original named."),
        options("get_file_options", "/uploads/{path}", Everyone, media::options)
            .open()
            .summary("Get the CORS headers of a picture or video")
            .describe(media::describe_options),
    ]
}

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let content = content().into_iter().chain(media_and_trash()).chain(reactions_and_comments());
    let content = content.map(|route| Route { is_content: true, ..route });
    operations().into_iter().chain(content).chain(media_files()).collect()
});

/// Returns all routes.
pub fn routes() -> &'static [Route] {
    &ROUTES
}

/// Returns the OpenAPI document.
pub fn openapi_document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document(routes()));
    &DOCUMENT
}

async fn openapi_json() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], openapi_document()).into_response()
}

/// Builds the whole application, without a socket.
pub fn router(app: AppState) -> CachedService {
    let add = |router: Router<AppState>, route: &Route| {
        route.router_paths().fold(router, |router, path| router.route(&path, route.handler.clone()))
    };
    let (content, operations): (Vec<_>, Vec<_>) = routes().iter().partition(|route| route.is_content);
    let operations = operations.into_iter().fold(Router::new(), add);
    let loader = ContentLoader::new(app.clone());
    let content = content
        .into_iter()
        .fold(Router::new(), add)
        .route_layer(from_fn_with_state(loader.clone(), cache::serve_or_load));
    let router = layered(operations.merge(content), app.clone());
    CachedService::new(app, router, routes(), loader)
}

/// Adds the layers that every request passes.
fn layered(routes: Router<AppState>, app: AppState) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| panic_response(&*panic)))
        .layer(from_fn_with_state(app.clone(), middleware::require_open_gate))
        .layer(from_fn_with_state(app.clone(), middleware::rate_limit))
        .layer(from_fn(middleware::reject_malformed))
        .layer(from_fn_with_state(app.clone(), middleware::timeout))
        .layer(from_fn_with_state(app.clone(), middleware::cors_and_security_headers))
        .layer(from_fn_with_state(app.clone(), middleware::log_request))
        .layer(from_fn(insert_route))
        .with_state(app)
}

/// Puts the row that a request matched into its extensions, for the layers and extractors.
async fn insert_route(mut request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>()
        && let Some(route) = routes().iter().find(|route| {
            route.router_paths().any(|template| template == path.as_str()) && route.answers(request.method())
        })
    {
        request.extensions_mut().insert(route);
    }
    next.run(request).await
}

/// Responds with 404, or redirects to the same path without its trailing slash if that is a route.
async fn not_found(request: Request) -> Response {
    let uri = request.uri();
    if let Some(without) = uri.path().strip_suffix('/')
        && without != "/"
        && routes().iter().any(|route| route.matches(without))
    {
        let location = uri.query().map_or_else(|| without.to_owned(), |query| format!("{without}?{query}"));
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    }
    ApiError::NotFound("Not Found".to_owned()).into_response()
}

fn panic_response(panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    ApiError::Internal(format!("panicked: {text}").into()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http;
    use tower::ServiceExt as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::Id;
    use crate::http::{
        AppStateParts, CacheSettings, ConcurrencyLimit, MiddlewareSettings, MiddlewareState, ResponseCache,
    };

    fn app(request_timeout: Duration) -> AppState {
        AppState::from(AppStateParts {
            gate: Arc::default(),
            clock: Arc::new(SystemClock),
            request_timeout,
            middleware: MiddlewareState::new(MiddlewareSettings::default()),
            cache: Arc::new(ResponseCache::new(&CacheSettings::default())),
            concurrency: ConcurrencyLimit::new(1),
        })
    }

    #[tokio::test]
    async fn requests_without_a_permit_are_refused_before_the_router() {
        let app = app(Duration::from_mins(1));
        let service = router(app.clone());
        let refuse = |method: Method, path: &str| {
            let request = http::Request::builder()
                .method(method)
                .uri(path)
                .header(header::ORIGIN, "https://ghostmonk.com");
            let request = request.header("x-request-id", "mine").body(()).unwrap();
            let miss = service.lookup(&request).expect_err("nothing is cached");
            service.refuse_excess(&request, &miss)
        };
        assert!(refuse(Method::GET, "/stories").is_none());
        let permit = app.concurrency.try_acquire().unwrap();
        for (method, path) in
            [(Method::GET, "/stories?limit=5"), (Method::PUT, "/stories/1"), (Method::HEAD, "/sections")]
        {
            let response = refuse(method, path).expect("a refusal");
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            let headers = response.headers().clone();
            for (name, value) in [
                ("retry-after", "2"),
                ("x-request-id", "mine"),
                ("cache-control", "no-store"),
                ("content-type", "application/json"),
                ("x-content-type-options", "nosniff"),
                ("access-control-allow-origin", "https://ghostmonk.com"),
                ("vary", "Authorization, Accept, Origin"),
            ] {
                assert_eq!(headers[name], value, "{path}");
            }
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["detail"], &body["request_id"]),
                (&"too many concurrent requests".into(), &"mine".into())
            );
        }
        // These need none.
        for path in ["/", "/health", "/readyz", "/nothing"] {
            assert!(refuse(Method::GET, path).is_none(), "{path}");
        }
        drop(permit);
        assert!(refuse(Method::GET, "/stories").is_none());
    }

    /// Asks a route that is open in every state of the gate.
    async fn ask(
        handlers: MethodRouter<AppState>,
        request_timeout: Duration,
    ) -> (Response, serde_json::Value) {
        let app = app(request_timeout);
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
    fn paths_find_their_routes() {
        let template = |path| Route::find(routes(), &Method::GET, path).map(|route| route.path);
        assert_eq!(template("/"), Some("/"));
        assert_eq!(template("/sections"), Some("/sections"));
        assert_eq!(template("/sections/abc"), Some("/sections/{id}"));
        assert_eq!(template("/sections/slug/blog"), Some("/sections/slug/{slug}"));
        assert_eq!(template("/uploads/a.webp"), Some("/uploads/{path}"));
        assert_eq!(template("/uploads/images/a.webp"), Some("/uploads/{path}"));
        for none in [
            "",
            "/uploads",
            "/uploads/",
            "/sections/",
            "//sections",
            "/sections/a/b",
            "/sections/slug/",
            "/nothing",
        ] {
            assert_eq!(template(none), None, "{none:?}");
        }
    }

    #[test]
    fn roles_that_are_never_admitted_are_rejected() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        for role in [Role::Admin, Role::Author, Role::Commenter] {
            for authorship in [Authorship::Restricted, Authorship::Open] {
                let admits = |policy: Policy| policy.check_role(&Caller { id, role }, authorship).is_ok();
                assert_eq!(admits(Policy::Admins), role == Role::Admin);
                assert_eq!(
                    admits(Policy::Authors),
                    role != Role::Commenter || authorship == Authorship::Open
                );
                assert!(
                    [Policy::Everyone, Policy::SignedIn, Policy::Owner, Policy::OwnerAlone]
                        .into_iter()
                        .all(admits)
                );
            }
        }
    }
}
