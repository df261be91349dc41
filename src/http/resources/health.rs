use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::{ValidQuery, default, query};
use crate::http::middleware::{GateState, RequestId, StartProgress};
use crate::http::openapi::operation::Operation;
use crate::http::respond::format_naive_timestamp;
use crate::http::{AppState, CacheCounts};
use crate::service::Services;

/// The response of the liveness routes.
#[derive(Serialize, ToSchema)]
#[schema(as = Health, examples(json!({ "status": "healthy", "timestamp": "2026-01-02T03:04:05" })))]
pub(crate) struct HealthBody {
    status: &'static str,
    /// UTC without an offset.
    timestamp: String,
}

/// The readiness of the process, and the reason if it is not ready.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = Readiness, examples(
    json!({ "status": "ready", "database": "connected" }),
    json!({
        "status": "starting", "phase": "migrations", "migration": "0004_backfill_section_id", "step": "link blog",
        "done": 250_000, "percent": 25, "eta_seconds": 31,
    }),
))]
pub(crate) struct ReadinessBody {
    /// `ready`, `degraded` (the store does not answer; cached responses are served), `starting`, `failed`, `unavailable`
    /// or `draining`.
    status: &'static str,
    /// `connected` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    database: Option<&'static str>,
    /// The phase of the start that is in progress, or that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phase: Option<&'static str>,
    /// The current migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    migration: Option<String>,
    /// Its current step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    step: Option<String>,
    /// The number of documents that the step has processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    done: Option<u64>,
    /// The progress of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100)]
    percent: Option<u8>,
    /// The estimated number of seconds until the step is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    eta_seconds: Option<u64>,
    /// The process that migrates, if this one waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    holder: Option<String>,
    /// The reason of a failed start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The response cache; only if `verbose` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rendered: Option<CacheStatsBody>,
}

/// The response cache since the start.
#[derive(Serialize, ToSchema)]
#[schema(as = RenderedResponses)]
pub(crate) struct CacheStatsBody {
    /// Cached responses.
    entries: u64,
    /// Their bytes.
    bytes: u64,
    /// Fresh cached responses that were served.
    hits: u64,
    /// Cached responses that were served while the store was unreachable.
    stale: u64,
    /// Responses that were loaded.
    loads: u64,
    /// Requests that joined the load of another one.
    joined: u64,
    /// The time since the writes of other processes were last seen.
    lag_ms: u64,
}

impl CacheStatsBody {
    fn new(app: &AppState, services: &Services) -> Self {
        let CacheCounts { entries, bytes, hits, stale, loads, joined } = app.cache.counts();
        let lag_ms = u64::try_from(services.change_tracker.lag().as_millis()).unwrap_or(u64::MAX);
        Self { entries, bytes, hits, stale, loads, joined, lag_ms }
    }
}

query! {
    /// The query parameters of readiness.
    ReadinessQuery {
        /// Include statistics of the response cache.
        verbose: bool = default(false),
    }
}

/// The response of the warm-up.
#[derive(Serialize, ToSchema)]
#[schema(as = Warmth, examples(
    json!({ "status": "warm", "timestamp": "2026-01-02T03:04:05", "database": "connected" }),
))]
pub(crate) struct WarmthBody {
    /// `warm` or `cold`.
    status: &'static str,
    /// UTC without an offset.
    timestamp: String,
    /// `connected` or `failed`.
    database: &'static str,
    /// The id in the log, if the store failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// The entry points of the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Index, examples(
    json!({ "name": "field-notes", "version": "0.1.0", "links": { "docs": "/docs", "stories": "/stories" } }),
))]
pub(crate) struct IndexBody {
    name: &'static str,
    version: &'static str,
    links: BTreeMap<&'static str, &'static str>,
}

/// Reports that the process runs. The store is not asked.
pub(crate) async fn health(State(app): State<AppState>) -> Json<HealthBody> {
    Json(HealthBody { status: "healthy", timestamp: format_naive_timestamp(app.clock.now()) })
}

/// Describes the responses of [`readyz`].
pub(crate) fn describe_readiness(operation: &mut Operation) {
    let content = Some(("application/json", operation.derived::<ReadinessBody>()));
    operation.response(StatusCode::OK, "Ready", content.clone(), &[]);
    operation.response(StatusCode::SERVICE_UNAVAILABLE, "Not ready", content, &["Retry-After"]);
}

/// Reports whether requests should be sent here. They should while cached responses can be served, even if the store
/// does not respond.
pub(crate) async fn readyz(
    State(app): State<AppState>,
    ValidQuery(ReadinessQuery { verbose }): ValidQuery<ReadinessQuery>,
) -> Response {
    let body = match app.gate.state() {
        GateState::Open(services) => {
            let (status, database) = match (services.health.store_answers().await, app.cache.is_empty()) {
                (true, _) => ("ready", "connected"),
                (false, false) => ("degraded", "failed"),
                (false, true) => ("unavailable", "failed"),
            };
            let rendered = verbose.then(|| CacheStatsBody::new(&app, &services));
            let database = Some(database);
            let body = ReadinessBody { status, database, rendered, ..ReadinessBody::default() };
            if status != "unavailable" {
                return Json(body).into_response();
            }
            body
        }
        GateState::Draining(_) => ReadinessBody { status: "draining", ..ReadinessBody::default() },
        GateState::Failed { phase, detail } => ReadinessBody {
            status: "failed",
            phase: Some(phase),
            detail: Some(detail),
            ..ReadinessBody::default()
        },
        GateState::Starting(StartProgress { phase, migration, step, done, percent, eta_seconds, holder }) => {
            ReadinessBody {
                status: "starting",
                phase: Some(phase),
                migration,
                step,
                done,
                percent,
                eta_seconds,
                holder,
                ..ReadinessBody::default()
            }
        }
    };
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(body)).into_response()
}

/// Asks the store, so that connections are open when they are needed. Always 200 after the start.
pub(crate) async fn warmup(
    State(app): State<AppState>,
    services: Arc<Services>,
    request_id: RequestId,
) -> Json<WarmthBody> {
    let timestamp = format_naive_timestamp(app.clock.now());
    Json(if services.health.store_answers().await {
        WarmthBody { status: "warm", timestamp, database: "connected", request_id: None }
    } else {
        let RequestId(request_id) = request_id;
        WarmthBody { status: "cold", timestamp, database: "failed", request_id: Some(request_id) }
    })
}

/// Lists links to the API.
pub(crate) async fn index() -> Json<IndexBody> {
    let links = BTreeMap::from([
        ("docs", "/docs"),
        ("health", "/health"),
        ("openapi", "/openapi.json"),
        ("projects", "/projects"),
        ("readiness", "/readyz"),
        ("sections", "/sections"),
        ("stories", "/stories"),
    ]);
    Json(IndexBody { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), links })
}
