//! Conditions for a request to run: its head, the gate, the limit of concurrent requests, and the timeout.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{self, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use crate::http::respond::SendBudget;
use crate::http::{ApiError, AppState, CacheCounts, Route};
use crate::service::Services;

/// The maximum length of a URL, in bytes.
const MAX_URL: usize = 8 * 1024;

/// A request head that no handler should see. [`reject_malformed`] answers it, so that the response has the headers and
/// the body of every other error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// HTTP/1.1 without `Host`, with more than one, or with one that is not a host.
    Host,
    /// More than one `Authorization`: proxies and servers may disagree on which one counts.
    Authorization,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// The URL is longer than [`MAX_URL`].
    UrlTooLong,
}

impl From<HeadError> for ApiError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Host => {
                Self::BadRequest("Invalid Host header: exactly one host is required".to_owned())
            }
            HeadError::Authorization => {
                Self::BadRequest("Invalid Authorization header: at most one is allowed".to_owned())
            }
            HeadError::Expectation => Self::ExpectationFailed,
            HeadError::UrlTooLong => Self::UrlTooLong,
        }
    }
}

/// Reports whether a byte can be part of a host and its port, as in RFC 3986.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Checks the head of a request.
pub(crate) fn check_head<B>(request: &http::Request<B>) -> Result<(), HeadError> {
    let headers = request.headers();
    let count = |name| headers.get_all(name).iter().take(2).count();
    let is_host = |value: &http::HeaderValue| value.as_bytes().iter().copied().all(is_of_host);
    let needs_host = request.version() == Version::HTTP_11;
    if needs_host && count(header::HOST) != 1 || !headers.get_all(header::HOST).iter().all(is_host) {
        return Err(HeadError::Host);
    }
    if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > MAX_URL) {
        return Err(HeadError::UrlTooLong);
    }
    if count(header::AUTHORIZATION) > 1 {
        return Err(HeadError::Authorization);
    }
    let is_known = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(header::EXPECT).iter().all(is_known) {
        return Err(HeadError::Expectation);
    }
    Ok(())
}

/// Answers requests whose head is malformed.
pub(crate) async fn reject_malformed(request: Request, next: Next) -> Response {
    match request.extensions().get::<HeadError>() {
        Some(error) => ApiError::from(*error).into_response(),
        None => next.run(request).await,
    }
}

/// The routes that do not depend on the gate.
const UNGATED: [&str; 3] = ["/livez", "/readyz", "/health"];

/// The readiness of the process, and the reason if it is not ready.
#[serde_with::skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(
    json!({ "status": "ready", "database": "connected" }),
    json!({
        "status": "starting", "phase": "migrations", "migration": "0004_backfill_section_id", "step": "link blog",
        "done": 250_000, "percent": 25, "eta_seconds": 31,
    }),
))]
pub struct Readiness {
    /// `ready`, `degraded` (cached responses are served while the store does not answer; or content is served and writes
    /// fail), `starting`, `failed`, `unavailable` or `draining`.
    pub status: &'static str,
    /// `connected` or `failed`.
    #[schema(nullable = false)]
    pub database: Option<&'static str>,
    /// The phase of the start that is in progress, or that failed.
    #[schema(nullable = false)]
    pub phase: Option<&'static str>,
    /// The current migration.
    #[schema(nullable = false)]
    pub migration: Option<String>,
    /// Its current step.
    #[schema(nullable = false)]
    pub step: Option<String>,
    /// The number of documents that the step has processed.
    #[schema(nullable = false)]
    pub done: Option<u64>,
    /// The progress of the step.
    #[schema(nullable = false, maximum = 100)]
    pub percent: Option<u8>,
    /// The estimated number of seconds until the step is done.
    #[schema(nullable = false)]
    pub eta_seconds: Option<u64>,
    /// The process that migrates, if this one waits for it.
    #[schema(nullable = false)]
    pub holder: Option<String>,
    /// The reason of a failed start, or of a degraded or unusable store.
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The response cache; only if `verbose` is set.
    #[schema(nullable = false)]
    pub rendered: Option<CacheCounts>,
}

impl Readiness {
    /// Returns the readiness while a phase of the start is in progress.
    pub fn starting(phase: Option<&'static str>) -> Self {
        Self { status: "starting", phase, ..Self::default() }
    }
}

/// Keeps requests from the content until the start is complete, and for good if it failed.
pub struct Gate {
    /// The services are present while the gate is open.
    state: RwLock<(Readiness, Option<Arc<Services>>)>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: RwLock::new((Readiness::starting(None), None)) }
    }
}

