//! The accept loop. Serves HTTP/1.1, and HTTP/2 to clients that start with its preface (h2c with prior knowledge).
//!
//! The number of connections is limited: beyond it, clients wait in the backlog of the system. Idle connections and clients
//! that stop reading or read too slowly are disconnected, after `CONNECTION_IDLE_SECONDS` or a few times that.
//!
//! Over HTTP/1.1, hyper and the socket enforce the timeouts of idle connections. Over HTTP/2 neither does, since an idle client
//! may answer pings, and a client that stops reading closes its window and not the socket: see `socket`.

/// Request bodies whose rest is discarded.
mod request_body;
/// The socket of a connection, and the activity of its requests and responses.
mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{Either, Full};
use hyper::Version;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{Builder, Connection};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use super::cache::CachedService;
use super::middleware::check_head;
use request_body::DrainedBody;
use socket::{ConnectionActivity, Exchange, RequestLineStream, TrackedBody};

/// Back-off after `accept` fails, for example when file descriptors are exhausted.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// The number of concurrent requests of an HTTP/2 connection.
const HTTP2_STREAMS: u32 = 32;
/// The maximum size of a request head, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// During a shutdown, the time that a connection without a request gets for one.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// The maximum number of open connections.
    pub max_connections: usize,
    /// The time that a connection may wait for the complete head of its next request, and that a response may wait for a
    /// client that does not read.
    pub idle_timeout: Duration,
    /// During a shutdown, the time for which connections are still accepted while responses ask clients to close theirs.
    pub close_notice: Duration,
}

/// The stages of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Serving,
    /// Responses ask clients to close their connections.
    Closing,
    /// No connection is accepted any more.
    Stopped,
}

/// Accepts connections until `shutdown` completes, and then waits for the requests in progress.
pub async fn serve(
    listener: TcpListener,
    service: CachedService,
    settings: ConnectionSettings,
    shutdown: impl Future<Output = ()>,
) {
    let stage = watch::Sender::new(Stage::Serving);
    let server = Server {
        builder: connection_builder(settings.idle_timeout),
        service,
        idle_timeout: settings.idle_timeout,
        closing: Arc::default(),
        stage,
    };
    let permits = Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS)));
    {
        let closed = async {
            shutdown.await;
            server.closing.store(true, Ordering::Relaxed);
            server.stage.send_replace(Stage::Closing);
            tokio::time::sleep(settings.close_notice).await;
        };
        tokio::select! {
            () = server.accept(&listener, &permits) => {}
            () = closed => {}
        }
    }
    // Connections that the system has already established are served as well; later ones are refused.
    match listener.into_std() {
        Ok(listener) => {
            while let Ok((stream, peer)) = listener.accept() {
                if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    server.serve(stream, peer, ());
                }
            }
        }
        Err(error) => tracing::warn!(%error, "failed to empty the queue of new connections"),
    }
    server.stage.send_replace(Stage::Stopped);
    tracing::info!(connections = server.stage.receiver_count(), "waiting for open connections");
    server.stage.closed().await;
}

/// The state that all connections share.
struct Server {
    builder: Builder<TokioExecutor>,
    service: CachedService,
    idle_timeout: Duration,
    /// True if responses ask clients to close their connections.
    closing: Arc<AtomicBool>,
    /// Each connection holds a receiver.
    stage: watch::Sender<Stage>,
}

impl Server {
    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener, permits: &Arc<Semaphore>) {
        loop {
            let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, peer)) => self.serve(stream, peer, permit),
                Err(error) if is_client_error(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection; retrying");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Serves a connection in a task, which holds `permit`.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, permit: impl Send + 'static) {
        let activity = Arc::new(ConnectionActivity::new(self.idle_timeout, Arc::clone(&self.closing)));
        let service = ConnectionService {
            service: self.service.clone().with_peer(peer),
            activity: Arc::clone(&activity),
        };
        let io = with_write_timeout(stream, self.idle_timeout);
        let connection = self.builder.serve_connection(io, service).into_owned();
        let stage = self.stage.subscribe();
        tokio::spawn(async move {
            drive(connection, &activity, stage).await;
            drop(permit);
        });
    }
}

