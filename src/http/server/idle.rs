use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Tracks when a connection was last active.
pub(crate) struct ConnectionActivity {
    started: Instant,
    /// The protocol, known from the first request.
    is_http2: OnceLock<bool>,
    /// The number of HTTP/2 requests without a response.
    pending: AtomicUsize,
    /// The time of the last request, response or frame that the client took, in milliseconds after `started`.
    last_active: AtomicU64,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            is_http2: OnceLock::new(),
            pending: AtomicUsize::new(0),
            last_active: AtomicU64::new(0),
        }
    }

    /// Records a request. Returns `None` over HTTP/1.1, which hyper watches over.
    pub(crate) fn start_request(self: &Arc<Self>, is_http2: bool) -> Option<Http2Request> {
        if !*self.is_http2.get_or_init(|| is_http2) {
            return None;
        }
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Some(Http2Request { activity: Arc::clone(self), is_answered: false })
    }

    /// Waits until the connection has been idle for this long. Never returns over HTTP/1.1.
    pub(crate) async fn wait_until_idle(&self, timeout: Duration) {
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
pub(crate) struct Http2Request {
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
pub(crate) struct TrackedBody<B> {
    body: B,
    request: Option<Http2Request>,
}

impl<B> TrackedBody<B> {
    pub(crate) fn new(body: B, mut request: Option<Http2Request>) -> Self {
        if let Some(request) = &mut request {
            request.answered();
        }
        Self { body, request }
    }
}

impl<B: Body<Data: Buf> + Unpin> Body for TrackedBody<B> {
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
