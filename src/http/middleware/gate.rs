use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;
use serde::Serialize;

use crate::http::{ApiError, AppState};
use crate::service::Services;

/// Routes that answer in every state of the gate.
const ALWAYS: [&str; 3] = ["/livez", "/readyz", "/health"];

/// How far the start-up is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StartProgress {
    /// The phase under way.
    pub phase: &'static str,
    /// The migration under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// Its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How many documents the step has gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How far the step is, from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// How many seconds the step will take from here, by an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// Another process that migrates, which this one waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

#[derive(Clone)]
pub(crate) enum GateState {
    Starting(StartProgress),
    Failed { phase: &'static str, detail: String },
    Open(Arc<Services>),
    Draining(Arc<Services>),
}

/// Stands before the content: closed while the process starts, and for good if the start failed.
pub struct Gate {
    position: RwLock<GateState>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { position: RwLock::new(GateState::Starting(StartProgress::default())) }
    }
}

impl Gate {
    /// Tells how far the start-up is. Nothing happens once it is over.
    pub fn progress(&self, change: impl FnOnce(&mut StartProgress)) {
        if let GateState::Starting(progress) = &mut *self.write() {
            change(progress);
        }
    }

    /// Lets content be served.
    pub fn open(&self, services: Services) {
        *self.write() = GateState::Open(Arc::new(services));
    }

    /// Keeps the gate closed and says why. `detail` goes to anybody who asks: it holds no secrets.
    pub fn fail(&self, phase: &'static str, detail: String) {
        *self.write() = GateState::Failed { phase, detail };
    }

    /// Requests are still served, but no new ones should come.
    pub fn drain(&self) {
        let mut position = self.write();
        if let GateState::Open(services) = &*position {
            *position = GateState::Draining(Arc::clone(services));
        }
    }

    pub(crate) fn position(&self) -> GateState {
        self.position.read().clone()
    }

    /// The use cases.
    ///
    /// # Errors
    /// 503 while the gate is closed.
    pub(crate) fn services(&self) -> Result<Arc<Services>, ApiError> {
        match &*self.position.read() {
            GateState::Open(services) | GateState::Draining(services) => Ok(Arc::clone(services)),
            GateState::Starting(StartProgress { phase: "", .. }) => {
                Err(ApiError::NotServing("starting".to_owned()))
            }
            GateState::Starting(progress) => {
                Err(ApiError::NotServing(format!("starting: {}", progress.phase)))
            }
            GateState::Failed { phase, .. } => {
                Err(ApiError::NotServing(format!("the start failed: {phase}")))
            }
        }
    }

    fn write(&self) -> parking_lot::RwLockWriteGuard<'_, GateState> {
        self.position.write()
    }
}

/// Turns requests away while the gate is closed, whatever they ask for.
pub(crate) async fn guard(State(app): State<AppState>, request: Request, next: Next) -> Response {
    if ALWAYS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match app.gate.services() {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
