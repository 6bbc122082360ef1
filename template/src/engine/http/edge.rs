//! What happens to every request, whatever its route?
//!
//! One layer gives it its id and trace, its deadline, its metrics and its log line, and turns a panic
//! into a 500. It runs after routing, so that it knows the route's template.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body::Body as _;

use super::body::{Incoming, Outgoing};
use super::exchange::Exchanges;
use super::problem::Problem;
use super::server::ActiveRequests;
use crate::engine::config;
use crate::engine::context::{self, REQUEST, REQUEST_ID, RequestId, TRACEPARENT, Trace};
use crate::engine::links::Links;

/// What the layer needs to know. One per service; clones share it.
#[derive(Clone)]
pub struct Edge {
    pub exchanges: Arc<Exchanges>,
    request_timeout: Duration,
    body_limit: usize,
    draining: Arc<AtomicBool>,
    links: Links,
}

impl Edge {
    #[must_use]
    pub fn new(config: &config::Server, links: &Links) -> Self {
        Self {
            exchanges: Arc::default(),
            request_timeout: config.request_timeout,
            body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
            draining: Arc::default(),
            links: links.clone(),
        }
    }

    /// Puts the edge around the owner's routes.
    pub fn wrap(&self, routes: Router) -> Router {
        #[cfg(feature = "drill")]
        let routes = routes.merge(crate::engine::drill::routes(&self.links));
        routes
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "This address does not support the method; see `allow`.",
                )
            })
            .layer(DefaultBodyLimit::max(self.body_limit))
            .layer(middleware::from_fn_with_state(self.clone(), serve))
    }

    /// From now on every response asks its client to connect anew, elsewhere.
    pub(in crate::engine) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }
}

async fn serve(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    // What matched no route shares one label, or scanners would make a series for each path they try.
    let route = request.extensions().get::<MatchedPath>().map_or("_unmatched", MatchedPath::as_str);
    let context = Arc::new(context::Request {
        id: RequestId::from_headers(request.headers()),
        trace: Trace::from_headers(request.headers()),
        method: method(request.method()),
        route: Arc::from(route),
        started: Instant::now(),
        awaits_body: AtomicBool::new(false),
        tasks: edge.links.background.tasks(),
    });
    let connection = request.extensions().get::<ActiveRequests>().map(|active| Arc::clone(&active.0));
    let http1 = request.version() <= Version::HTTP_11;
    let mut exchange = edge.exchanges.open(Arc::clone(&context), connection);
    let request = request.map(|body| Incoming::wrap(body, &context));

    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answer = REQUEST.scope(Arc::clone(&context), async {
        match tokio::time::timeout(edge.request_timeout, handler).await {
            Ok(Ok(response)) => (response, None),
            Ok(Err(_panic)) => (Problem::internal().into_response(), None), // logged by the panic hook
            Err(_) if context.awaits_body() => {
                let problem =
                    Problem::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time.");
                (problem.into_response(), Some("timeout"))
            }
            Err(_) => {
                let problem =
                    Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may.");
                (problem.into_response(), Some("timeout"))
            }
        }
    });
    let (mut response, outcome) = answer.await;

    exchange.answered(response.status(), outcome);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, context.id.header());
    headers.insert(TRACEPARENT, context.trace.header());
    if http1 && edge.draining.load(Relaxed) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if context.method == "HEAD" {
        exchange.complete(); // its body is never sent
        return response;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    response.map(|body| {
        let exact = body.size_hint().exact();
        Outgoing::wrap(body, exchange, length.or(exact))
    })
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
