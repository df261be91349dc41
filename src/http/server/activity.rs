use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What is known of a connection's use.
pub(crate) struct Activity {
    began: Instant,
    /// Whether it turned out to be HTTP/2.
    is_2: OnceLock<bool>,
    /// Requests that are being answered.
    answering: AtomicUsize,
    /// When something was asked, answered or taken last: milliseconds after `began`.
    last: AtomicU64,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_2: OnceLock::new(),
            answering: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// A request has come. In HTTP/1.1 nothing more has to be known.
    pub(crate) fn begin(self: &Arc<Self>, is_2: bool) -> Option<Request> {
        if !*self.is_2.get_or_init(|| is_2) {
            return None;
        }
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Some(Request { activity: Arc::clone(self), is_answered: false })
    }

    /// Waits until the connection was of no use for so long. Of one that speaks HTTP/1.1 others know it.
    pub(crate) async fn none_for(&self, idle: Duration) {
        loop {
            let last = self.last();
            tokio::time::sleep_until(last + idle).await;
            match self.is_2.get() {
                Some(false) => std::future::pending().await,
                // What takes long to be answered has a limit of its own.
                Some(true) if self.answering.load(Ordering::Relaxed) > 0 => self.touch(),
                Some(true) if self.last() > last => {}
                // What may be the beginning of HTTP/2 is waited for before any timer of the protocol runs.
                Some(true) | None => return,
            }
        }
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

/// A request over HTTP/2, until its answer is taken.
pub(crate) struct Request {
    activity: Arc<Activity>,
    is_answered: bool,
}

impl Request {
    fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.activity.answering.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.touch();
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answered();
    }
}

/// A body of which is noted when something of it is taken.
pub(crate) struct Watched<B> {
    body: B,
    request: Option<Request>,
}

impl<B> Watched<B> {
    pub(crate) fn new(body: B, mut request: Option<Request>) -> Self {
        if let Some(request) = &mut request {
            request.answered();
        }
        Self { body, request }
    }
}

impl<B: Body<Data: Buf> + Unpin> Body for Watched<B> {
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
