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

use super::response_cache::{CacheMiss, Lookup};
use crate::http::AppState;
use crate::http::middleware::{self, X_REQUEST_ID, access_log, request_id};

/// The whole application without a socket: the response cache in front of the router. Cheap to clone.
#[derive(Clone)]
pub struct CachedService {
    inner: Arc<Inner>,
    peer: Option<SocketAddr>,
}

struct Inner {
    app: AppState,
    router: Router,
}

/// The future of a response from the router.
pub(crate) type RouterFuture = Pin<Box<Oneshot<Router, Request>>>;

impl CachedService {
    pub(crate) fn new(app: AppState, router: Router) -> Self {
        Self { inner: Arc::new(Inner { app, router }), peer: None }
    }

    /// Returns the service for a connection from this address.
    pub(crate) fn with_peer(self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Returns the cached response with the headers that depend on the request.
    ///
    /// # Errors
    /// The miss, for [`Self::route`].
    pub(crate) fn lookup<B>(&self, request: &http::Request<B>) -> Result<http::Response<Bytes>, CacheMiss> {
        let app = &self.inner.app;
        let (mut response, route) = match app.cache.lookup(request) {
            Lookup::Hit { response, route } => (response, route),
            Lookup::Miss(miss) => return Err(miss),
        };
        let id = request_id::from_headers(request.headers(), &*app.clock);
        access_log::log_cached_response(request, route, &id, response.status());
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, id);
        if let Some(origin) = request.headers().get(header::ORIGIN) {
            middleware::allow_origin(&app.middleware, headers, origin);
        }
        middleware::add_hsts(&app.middleware, headers, request, self.peer);
        Ok(response)
    }

    /// Answers a request that is not cached by the router.
    pub(crate) fn route(&self, mut request: Request, miss: CacheMiss) -> RouterFuture {
        request.extensions_mut().insert(miss);
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        Box::pin(tower::ServiceExt::oneshot(self.inner.router.clone(), request))
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
        match self.lookup(&request) {
            Ok(response) => Either::Left(ready(Ok(response.map(Body::from)))),
            Err(miss) => Either::Right(self.route(request, miss)),
        }
    }
}
