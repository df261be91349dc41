//! Sockets: connections are accepted, and requests on them are answered. HTTP/1.1, and HTTP/2 for whoever begins with it
//! (h2c with prior knowledge).
//!
//! No client keeps what it does not use: a connection ends when no request comes, when the head of one is not whole in
//! time, or when nothing of an answer is taken. There are so many connections at the most; who comes then waits in the
//! system's queue.
//!
//! HTTP/1.1 has these limits in hyper and in the socket. HTTP/2 has none in either, since a client that says nothing may
//! answer pings, and one that takes nothing closes its window and not the socket: `activity` has them.

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
use activity::{Activity, Watched};

/// When a connection was last of use.
mod activity;

/// After the system could not give another socket, so long nothing is accepted.
const PAUSE: Duration = Duration::from_secs(1);
/// How often an HTTP/2 client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// What clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// So many connections at a time.
    pub most: usize,
    /// So long a connection may wait for the whole head of its next request, and an answer for a client that takes
    /// nothing of it.
    pub idle: Duration,
}

/// Accepts connections until `stopped` is there; then lets the requests under way end.
pub async fn serve(
    listener: TcpListener,
    front: CachedService,
    settings: ConnectionSettings,
    stopped: impl Future<Output = ()>,
) {
    let ConnectionSettings { most, idle } = settings;
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let protocols = protocols(idle);
    let open = GracefulShutdown::new();
    let mut stopped = pin!(stopped);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stopped => break,
        };
        // Nobody closes the semaphore.
        let Ok(place) = place else { break };
        match accepted {
            Ok((stream, peer)) => {
                let activity = Arc::new(Activity::new());
                let requests =
                    Requests { front: front.clone().with_peer(peer), activity: Arc::clone(&activity) };
                let connection = protocols.serve_connection(guarded(stream, idle), requests).into_owned();
                tokio::spawn(attend(open.watch(connection), activity, idle, place));
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // Whoever connects from here on is refused, not left waiting.
    drop(listener);
    open.shutdown().await;
}

/// Lets the process have as many sockets as the system allows, and says how many that is.
pub fn raise_socket_limit() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).ok()
}

fn protocols(idle: Duration) -> Builder<TokioExecutor> {
    let mut protocols = Builder::new(TokioExecutor::new());
    protocols.http1().timer(TokioTimer::new()).header_read_timeout(idle);
    protocols.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(idle);
    protocols
}

type Io = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

fn guarded(stream: TcpStream, idle: Duration) -> Io {
    // Answers are written whole; to wait for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a socket keeps its delay");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(idle));
    TokioIo::new(Box::pin(stream))
}

async fn attend<E: std::fmt::Display>(
    connection: impl Future<Output = Result<(), E>>,
    activity: Arc<Activity>,
    idle: Duration,
    place: OwnedSemaphorePermit,
) {
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::trace!(%error, "a connection broke");
        },
        () = activity.none_for(idle) => {}
    }
    drop(place);
}

/// Whether it was the one client that went away.
fn is_of_one_client(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of one connection.
struct Requests {
    front: CachedService,
    activity: Arc<Activity>,
}

/// What is ready goes out as it is.
type Outgoing = Watched<Either<Full<Bytes>, Body>>;

impl hyper::service::Service<hyper::Request<Incoming>> for Requests {
    type Response = hyper::Response<Outgoing>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: hyper::Request<Incoming>) -> Answering {
        let over = self.activity.begin(request.version() == Version::HTTP_2);
        match self.front.ready(&request) {
            Some(response) => {
                let response = response.map(|body| Watched::new(Either::Left(Full::new(body)), over));
                Answering::Ready(Some(response))
            }
            None => Answering::Long(self.front.long_way(request.map(Body::new)), over),
        }
    }
}

/// An answer that is there, or on its way.
enum Answering {
    Ready(Option<hyper::Response<Outgoing>>),
    Long(RouterFuture, Option<activity::Request>),
}

impl Future for Answering {
    type Output = Result<hyper::Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(ready) => ready.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Self::Long(long, request) => Pin::new(long).poll(context).map_ok(|response: Response| {
                response.map(|body| Watched::new(Either::Right(body), request.take()))
            }),
        }
    }
}
