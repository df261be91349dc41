use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;

use crate::http::{ApiError, AppState};
use crate::service::Services;

/// The routes that do not depend on the gate.
const UNGATED: [&str; 3] = ["/livez", "/readyz", "/health"];

/// The progress of the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartProgress {
    /// The current phase.
    pub phase: &'static str,
    /// The current migration.
    pub migration: Option<String>,
    /// Its current step.
    pub step: Option<String>,
    /// The number of documents that the step has processed.
    pub done: Option<u64>,
    /// The progress of the step, from 0 to 100.
    pub percent: Option<u8>,
    /// The estimated number of seconds until the step is done.
    pub eta_seconds: Option<u64>,
    /// The process that migrates, if this one waits for it.
    pub holder: Option<String>,
}

#[derive(Clone)]
pub(crate) enum GateState {
    Starting(StartProgress),
    Failed { phase: &'static str, detail: String },
    Open(Arc<Services>),
    Draining(Arc<Services>),
}

/// Keeps requests from the content until the start is complete, and for good if it failed.
pub struct Gate {
    state: RwLock<GateState>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: RwLock::new(GateState::Starting(StartProgress::default())) }
    }
}

impl Gate {
    /// Updates the progress of the start. Does nothing once it is complete.
    pub fn progress(&self, change: impl FnOnce(&mut StartProgress)) {
        if let GateState::Starting(progress) = &mut *self.state.write() {
            change(progress);
        }
    }

    /// Opens the gate.
    pub fn open(&self, services: Services) {
        *self.state.write() = GateState::Open(Arc::new(services));
    }

    /// Closes the gate for good. `detail` is public and must not contain secrets.
    pub fn fail(&self, phase: &'static str, detail: String) {
        *self.state.write() = GateState::Failed { phase, detail };
    }

    /// Reports the process as not ready, while requests are still served.
    pub fn drain(&self) {
        let mut state = self.state.write();
        if let GateState::Open(services) = &*state {
            *state = GateState::Draining(Arc::clone(services));
        }
    }

    pub(crate) fn state(&self) -> GateState {
        self.state.read().clone()
    }

    /// Returns the use cases.
    ///
    /// # Errors
    /// 503 while the gate is closed.
    pub(crate) fn services(&self) -> Result<Arc<Services>, ApiError> {
        let detail = match &*self.state.read() {
            GateState::Open(services) | GateState::Draining(services) => return Ok(Arc::clone(services)),
            GateState::Starting(StartProgress { phase: "", .. }) => "starting".to_owned(),
            GateState::Starting(StartProgress { phase, .. }) => format!("starting: {phase}"),
            GateState::Failed { phase, .. } => format!("the start failed: {phase}"),
        };
        Err(ApiError::NotServing(detail))
    }
}

/// Answers 503 while the gate is closed, also where no route matches.
pub(crate) async fn require_open_gate(State(app): State<AppState>, request: Request, next: Next) -> Response {
    if UNGATED.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match app.gate.services() {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