/// Raises the limit of open sockets to the maximum that the system allows, and returns it.
pub fn raise_socket_limit() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).ok()
}

fn connection_builder(idle_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(idle_timeout)
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(MAX_HEAD);
    builder
}

type Io = TokioIo<Pin<Box<TimeoutStream<RequestLineStream>>>>;

fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Io {
    // Responses are written as a whole, so Nagle's algorithm would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(RequestLineStream::new(stream));
    stream.set_write_timeout(Some(timeout));
    TokioIo::new(Box::pin(stream))
}

/// Drives a connection until it ends, is idle for too long, or reads too slowly.
async fn drive(
    connection: Connection<'static, Io, ConnectionService, TokioExecutor>,
    activity: &ConnectionActivity,
    mut stage: watch::Receiver<Stage>,
) {
    let mut connection = pin!(connection);
    let stalled = async {
        tokio::select! {
            () = activity.wait_until_idle() => {}
            () = activity.wait_until_overdue() => {}
        }
    };
    let mut stalled = pin!(stalled);
    let mut reached = *stage.borrow_and_update();
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "connection failed");
                }
                return;
            }
            () = &mut stalled => return,
            changed = stage.changed(), if reached < Stage::Stopped => {
                reached = if changed.is_ok() { *stage.borrow_and_update() } else { Stage::Stopped };
                // Over HTTP/1.1 this would close a connection whose next request is under way.
                if activity.is_http2() {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = until_quiet(activity), if reached == Stage::Stopped => return,
        }
    }
}

/// Waits until no request is in progress. A request that is under way has a moment to arrive; half a head is not waited for.
async fn until_quiet(activity: &ConnectionActivity) {
    tokio::time::sleep(LAST_REQUEST).await;
    while activity.is_busy() {
        tokio::time::sleep(LAST_REQUEST / 10).await;
    }
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
type SentBody = TrackedBody<Either<Full<Bytes>, Body>>;

/// Gives a request the body that the router reads.
fn with_body(request: hyper::Request<Incoming>) -> axum::extract::Request {
    let (parts, body) = request.into_parts();
    let body = if body.is_end_stream() {
        Body::empty()
    } else if parts.version == Version::HTTP_2 {
        Body::new(body)
    } else {
        Body::new(DrainedBody::new(body, &parts.headers))
    };
    hyper::Request::from_parts(parts, body)
}

impl hyper::service::Service<hyper::Request<Incoming>> for ConnectionService {
    type Response = hyper::Response<SentBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: hyper::Request<Incoming>) -> ResponseFuture {
        let exchange = self.activity.start_request(request.version() == Version::HTTP_2);
        let answer = match check_head(&request) {
            Ok(()) => match self.service.lookup(&request) {
                Ok(response) => {
                    // A body that no one asked for is discarded as well.
                    if !request.body().is_end_stream() {
                        drop(with_body(request));
                    }
                    Answer::Cached(Some(response))
                }
                Err(miss) => Answer::Routed(Box::pin(self.service.route(with_body(request), miss))),
            },
            Err(error) => Answer::Routed(Box::pin(self.service.route(with_body(request), error))),
        };
        ResponseFuture { answer, exchange: Some(exchange) }
    }
}

/// A cached response, or one from the router.
enum Answer {
    Cached(Option<hyper::Response<Bytes>>),
    Routed(BoxFuture<'static, Result<Response, Infallible>>),
}

/// The future of a response.
struct ResponseFuture {
    answer: Answer,
    exchange: Option<Exchange>,
}

impl Future for ResponseFuture {
    type Output = Result<hyper::Response<SentBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = match &mut this.answer {
            Answer::Cached(response) => {
                let Some(response) = response.take() else { return Poll::Pending };
                response.map(|body| Either::Left(Full::new(body)))
            }
            Answer::Routed(response) => {
                let Poll::Ready(Ok(response)) = Pin::new(response).poll(context) else {
                    return Poll::Pending;
                };
                response.map(Either::Right)
            }
        };
        let Some(exchange) = this.exchange.take() else { return Poll::Pending };
        let closes_connection = exchange.closes_connection();
        let mut response = response.map(|body| TrackedBody::new(body, exchange));
        if closes_connection {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}