impl Gate {
    /// Updates the progress of the start. Does nothing once it is complete.
    pub fn progress(&self, change: impl FnOnce(&mut Readiness)) {
        let (readiness, _) = &mut *self.state.write();
        if readiness.status == "starting" {
            change(readiness);
        }
    }

    /// Opens the gate.
    pub fn open(&self, services: Services) {
        let ready = Readiness { status: "ready", ..Readiness::default() };
        *self.state.write() = (ready, Some(Arc::new(services)));
    }

    /// Closes the gate for good. `detail` is public and must not contain secrets.
    pub fn fail(&self, phase: &'static str, detail: String) {
        let (phase, detail) = (Some(phase), Some(detail));
        let failed = Readiness { status: "failed", phase, detail, ..Readiness::default() };
        *self.state.write() = (failed, None);
    }

    /// Reports the process as not ready, while requests are still served.
    pub fn drain(&self) {
        let (readiness, services) = &mut *self.state.write();
        if services.is_some() {
            readiness.status = "draining";
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.state.read().0.clone()
    }

    /// Returns the use cases.
    ///
    /// # Errors
    /// 503 while the gate is closed.
    pub(crate) fn services(&self) -> Result<Arc<Services>, ApiError> {
        let (Readiness { status, phase, .. }, services) = &*self.state.read();
        if let Some(services) = services {
            return Ok(Arc::clone(services));
        }
        let state = if *status == "failed" { "the start failed" } else { "starting" };
        Err(ApiError::NotServing(phase.map_or_else(|| state.to_owned(), |phase| format!("{state}: {phase}"))))
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

/// The share of bodies that one client may send at the same time: one in this many.
const CLIENT_SHARE: usize = 4;

/// The number of uploads that are received or stored at the same time, a quarter of them from one client.
const MAX_UPLOADS: usize = 32;

/// Limits concurrent requests. Cache hits, requests that join an in-flight load, requests still receiving their body and
/// requests whose token is being verified are not counted. Files are not either: their memory is limited.
pub struct ConcurrencyLimit {
    /// The memory of the files that are being sent.
    pub(crate) sending: SendBudget,
    running: Arc<Semaphore>,
    receiving: Arc<Receiving>,
    uploads: Arc<Receiving>,
}

/// The permit of a running request, released when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Permit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl ConcurrencyLimit {
    /// Allows `limit` requests to run, and as many more to receive their bodies, a quarter of them from one client.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            sending: SendBudget::default(),
            running: Arc::new(Semaphore::new(limit)),
            receiving: Receiving::new(limit),
            uploads: Receiving::new(MAX_UPLOADS),
        }
    }

    /// Acquires a permit for one request.
    ///
    /// # Errors
    /// 503 if the limit is reached. Requests are not queued: the queue would only grow.
    pub(crate) fn try_acquire(&self) -> Result<Permit, ApiError> {
        self.try_acquire_running().map(|permit| Permit(Arc::new(Mutex::new(Some(permit)))))
    }

    /// Returns whether no permit is available at present.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.running.available_permits() == 0
    }

    /// Admits an upload from a client, which is counted until the returned value is dropped.
    ///
    /// # Errors
    /// 503 if there are too many, in total or from this client.
    pub(crate) fn upload(&self, client: IpAddr) -> Result<UploadPlace, ApiError> {
        self.uploads.enter(client).map(UploadPlace)
    }

    /// Receives a body from a client while the permit is released, so that slow clients do not block other requests.
    ///
    /// # Errors
    /// 503 if too many bodies are being received, in total or from this client, or if no permit is available afterwards.
    pub(crate) async fn receive<T>(
        &self,
        permit: &Permit,
        client: IpAddr,
        body: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let _place = self.receiving.enter(client)?;
        self.without_permit(permit, body).await
    }

    /// Waits for an outside party while the permit is released. What bounds the number of such waits is up to the caller.
    ///
    /// # Errors
    /// 503 if no permit is available afterwards.
    pub(crate) async fn without_permit<T>(
        &self,
        permit: &Permit,
        wait: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        *permit.0.lock() = None;
        let outcome = wait.await;
        *permit.0.lock() = Some(self.try_acquire_running()?);
        Ok(outcome)
    }

    fn try_acquire_running(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.running).try_acquire_owned().map_err(|_| ApiError::Overloaded)
    }
}

