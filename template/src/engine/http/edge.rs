//! What happens to every request, whatever its route?
//!
//! One layer gives it its id and trace, its deadline, its metrics and its log line, and turns a panic
//! into a 500. It runs after routing, so that it knows the route's template.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tower_layer::layer_fn;
use tower_service::Service;

use super::activity::Activity;
use super::body::{Incoming, Outgoing};
use super::exchange::{Exchange, Exchanges};
use super::problem::Problem;
use crate::engine::config;
use crate::engine::context::{self, REQUEST, REQUEST_ID, RequestId, TRACEPARENT, Trace};
use crate::engine::links::Links;

/// What the layer needs to know. One per service.
pub struct Edge {
    pub exchanges: Arc<Exchanges>,
    request_timeout: Duration,
    body_limit: usize,
    draining: AtomicBool,
    links: Links,
}

impl Edge {
    #[must_use]
    pub fn new(config: &config::Server, links: &Links) -> Arc<Self> {
        Arc::new(Self {
            exchanges: Arc::default(),
            request_timeout: config.request_timeout,
            body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
            draining: AtomicBool::new(false),
            links: links.clone(),
        })
    }

    /// Puts the edge around the owner's routes.
    pub fn wrap(self: &Arc<Self>, routes: Router) -> Router {
        #[cfg(feature = "drill")]
        let routes = routes.merge(crate::engine::drill::routes(&self.links));
        let edge = Arc::clone(self);
        routes
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "This address does not support the method; see `allow`.",
                )
            })
            .layer((
                layer_fn(move |route| Serve { edge: Arc::clone(&edge), route }),
                DefaultBodyLimit::max(self.body_limit),
            ))
    }

    /// From now on every response asks its client to connect anew, elsewhere.
    pub(in crate::engine) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }
}

/// A route with the edge around it. A service of its own, since axum's `from_fn` costs twice as much.
#[derive(Clone)]
struct Serve<R> {
    edge: Arc<Edge>,
    route: R,
}

impl<R> Service<Request> for Serve<R>
where
    R: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (exchange, request) = self.edge.open(request);
        let handler = self.route.call(request);
        // All of it within the scope, the end of a handler that is given up included.
        Box::pin(REQUEST.scope(exchange.request(), Arc::clone(&self.edge).answer(exchange, handler)))
    }
}

impl Edge {
    /// The head is parsed: the account of the request begins.
    fn open(&self, request: Request) -> (Exchange, Request) {
        // What matched no route shares one label, or scanners would make a series for each path they try.
        let template = request.extensions().get::<MatchedPath>().map_or("_unmatched", MatchedPath::as_str);
        let context = Arc::new(context::Request {
            id: RequestId::from_headers(request.headers()),
            trace: Trace::from_headers(request.headers()),
            method: method(request.method()),
            route: Arc::from(template),
            started: Instant::now(),
            http1: request.version() <= Version::HTTP_11,
            awaits_body: AtomicBool::new(false),
            tasks: self.links.background.tasks(),
        });
        let connection = request.extensions().get::<Activity>().cloned();
        let request = request.map(|body| Incoming::wrap(body, &context));
        (self.exchanges.open(context, connection), request)
    }

    async fn answer(
        self: Arc<Self>,
        mut exchange: Exchange,
        handler: impl Future<Output = Result<Response, Infallible>>,
    ) -> Result<Response, Infallible> {
        let context = exchange.request();
        // Pinned where it is: moving it into each of the wrappers costs more than they do.
        let handler = pin!(handler);
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let (mut response, outcome) = match timeout(self.request_timeout, handler).await {
            Ok(Ok(Ok(response))) => (response, None),
            Ok(Err(_panic)) => (Problem::internal().into_response(), None), // logged by the panic hook
            Err(_) => (too_late(&context).into_response(), Some("timeout")),
        };

        exchange.answered(response.status(), outcome);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, context.id.header());
        headers.insert(TRACEPARENT, context.trace.header());
        if context.http1 && self.draining.load(Relaxed) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || length == Some(0) || context.method == "HEAD" {
            exchange.complete(); // hyper never asks for its body
            return Ok(response);
        }
        Ok(response.map(|body| Outgoing::wrap(body, exchange, length)))
    }
}

/// Whose fault it is that the deadline has passed.
fn too_late(context: &context::Request) -> Problem {
    if context.awaits_body() {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time.")
    } else {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may.")
    }
}

/// The method as a label: what is not a standard one shares `_OTHER`, for clients can send any word.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}
