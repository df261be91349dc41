use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::{self, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
use tower::Service;
use tower::util::Oneshot;

use super::middleware::{is_anonymous_read, key};
use crate::http::AppState;
use crate::http::middleware::{self, access_log, request_id};

/// The whole application, without a socket: rendered responses, and the long way behind them. Cheap to clone.
#[derive(Clone)]
pub struct CachedService {
    inner: Arc<Inner>,
    peer: Option<SocketAddr>,
}

struct Inner {
    app: AppState,
    long_way: Router,
    template: Template,
}

/// Returns the template of the route that a path belongs to.
type Template = fn(&str) -> Option<&'static str>;

/// An answer that is made.
pub(crate) type RouterFuture = Pin<Box<Oneshot<Router, Request>>>;

impl CachedService {
    /// Puts what is rendered in front of the routes.
    pub(crate) fn new(app: AppState, long_way: Router, template: Template) -> Self {
        Self { inner: Arc::new(Inner { app, long_way, template }), peer: None }
    }

    /// The same for whoever connected from this address.
    pub(crate) fn with_peer(self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// The answer, if it is rendered and holds, with what this request has of its own.
    pub(crate) fn ready<B>(&self, request: &http::Request<B>) -> Option<http::Response<Bytes>> {
        let (method, headers) = (request.method(), request.headers());
        if !is_anonymous_read(method, headers) {
            return None;
        }
        let app = &self.inner.app;
        let mut response = app.cache.ready(key(request.uri()), method, headers)?;
        let id = request_id::of(headers, &*app.clock);
        access_log::answered_at_once(request, self.inner.template, &id, response.status());
        let head = response.headers_mut();
        head.insert(request_id::NAME, id);
        if let Some(origin) = headers.get(header::ORIGIN) {
            middleware::allow(&app.middleware, head, origin);
        }
        middleware::want_https(&app.middleware, head, request, self.peer);
        Some(response)
    }

    /// The answer, by the routes.
    pub(crate) fn long_way(&self, mut request: Request) -> RouterFuture {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        Box::pin(tower::ServiceExt::oneshot(self.inner.long_way.clone(), request))
    }
}

impl Service<Request> for CachedService {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouterFuture>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.ready(&request) {
            Some(response) => Either::Left(ready(Ok(response.map(Body::from)))),
            None => Either::Right(self.long_way(request)),
        }
    }
}
