//! The accept loop. Serves HTTP/1.1, and HTTP/2 to clients that start with its preface (h2c with prior knowledge).
//!
//! The number of connections is limited: beyond it, clients wait in the backlog of the system. Idle connections and clients
//! that stop reading are disconnected after `CONNECTION_IDLE_SECONDS`.
//!
//! Over HTTP/1.1, hyper and the socket enforce these timeouts. Over HTTP/2 neither does, since an idle client may answer
//! pings, and a client that stops reading closes its window and not the socket: see `ConnectionActivity`.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::TryFutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use http_body_util::Full;
use hyper::Version;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;

use super::cache::CachedService;

/// Back-off after `accept` fails, for example when file descriptors are exhausted.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// The maximum number of open connections.
    pub max_connections: usize,
    /// The time that a connection may wait for the complete head of its next request, and that a response may wait for a
    /// client that does not read.
    pub idle_timeout: Duration,
}

/// Accepts connections until `shutdown` completes, and then waits for the requests in progress.
pub async fn serve(
    listener: TcpListener,
    service: CachedService,
    settings: ConnectionSettings,
    shutdown: impl Future<Output = ()>,
) {
    let ConnectionSettings { max_connections, idle_timeout } = settings;
    let permits = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let builder = connection_builder(idle_timeout);
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let activity = Arc::new(ConnectionActivity::new());
                let service = ConnectionService {
                    service: service.clone().with_peer(peer),
                    activity: Arc::clone(&activity),
                };
                let io = with_write_timeout(stream, idle_timeout);
                let connection = open.watch(builder.serve_connection(io, service).into_owned());
                tokio::spawn(drive(connection, activity, idle_timeout, permit));
            }
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection; retrying");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    // Refuse new connections instead of letting them wait in the backlog.
    drop(listener);
    open.shutdown().await;
}

/// Raises the limit of open sockets to the maximum that the system allows, and returns it.
pub fn raise_socket_limit() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).ok()
}

fn connection_builder(idle_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(idle_timeout);
    builder
}

type Io = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Io {
    // Responses are written as a whole, so Nagle's algorithm would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    TokioIo::new(Box::pin(stream))
}

/// Drives a connection until it ends or is idle for too long.
async fn drive<E: std::fmt::Display>(
    connection: impl Future<Output = Result<(), E>>,
    activity: Arc<ConnectionActivity>,
    idle_timeout: Duration,
    permit: OwnedSemaphorePermit,
) {
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::trace!(%error, "connection failed");
        },
        () = activity.wait_until_idle(idle_timeout) => {}
    }
    drop(permit);
}

/// Returns whether a failure of `accept` is that of one client, which went away.
fn is_client_error(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of one connection.
struct ConnectionService {
    service: CachedService,
    activity: Arc<ConnectionActivity>,
}

/// Cached bodies are sent without a box around them.
type ResponseBody = TrackedBody<http_body_util::Either<Full<Bytes>, Body>>;
type ResponseResult = Result<hyper::Response<ResponseBody>, Infallible>;

impl hyper::service::Service<hyper::Request<Incoming>> for ConnectionService {
    type Response = hyper::Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<Ready<ResponseResult>, BoxFuture<'static, ResponseResult>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let tracked = self.activity.start_request(request.version() == Version::HTTP_2);
        match self.service.lookup(&request) {
            Ok(response) => {
                let body = |body| TrackedBody::new(http_body_util::Either::Left(Full::new(body)), tracked);
                Either::Left(ready(Ok(response.map(body))))
            }
            Err(miss) => {
                let response = self.service.route(request.map(Body::new), miss);
                let body = |body| TrackedBody::new(http_body_util::Either::Right(body), tracked);
                Either::Right(Box::pin(response.map_ok(|response| response.map(body))))
            }
        }
    }
}

/// Tracks when a connection was last active.
struct ConnectionActivity {
    started: Instant,
    /// The protocol, known from the first request.
    is_http2: OnceLock<bool>,
    /// The number of HTTP/2 requests without a response.
    pending: AtomicUsize,
    /// The time of the last request, response or frame that the client took, in milliseconds after `started`.
    last_active: AtomicU64,
}

impl ConnectionActivity {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            is_http2: OnceLock::new(),
            pending: AtomicUsize::new(0),
            last_active: AtomicU64::new(0),
        }
    }

    /// Records a request. Returns `None` over HTTP/1.1, which hyper watches over.
    fn start_request(self: &Arc<Self>, is_http2: bool) -> Option<Http2Request> {
        if !*self.is_http2.get_or_init(|| is_http2) {
            return None;
        }
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Some(Http2Request { activity: Arc::clone(self), is_answered: false })
    }

    /// Waits until the connection has been idle for this long. Never returns over HTTP/1.1.
    async fn wait_until_idle(&self, timeout: Duration) {
        loop {
            let last_active = self.last_active();
            tokio::time::sleep_until(last_active + timeout).await;
            match self.is_http2.get() {
                Some(false) => std::future::pending().await,
                // The request timeout bounds how long a response may take.
                Some(true) if self.pending.load(Ordering::Relaxed) > 0 => self.touch(),
                Some(true) if self.last_active() > last_active => {}
                // Before the first request, no timer of hyper runs: the client may be about to send the HTTP/2 preface.
                Some(true) | None => return,
            }
        }
    }

    fn last_active(&self) -> Instant {
        self.started + Duration::from_millis(self.last_active.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active.store(now, Ordering::Relaxed);
    }
}

/// An HTTP/2 request, until its response is sent.
struct Http2Request {
    activity: Arc<ConnectionActivity>,
    is_answered: bool,
}

impl Http2Request {
    fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.activity.pending.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.touch();
    }
}

impl Drop for Http2Request {
    fn drop(&mut self) {
        self.answered();
    }
}

/// A response body that records when the client takes a frame of it.
struct TrackedBody<B> {
    body: B,
    request: Option<Http2Request>,
}

impl<B> TrackedBody<B> {
    fn new(body: B, mut request: Option<Http2Request>) -> Self {
        if let Some(request) = &mut request {
            request.answered();
        }
        Self { body, request }
    }
}

impl<B: hyper::body::Body<Data: Buf> + Unpin> hyper::body::Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        if let Some(request) = &this.request {
            request.activity.touch();
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
