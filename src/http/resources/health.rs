use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::{ValidQuery, default, query};
use crate::http::middleware::gate::{GateState, StartProgress};
use crate::http::middleware::request_id::RequestId;
use crate::http::openapi::operation::Operation;
use crate::http::respond::format_naive_timestamp;
use crate::http::{AppState, CacheCounts};
use crate::service::Services;

/// That the process lives.
#[derive(Serialize, ToSchema)]
#[schema(as = Health, examples(json!({ "status": "healthy", "timestamp": "2026-01-02T03:04:05" })))]
pub(crate) struct HealthBody {
    status: &'static str,
    /// UTC that does not say so.
    timestamp: String,
}

/// Whether requests should be sent here, and if not, why.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = Readiness, examples(
    json!({ "status": "ready", "database": "connected" }),
    json!({
        "status": "starting", "phase": "migrations", "migration": "0004_backfill_section_id", "step": "link blog",
        "done": 250_000, "percent": 25, "eta_seconds": 31,
    }),
))]
pub(crate) struct ReadinessBody {
    /// `ready`, `degraded` (the store does not answer; what is rendered is served), `starting`, `failed`, `unavailable`
    /// or `draining`.
    status: &'static str,
    /// `connected` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    database: Option<&'static str>,
    /// The phase of the start that is under way, or that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phase: Option<&'static str>,
    /// The migration under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    migration: Option<String>,
    /// Its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    step: Option<String>,
    /// How many documents the step has gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    done: Option<u64>,
    /// How far the step is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100)]
    percent: Option<u8>,
    /// How many seconds the step will take from here, by an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    eta_seconds: Option<u64>,
    /// Another process that migrates, which this one waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    holder: Option<String>,
    /// Why the start failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// Of rendered responses; only for those who ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rendered: Option<CacheStatsBody>,
}

/// How the rendered responses do, since the start.
#[derive(Serialize, ToSchema)]
#[schema(as = RenderedResponses)]
pub(crate) struct CacheStatsBody {
    /// How many are kept.
    entries: u64,
    /// Their bytes.
    bytes: u64,
    /// Answers that were ready.
    hits: u64,
    /// Answers that were ready and may not have held, while the store was away.
    stale: u64,
    /// Answers that were made.
    loads: u64,
    /// Requests that waited for an answer which another had asked for.
    joined: u64,
    /// How long ago it was last learned what other processes wrote.
    lag_ms: u64,
}

impl CacheStatsBody {
    fn of(app: &AppState, services: &Services) -> Self {
        let CacheCounts { entries, bytes, hits, stale, loads, joined } = app.cache.counts();
        let lag_ms = u64::try_from(services.change_tracker.lag().as_millis()).unwrap_or(u64::MAX);
        Self { entries, bytes, hits, stale, loads, joined, lag_ms }
    }
}

query! {
    /// The parameters of readiness.
    ReadinessQuery {
        /// Include statistics of the response cache.
        verbose: bool = default(false),
    }
}

/// Whether the store answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Warmth, examples(
    json!({ "status": "warm", "timestamp": "2026-01-02T03:04:05", "database": "connected" }),
))]
pub(crate) struct WarmthBody {
    /// `warm` or `cold`.
    status: &'static str,
    /// UTC that does not say so.
    timestamp: String,
    /// `connected` or `failed`.
    database: &'static str,
    /// Of a failure, to find it in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// What there is.
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
    let body = match app.gate.position() {
        GateState::Open(services) => {
            let (status, database) = match (services.health.store_answers().await, app.cache.has_any()) {
                (true, _) => ("ready", "connected"),
                (false, true) => ("degraded", "failed"),
                (false, false) => ("unavailable", "failed"),
            };
            let rendered = verbose.then(|| CacheStatsBody::of(&app, &services));
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
