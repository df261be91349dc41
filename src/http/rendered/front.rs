use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::header;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tower::Service;
use tower::util::Oneshot;

use super::through::{is_anonymous_read, key};
use crate::http::{App, edge, observe, request_id};

/// The whole application, without a socket: rendered responses, and the long way behind them. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    inner: Arc<Inner>,
    peer: Option<SocketAddr>,
}

struct Inner {
    app: App,
    long_way: Router,
}

impl Front {
    /// Puts what is rendered in front of the routes.
    pub(in crate::http) fn new(app: App, long_way: Router) -> Self {
        Self { inner: Arc::new(Inner { app, long_way }), peer: None }
    }

    /// For each connection a service that knows whose it is.
    pub fn connections(self) -> Connections {
        Connections(self)
    }

    /// The answer, if it is rendered and holds, with what this request has of its own.
    fn ready(&self, request: &Request) -> Option<Response> {
        let (method, headers) = (request.method(), request.headers());
        if !is_anonymous_read(method, headers) {
            return None;
        }
        let app = &self.inner.app;
        let mut response = app.rendered.ready(key(request.uri()), method, headers)?;
        let id = request_id::of(headers, &*app.clock);
        observe::answered_at_once(request, &id, response.status());
        let head = response.headers_mut();
        head.insert(request_id::NAME, id);
        if let Some(origin) = headers.get(header::ORIGIN) {
            edge::allow(&app.edge, head, origin);
        }
        edge::want_https(&app.edge, head, request, self.peer);
        Some(response)
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answer {
        if let Some(response) = self.ready(&request) {
            return Answer::Ready(ready(Ok(response)));
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        Answer::Long(Box::pin(tower::ServiceExt::oneshot(self.inner.long_way.clone(), request)))
    }
}

/// An answer that is there, or on its way.
pub enum Answer {
    /// It is there.
    Ready(Ready<Result<Response, Infallible>>),
    /// It is on its way.
    Long(Pin<Box<Oneshot<Router, Request>>>),
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(ready) => Pin::new(ready).poll(context),
            Self::Long(long) => long.as_mut().poll(context),
        }
    }
}

/// Makes a [`Front`] for each connection.
#[derive(Clone)]
pub struct Connections(Front);

impl<L: Listener<Addr = SocketAddr>> Service<IncomingStream<'_, L>> for Connections {
    type Response = Front;
    type Error = Infallible;
    type Future = Ready<Result<Front, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(Front { inner: Arc::clone(&self.0.inner), peer: Some(*stream.remote_addr()) }))
    }
}
