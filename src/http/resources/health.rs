use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::{ValidQuery, default, query};
use crate::http::middleware::{Readiness, RequestId};
use crate::http::openapi::operation::Operation;
use crate::http::respond::format_naive_timestamp;
use crate::http::{ApiError, AppState, CacheCounts};
use crate::service::{Services, StoreHealth};

/// The response of the liveness routes.
#[derive(Serialize, ToSchema)]
#[schema(as = Health, examples(json!({ "status": "healthy", "timestamp": "2026-01-02T03:04:05" })))]
pub(crate) struct HealthBody {
    status: &'static str,
    /// UTC without an offset.
    timestamp: String,
}

query! {
    /// The query parameters of readiness.
    ReadinessQuery {
        /// Include statistics of the response cache.
        verbose: bool = default(false),
    }
}

/// The response of the warm-up.
#[serde_with::skip_serializing_none]
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
    let content = Some(("application/json", operation.derived::<Readiness>()));
    operation.response(StatusCode::OK, "Ready", content.clone(), &[]);
    operation.response(StatusCode::SERVICE_UNAVAILABLE, "Not ready", content, &["Retry-After"]);
}

/// Reports whether requests should be sent here. They should while cached responses can be served, even if the store
/// does not respond.
pub(crate) async fn readyz(
    State(app): State<AppState>,
    ValidQuery(ReadinessQuery { verbose }): ValidQuery<ReadinessQuery>,
) -> Result<Response, ApiError> {
    let mut readiness = app.gate.readiness();
    if readiness.status == "ready" {
        let services = app.gate.services()?;
        let (status, database, detail) = match services.health.store().await {
            StoreHealth::Good => ("ready", "connected", None),
            StoreHealth::Degraded(reason) => ("degraded", "connected", Some(reason)),
            StoreHealth::Silent if !app.cache.is_empty() => ("degraded", "failed", None),
            StoreHealth::Silent => ("unavailable", "failed", None),
            StoreHealth::Unfit(reason) => ("unavailable", "failed", Some(reason)),
        };
        (readiness.status, readiness.database, readiness.detail) = (status, Some(database), detail);
        readiness.rendered = verbose.then(|| {
            let lag_ms = u64::try_from(services.change_tracker.lag().as_millis()).unwrap_or(u64::MAX);
            CacheCounts { lag_ms, ..app.cache.counts() }
        });
        if status != "unavailable" {
            return Ok(Json(readiness).into_response());
        }
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    Ok((StatusCode::SERVICE_UNAVAILABLE, retry, Json(readiness)).into_response())
}

/// Asks the store, so that connections are open when they are needed. Always 200 after the start.
pub(crate) async fn warmup(
    State(app): State<AppState>,
    services: Arc<Services>,
    request_id: RequestId,
) -> Json<WarmthBody> {
    let timestamp = format_naive_timestamp(app.clock.now());
    Json(if matches!(services.health.store().await, StoreHealth::Good | StoreHealth::Degraded(_)) {
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
