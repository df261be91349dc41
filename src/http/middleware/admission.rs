//! Conditions for a request to run: the gate, the limit of concurrent requests, and the timeout.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// Limits concurrent requests. Cache hits, requests that join an in-flight load, and requests still receiving their body
/// are not counted.
pub struct ConcurrencyLimit {
    running: Arc<Semaphore>,
    receiving: Semaphore,
}

/// The permit of a running request, released when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Permit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl ConcurrencyLimit {
    /// Allows `limit` requests to run, and as many more to receive their bodies.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(limit)), receiving: Semaphore::new(limit) }
    }

    /// Acquires a permit for one request.
    ///
    /// # Errors
    /// 503 if the limit is reached. Requests are not queued: the queue would only grow.
    pub(crate) fn try_acquire(&self) -> Result<Permit, ApiError> {
        self.try_acquire_running().map(|permit| Permit(Arc::new(Mutex::new(Some(permit)))))
    }

    /// Receives a body while the permit is released, so that slow clients do not block other requests.
    ///
    /// # Errors
    /// 503 if too many bodies are being received, or if no permit is available afterwards.
    pub(crate) async fn without_permit<T>(
        &self,
        permit: &Permit,
        receive: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let receiving = self.receiving.try_acquire().map_err(|_| ApiError::Overloaded)?;
        *permit.0.lock() = None;
        let received = receive.await;
        drop(receiving);
        *permit.0.lock() = Some(self.try_acquire_running()?);
        Ok(received)
    }

    fn try_acquire_running(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.running).try_acquire_owned().map_err(|_| ApiError::Overloaded)
    }
}

/// Answers 503 when a request takes longer than the request timeout.
pub(crate) async fn timeout(State(app): State<AppState>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_limit_are_refused() {
        let limit = ConcurrencyLimit::new(2);
        let (first, _second) = (limit.try_acquire().unwrap(), limit.try_acquire().unwrap());
        assert!(matches!(limit.try_acquire(), Err(ApiError::Overloaded)));
        drop(first);
        assert!(limit.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn receiving_a_body_holds_no_permit() {
        let limit = ConcurrencyLimit::new(1);
        let permit = limit.try_acquire().unwrap();
        let receiving = limit.without_permit(&permit, async {
            assert!(limit.try_acquire().is_ok());
            // The number of bodies is limited, too.
            let other = limit.try_acquire().unwrap();
            assert!(matches!(limit.without_permit(&other, async {}).await, Err(ApiError::Overloaded)));
        });
        receiving.await.unwrap();
        assert!(matches!(limit.try_acquire(), Err(ApiError::Overloaded)));
        // It does not wait for a permit that another request has acquired in the meantime.
        let taken = limit.without_permit(&permit, async { limit.try_acquire().unwrap() }).await;
        assert!(matches!(taken, Err(ApiError::Overloaded)));
    }
}
