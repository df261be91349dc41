use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::extract::Ready;
use super::gate::Position;
use super::observe::RequestId;
use super::{App, wire};

/// The process lives. The store is not asked.
pub(super) async fn health(State(app): State<App>) -> Response {
    Json(json!({ "status": "healthy", "timestamp": wire::naive(app.clock.now()) })).into_response()
}

/// Whether requests should be sent here.
pub(super) async fn readyz(State(app): State<App>) -> Response {
    match app.gate.position() {
        Position::Open(services) if services.health.store_answers().await => {
            Json(json!({ "status": "ready", "database": "connected" })).into_response()
        }
        Position::Open(_) => not_ready(json!({ "status": "unavailable", "database": "failed" })),
        Position::Draining(_) => not_ready(json!({ "status": "draining" })),
        Position::Failed { phase, detail } => {
            not_ready(json!({ "status": "failed", "phase": phase, "detail": detail }))
        }
        Position::Starting(progress) => {
            let mut body = json!({ "status": "starting" });
            if let (Some(body), Ok(serde_json::Value::Object(progress))) =
                (body.as_object_mut(), serde_json::to_value(progress))
            {
                body.extend(progress);
            }
            not_ready(body)
        }
    }
}

fn not_ready(body: serde_json::Value) -> Response {
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(body)).into_response()
}

/// Asks the store, so that connections are open when they are needed. Always 200.
pub(super) async fn warmup(
    State(app): State<App>,
    Ready(services): Ready,
    request_id: RequestId,
) -> Response {
    let timestamp = wire::naive(app.clock.now());
    let body = if services.health.store_answers().await {
        json!({ "status": "warm", "timestamp": timestamp, "database": "connected" })
    } else {
        let RequestId(request_id) = request_id;
        json!({ "status": "cold", "timestamp": timestamp, "database": "failed", "request_id": request_id })
    };
    Json(body).into_response()
}

/// What there is.
pub(super) async fn index() -> Response {
    let links = json!({ "stories": "/stories", "projects": "/projects", "sections": "/sections", "health": "/health", "readiness": "/readyz" });
    let body =
        json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "links": links });
    Json(body).into_response()
}
