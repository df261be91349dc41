//! One connection: its requests, its timeouts, and its socket, which answers 414 to a URL that is too long.
//!
//! A response counts as taken when its last byte is in the buffer of the system. Over HTTP/2 the client decides by its
//! windows when that is, for each response separately.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http_body_util::{Either, Full};
use hyper::Version;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;

use super::Stage;
use super::request_body::DrainedBody;
use crate::http::cache::CachedService;
use crate::http::middleware::check_head;

/// The rate at which a client must take a response, in bytes per second.
const MIN_READ_RATE: u64 = 4 * 1024;
/// The number of periods that responses can be due in.
const PERIODS: usize = 16;

/// During a shutdown, the time that a connection without a request gets for one.
const LAST_REQUEST: Duration = Duration::from_millis(250);

pub(super) type Io = TokioIo<Pin<Box<TimeoutStream<RequestLineStream>>>>;

pub(super) fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Io {
    // Responses are written as a whole, so Nagle's algorithm would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(RequestLineStream::new(stream));
    stream.set_write_timeout(Some(timeout));
    TokioIo::new(Box::pin(stream))
}

/// Drives a connection until it ends, is idle for too long, or reads too slowly. Holds the permit until then.
pub(super) async fn drive(
    connection: Connection<'static, Io, ConnectionService, TokioExecutor>,
    activity: Arc<ConnectionActivity>,
    mut stage: watch::Receiver<Stage>,
    _permit: impl Send,
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
            () = until_quiet(&activity), if reached == Stage::Stopped => return,
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

/// Answers the requests of one connection.
pub(super) struct ConnectionService {
    pub(super) service: CachedService,
    pub(super) activity: Arc<ConnectionActivity>,
}

/// Cached bodies are sent without a box around them.
pub(super) type SentBody = TrackedBody<Either<Full<Bytes>, Body>>;

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
                Err(miss) => match self.service.refuse_excess(&request, &miss) {
                    Some(refusal) => {
                        drop(with_body(request));
                        Answer::Refused(Some(refusal))
                    }
                    None => Answer::Routed(Box::pin(self.service.route(with_body(request), miss))),
                },
            },
            Err(error) => Answer::Routed(Box::pin(self.service.route(with_body(request), error))),
        };
        ResponseFuture { answer, exchange: Some(exchange) }
    }
}

