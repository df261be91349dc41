use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// The rest of a body that is read after a response which did not need it, at most.
const MAX_DRAINED: usize = 128 * 1024 * 1024;
/// The time for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A request body over HTTP/1.1. If the response does not depend on its rest, that is read and discarded: closing the
/// connection while the client still sends would reset it, and many clients then lose the response.
pub(super) struct DrainedBody {
    body: Option<Incoming>,
    /// The client sends nothing until it is asked to (`Expect: 100-continue`), and it was not.
    is_withheld: bool,
}

impl DrainedBody {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        Self { body: Some(body), is_withheld: headers.contains_key(header::EXPECT) }
    }
}

impl Body for DrainedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        this.is_withheld = false;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            this.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
            && !self.is_withheld
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(drain(body));
        }
    }
}

async fn drain(mut body: Incoming) {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut left = MAX_DRAINED;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(deadline, body.frame()).await {
        let length = frame.data_ref().map_or(0, bytes::Buf::remaining);
        let Some(rest) = left.checked_sub(length) else { break };
        left = rest;
    }
}
