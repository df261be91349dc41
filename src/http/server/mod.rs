//! The accept loop. Serves HTTP/1.1, and HTTP/2 to clients that start with its preface (h2c with prior knowledge).
//!
//! The number of connections is limited: beyond it, clients wait in the backlog of the system. Idle connections and clients
//! that stop reading or read too slowly are disconnected, after `CONNECTION_IDLE_SECONDS` or a few times that.
//!
//! Over HTTP/1.1, hyper and the socket enforce the timeouts of idle connections. Over HTTP/2 neither does, since an idle client
//! may answer pings, and a client that stops reading closes its window and not the socket: see `connection`.

/// One connection.
mod connection;
/// The fuzz target of connections.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// Request bodies whose rest is discarded.
mod request_body;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::cache::CachedService;
use connection::{ConnectionActivity, ConnectionService, drive, with_write_timeout};

/// Back-off after `accept` fails, for example when file descriptors are exhausted.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// The number of concurrent requests of an HTTP/2 connection.
const HTTP2_STREAMS: u32 = 32;
/// The maximum size of a request head, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
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
        tokio::spawn(drive(connection, activity, stage, permit));
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

/// Returns whether a failure of `accept` is that of one client, which went away.
fn is_client_error(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
