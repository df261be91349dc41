use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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
    pub(super) fn new(stream: TcpStream) -> Self {
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