/// The bodies that are being received, by client.
struct Receiving {
    limit: usize,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

impl Receiving {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, clients: Mutex::default() })
    }

    fn enter(self: &Arc<Self>, client: IpAddr) -> Result<ReceivingPlace, ApiError> {
        let mut clients = self.clients.lock();
        let own = clients.get(&client).copied().unwrap_or(0);
        if own >= self.limit.div_ceil(CLIENT_SHARE) || clients.values().sum::<usize>() >= self.limit {
            return Err(ApiError::Overloaded);
        }
        clients.insert(client, own + 1);
        Ok(ReceivingPlace { receiving: Arc::clone(self), client })
    }
}

/// An upload that is counted.
pub(crate) struct UploadPlace(#[expect(dead_code, reason = "counted until it is dropped")] ReceivingPlace);

struct ReceivingPlace {
    receiving: Arc<Receiving>,
    client: IpAddr,
}

impl Drop for ReceivingPlace {
    fn drop(&mut self) {
        let mut clients = self.receiving.clients.lock();
        match clients.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = clients.remove(&self.client),
        }
    }
}

/// Answers 503 when a request takes longer than the request timeout. Uploads have limits of their own.
pub(crate) async fn timeout(State(app): State<AppState>, request: Request, next: Next) -> Response {
    if Route::matched(request.extensions()).is_some_and(|route| route.is_upload) {
        return next.run(request).await;
    }
    let writes = !request.method().is_safe();
    match tokio::time::timeout(app.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut { writes }.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

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
        let receiving = limit.receive(&permit, client(1), async {
            assert!(limit.try_acquire().is_ok());
            // The number of bodies is limited, too.
            let other = limit.try_acquire().unwrap();
            assert!(matches!(limit.receive(&other, client(2), async {}).await, Err(ApiError::Overloaded)));
        });
        receiving.await.unwrap();
        assert!(matches!(limit.try_acquire(), Err(ApiError::Overloaded)));
        // It does not wait for a permit that another request has acquired in the meantime.
        let taken = limit.without_permit(&permit, async { limit.try_acquire().unwrap() }).await;
        assert!(matches!(taken, Err(ApiError::Overloaded)));
    }

    #[test]
    fn one_client_receives_a_share_of_all_bodies() {
        let receiving = Receiving::new(8);
        let mut places: Vec<_> = (0..2).map(|_| receiving.enter(client(1)).unwrap()).collect();
        assert!(receiving.enter(client(1)).is_err());
        for n in 2..5 {
            places.extend((0..2).map(|_| receiving.enter(client(n)).unwrap()));
        }
        assert!(receiving.enter(client(5)).is_err(), "all places are taken");
        places.clear();
        assert!(receiving.clients.lock().is_empty());
    }

    fn head(version: Version, url: &str, headers: &[(&str, &str)]) -> Result<(), HeadError> {
        let mut request = http::Request::builder().version(version).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_head(&request.body(()).unwrap())
    }

    #[test]
    fn http_1_1_requires_one_host() {
        assert_eq!(head(Version::HTTP_11, "/", &[]), Err(HeadError::Host));
        assert_eq!(head(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]), Err(HeadError::Host));
        for host in ["a", "", "a.example:80", "[::1]:5001", "xn--bcher-kva.example"] {
            assert_eq!(head(Version::HTTP_11, "/", &[("host", host)]), Ok(()), "{host}");
        }
        for odd in ["a b", "user@a", "a/b", "a?b", "<a>", "a\\b"] {
            assert_eq!(head(Version::HTTP_11, "/", &[("host", odd)]), Err(HeadError::Host), "{odd}");
        }
        assert_eq!(head(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(head(Version::HTTP_2, "/", &[]), Ok(()));
    }

    #[test]
    fn ambiguous_and_unknown_headers_are_refused() {
        let with = |headers: &[(&str, &str)]| head(Version::HTTP_2, "/", headers);
        let token = ("authorization", "Bearer a");
        assert_eq!(with(&[token]), Ok(()));
        assert_eq!(with(&[token, token]), Err(HeadError::Authorization));
        assert_eq!(with(&[("expect", "100-Continue")]), Ok(()));
        for other in ["nonsense", "", "100-continue, nonsense"] {
            assert_eq!(with(&[("expect", other)]), Err(HeadError::Expectation), "{other:?}");
        }
    }

    #[test]
    fn long_urls_are_refused() {
        let url = |length| format!("/{}", "a".repeat(length - 1));
        assert_eq!(head(Version::HTTP_2, &url(MAX_URL), &[]), Ok(()));
        assert_eq!(head(Version::HTTP_2, &url(MAX_URL + 1), &[]), Err(HeadError::UrlTooLong));
    }
}