/// A cached response, one from the router, or a refusal without it.
enum Answer {
    Cached(Option<hyper::Response<Bytes>>),
    Refused(Option<Response>),
    Routed(BoxFuture<'static, Result<Response, Infallible>>),
}

/// The future of a response.
pub(super) struct ResponseFuture {
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
            Answer::Refused(response) => {
                let Some(response) = response.take() else { return Poll::Pending };
                response.map(Either::Right)
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

/// Tracks the requests and responses of a connection. Time is counted in periods, each as long as the idle timeout.
pub(super) struct ConnectionActivity {
    started: Instant,
    period: Duration,
    /// The protocol, known from the first request.
    is_http2: OnceLock<bool>,
    /// The number of requests without a response.
    pending: AtomicUsize,
    /// The number of responses that were not taken yet, by the period in which they are due, modulo the number of periods.
    due: [AtomicU16; PERIODS],
    /// The current period.
    current: AtomicUsize,
    /// True while responses ask clients to close their connections.
    closing: Arc<AtomicBool>,
    /// Over HTTP/2, the time of the last request, response or frame that the client took, in milliseconds after `started`.
    last_active: AtomicU64,
}

impl ConnectionActivity {
    pub(super) fn new(period: Duration, closing: Arc<AtomicBool>) -> Self {
        Self {
            started: Instant::now(),
            period,
            is_http2: OnceLock::new(),
            pending: AtomicUsize::new(0),
            due: Default::default(),
            current: AtomicUsize::new(0),
            closing,
            last_active: AtomicU64::new(0),
        }
    }

    /// Records a request.
    fn start_request(self: &Arc<Self>, is_http2: bool) -> Exchange {
        if *self.is_http2.get_or_init(|| is_http2) {
            self.touch();
        }
        self.pending.fetch_add(1, Ordering::Relaxed);
        Exchange { activity: Arc::clone(self), due: None }
    }

    /// Returns whether a request is in progress, or a response was not taken yet.
    fn is_busy(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0 || self.due.iter().any(|due| due.load(Ordering::Relaxed) > 0)
    }

    /// Returns whether the connection speaks HTTP/2.
    fn is_http2(&self) -> bool {
        self.is_http2.get() == Some(&true)
    }

    /// Waits until the connection has been idle for one period. Over HTTP/1.1 hyper does that, so it never returns.
    async fn wait_until_idle(&self) {
        loop {
            let last_active = self.last_active();
            tokio::time::sleep_until(last_active + self.period).await;
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

    /// Waits until a response is overdue: the client reads too slowly.
    async fn wait_until_overdue(&self) {
        loop {
            tokio::time::sleep(self.period).await;
            if self.end_period() {
                return;
            }
        }
    }

    /// Starts the next period, and returns whether a response was due in the one that ends.
    fn end_period(&self) -> bool {
        let ended = self.current.fetch_add(1, Ordering::Relaxed);
        self.due[ended % PERIODS].load(Ordering::Relaxed) > 0
    }

    /// Returns the slot of a response of this length: the next period, and one more for each that it takes at the
    /// minimum rate.
    fn due_slot(&self, length: u64) -> usize {
        let per_period = (MIN_READ_RATE * self.period.as_secs()).max(1);
        let more = usize::try_from(length / per_period).unwrap_or(PERIODS).min(PERIODS - 2);
        self.current.load(Ordering::Relaxed).wrapping_add(1 + more) % PERIODS
    }

    fn last_active(&self) -> Instant {
        self.started + Duration::from_millis(self.last_active.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active.store(now, Ordering::Relaxed);
    }
}

/// A request, until its response is taken.
pub(super) struct Exchange {
    activity: Arc<ConnectionActivity>,
    /// The slot of the response, once there is one.
    due: Option<usize>,
}

impl Exchange {
    /// Returns whether the response has to ask the client to close the connection. Over HTTP/2, GOAWAY does that.
    fn closes_connection(&self) -> bool {
        !self.activity.is_http2() && self.activity.closing.load(Ordering::Relaxed)
    }

    /// Records the response.
    fn respond(&mut self, length: u64) {
        let slot = self.activity.due_slot(length);
        self.activity.due[slot].fetch_add(1, Ordering::Relaxed);
        self.activity.pending.fetch_sub(1, Ordering::Relaxed);
        self.due = Some(slot);
        self.touch();
    }

    fn touch(&self) {
        if self.activity.is_http2() {
            self.activity.touch();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        match self.due {
            Some(slot) => self.activity.due[slot].fetch_sub(1, Ordering::Relaxed).into(),
            None => self.activity.pending.fetch_sub(1, Ordering::Relaxed),
        };
        self.touch();
    }
}

/// A response body whose exchange ends when the client has taken it.
pub(super) struct TrackedBody<B> {
    body: B,
    exchange: Option<Exchange>,
}

impl<B: HttpBody> TrackedBody<B> {
    fn new(body: B, mut exchange: Exchange) -> Self {
        let hint = body.size_hint();
        exchange.respond(hint.upper().unwrap_or_else(|| hint.lower()));
        Self { body, exchange: Some(exchange) }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for TrackedBody<B> {
    type Data = TrackedData;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedData>, B::Error>>> {
        let this = self.get_mut();
        if let Some(exchange) = &this.exchange {
            exchange.touch();
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        // The last frame ends the exchange when it is dropped.
        let is_last = this.body.is_end_stream();
        frame.map_ok(|frame| {
            frame.map_data(|bytes| TrackedData {
                bytes,
                _exchange: if is_last { this.exchange.take() } else { None },
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of a response. hyper drops them when they are in the buffer of the system.
pub(super) struct TrackedData {
    bytes: Bytes,
    _exchange: Option<Exchange>,
}

impl Buf for TrackedData {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The start of hyper's response to a head that does not fit into its buffer.
const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 ";
const URL_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A socket that answers 414 instead of 431 if the buffer was filled by the URL alone, which hyper does not distinguish.
pub(super) struct RequestLineStream {
    stream: TcpStream,
    /// True if the end of a line was read since the last write.
    line_ended: bool,
}

impl RequestLineStream {
    fn new(stream: TcpStream) -> Self {
        Self { stream, line_ended: false }
    }

    /// Writes the other response, if this is the one.
    fn poll_replace(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<()>>> {
        let line_ended = std::mem::take(&mut self.line_ended);
        if line_ended || !bytes.starts_with(HEAD_TOO_LARGE) {
            return None;
        }
        let written = Pin::new(&mut self.stream).poll_write(context, URL_TOO_LONG);
        Some(written.map_ok(|_| ()))
    }
}

impl AsyncRead for RequestLineStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        this.line_ended = this.line_ended || buffer.filled()[before..].contains(&b'\n');
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RequestLineStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(replaced) = this.poll_replace(context, bytes) {
            return replaced.map_ok(|()| bytes.len());
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(first) = parts.first()
            && let Some(replaced) = this.poll_replace(context, first)
        {
            return replaced.map_ok(|()| parts.iter().map(|part| part.len()).sum());
        }
        Pin::new(&mut this.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn respond(activity: &Arc<ConnectionActivity>, length: usize) -> TrackedBody<Full<Bytes>> {
        TrackedBody::new(Full::new(Bytes::from(vec![0; length])), activity.start_request(true))
    }

    /// Returns the number of periods after which a response that is never taken is overdue.
    fn periods_until_overdue(length: usize) -> usize {
        let activity = Arc::new(ConnectionActivity::new(PERIOD, Arc::default()));
        let _body = respond(&activity, length);
        (1..100).find(|_| activity.end_period()).unwrap()
    }

    #[test]
    fn response_is_due_after_the_time_that_it_takes_at_the_minimum_rate() {
        let per_period = usize::try_from(MIN_READ_RATE * PERIOD.as_secs()).unwrap();
        assert_eq!(periods_until_overdue(1), 2);
        assert_eq!(periods_until_overdue(per_period - 1), 2);
        assert_eq!(periods_until_overdue(3 * per_period), 5);
        assert_eq!(periods_until_overdue(1000 * per_period), PERIODS);
    }

    #[tokio::test]
    async fn response_that_was_taken_is_not_overdue() {
        let activity = Arc::new(ConnectionActivity::new(PERIOD, Arc::default()));
        for _ in 0..3 * PERIODS {
            let data = respond(&activity, 10).frame().await.unwrap().unwrap().into_data().ok().unwrap();
            assert!(activity.is_busy());
            drop(data);
            assert!(!activity.is_busy() && !activity.end_period());
        }
    }
}
