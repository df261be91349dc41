//! The accept loop. Serves HTTP/1.1, and HTTP/2 to clients that start with its preface (h2c with prior knowledge).
//!
//! The number of connections is limited: beyond it, clients wait in the backlog of the system. Idle connections and clients
//! that stop reading are disconnected after `CONNECTION_IDLE_SECONDS`.
//!
//! Over HTTP/1.1, hyper and the socket enforce these timeouts. Over HTTP/2 neither does, since an idle client may answer
//! pings, and a client that stops reading closes its window and not the socket: see `idle`.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Version;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

use super::cache::{CachedService, RouterFuture};
use idle::{ConnectionActivity, Http2Request, TrackedBody};

/// Idle connections over HTTP/2.
mod idle;

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
type ResponseBody = TrackedBody<Either<Full<Bytes>, Body>>;

impl hyper::service::Service<hyper::Request<Incoming>> for ConnectionService {
    type Response = hyper::Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: hyper::Request<Incoming>) -> ResponseFuture {
        let tracked = self.activity.start_request(request.version() == Version::HTTP_2);
        match self.service.lookup(&request) {
            Ok(response) => {
                let response = response.map(|body| TrackedBody::new(Either::Left(Full::new(body)), tracked));
                ResponseFuture::Cached(Some(response))
            }
            Err(miss) => ResponseFuture::Routed(self.service.route(request.map(Body::new), miss), tracked),
        }
    }
}

/// A cached response, or one from the router.
enum ResponseFuture {
    Cached(Option<hyper::Response<ResponseBody>>),
    Routed(RouterFuture, Option<Http2Request>),
}

impl Future for ResponseFuture {
    type Output = Result<hyper::Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Cached(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            Self::Routed(response, tracked) => {
                Pin::new(response).poll(context).map_ok(|response: Response| {
                    response.map(|body| TrackedBody::new(Either::Right(body), tracked.take()))
                })
            }
        }
    }
}
