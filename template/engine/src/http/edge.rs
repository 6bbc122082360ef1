//! What happens to every request, whatever its route?
//!
//! One layer gives it its id and trace, its account, its deadline, its place, its metrics and its log line, and
//! turns a panic into a 500. It runs after routing, so that it knows the route's template.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};
use tower_layer::layer_fn;
use tower_service::Service;

use super::activity::Activity;
use super::body::{Incoming, Outgoing, Stream};
use super::client::Proxies;
use super::exchange::{Exchange, Exchanges};
use super::limit::{Limit, TooLarge};
use super::problem::Problem;
use super::refusal::{Target, dress, reword};
use crate::admission::Shed;
use crate::config::{self, Config};
use crate::context::{self, REQUEST, REQUEST_ID, RequestId, TRACEPARENT, Trace};
use crate::finish::Finishing;
use crate::ledger::{Followed, Phase};
use crate::links::Links;
use crate::log::millis;

/// What the layer needs to know. One per service.
pub struct Edge {
    pub exchanges: Arc<Exchanges>,
    body_limit: u64,
    server_timing: bool,
    proxies: Proxies,
    draining: AtomicBool,
    links: Links,
}

/// What of a request the edge has to know after its handler.
struct Asked {
    target: Target,
    /// None where there is no body.
    limit: Option<Arc<Limit>>,
}

/// <https://www.w3.org/TR/server-timing/>; browsers draw it in their network panel.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Edge {
    #[must_use]
    pub fn new(config: &Config, links: &Links) -> Arc<Self> {
        let config::ServerConfig { body_limit, server_timing, .. } = config.server;
        Arc::new(Self {
            exchanges: Exchanges::new(links, config),
            body_limit: body_limit.as_u64(),
            server_timing,
            proxies: Proxies::new(&config.server),
            draining: AtomicBool::new(false),
            links: links.clone(),
        })
    }

    /// Puts the edge around the owner's routes.
    pub fn wrap(self: &Arc<Self>, routes: Router) -> Router {
        #[cfg(feature = "drill")]
        let routes = routes.merge(crate::drill::routes(&self.links));
        let edge = Arc::clone(self);
        routes.layer(layer_fn(move |route| Serve { edge: Arc::clone(&edge), route }))
    }

    /// From now on every response asks its client to connect anew, elsewhere.
    pub(crate) fn drain(&self) {
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
    type Future = Followed<Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let http1 = request.version() <= Version::HTTP_11;
        let (exchange, request, asked) = self.edge.open(request, !http1);
        let handler = self.route.call(request);
        let request = exchange.request();
        // All of it within the scope, the end of a handler that is given up included.
        let answer =
            REQUEST.scope(exchange.request(), Arc::clone(&self.edge).answer(exchange, http1, asked, handler));
        let answer = Box::pin(answer);
        request.account.poll_ends(Some(Phase::LoopDelay)); // from here on it can go on
        Followed::new(request, answer)
    }
}

impl Edge {
    /// The head is parsed: the account of the request begins.
    fn open(&self, request: Request, http2: bool) -> (Exchange, Request, Asked) {
        // What matched no route shares one label, or scanners would make a series for each path they try.
        let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let target = Target::of(&request, template.is_some());
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let context = Arc::new(context::Request {
            account: self.links.ledger.account(), // first: it holds the time
            id: RequestId::from_headers(request.headers()),
            trace: Trace::from_headers(request.headers()),
            meters: self.exchanges.routes.meters(method(request.method()), template.unwrap_or("_unmatched")),
            client: peer.map(|peer| self.proxies.client(peer.0.ip(), request.headers())),
            tells: self.server_timing,
            home: Arc::clone(&self.exchanges),
            deadline: Instant::now() + self.exchanges.request_timeout,
            is_answered: AtomicBool::new(false),
            finishing: Finishing::default(),
        });
        let connection = request.extensions().get::<Activity>().cloned();
        let (request, limit) = self.limit(request, &context, http2);
        (self.exchanges.open(context, connection), request, Asked { target, limit })
    }

    /// Counts what comes in, if there is a body.
    fn limit(
        &self,
        mut request: Request,
        context: &Arc<context::Request>,
        http2: bool,
    ) -> (Request, Option<Arc<Limit>>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        DefaultBodyLimit::disable().apply(&mut request); // ours holds for every reader
        let limit = Limit::new(self.body_limit);
        request.extensions_mut().insert(Arc::clone(&limit));
        let waits = request.headers().contains_key(header::EXPECT);
        let wrap = |body| Incoming::wrap(body, context, Arc::clone(&limit), http2, waits);
        (request.map(wrap), Some(limit))
    }

    async fn answer(
        self: Arc<Self>,
        mut exchange: Exchange,
        http1: bool,
        Asked { target, limit }: Asked,
        handler: impl Future<Output = Result<Response, Infallible>>,
    ) -> Result<Response, Infallible> {
        if exchange.is_too_late() {
            exchange.give_up();
            return Ok(Response::default()); // nobody gets it; the exchange's end writes the line
        }
        let context = exchange.request();
        // Pinned where it is: moving it into each of the wrappers costs more than they do.
        let handler = pin!(handler);
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let admitted = async {
            exchange.admitted(self.links.admission.enter().await?);
            Ok(handler.await)
        };
        let (mut response, mut outcome) = match timeout_at(context.deadline, admitted).await {
            Ok(Ok(Ok(Ok(response)))) if response.status().as_u16() < 400 => (response, None),
            Ok(Ok(Ok(Ok(response)))) => (reword(response, target, context.meters.method), None),
            Ok(Ok(Err(_panic))) => (Problem::internal().into_response(), None), // logged by the panic hook
            Ok(Err(Shed)) => {
                (Problem::overloaded("Too many requests are being served.").into_response(), None)
            }
            Err(_) => (too_late(&context).into_response(), Some("timeout")),
        };

        let too_large = limit.is_some_and(|limit| limit.was_exceeded());
        if too_large {
            // Whatever the handler made of it, and if it still waited.
            response = dress(response, Problem::from(TooLarge).into_response());
            outcome = None;
        }
        let is_stream = response.extensions().get::<Stream>().is_some();
        let stays_http = exchange.answered(response.status(), outcome, is_stream);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, context.id.header());
        headers.insert(TRACEPARENT, context.trace.header());
        if http1 && stays_http && (too_large || self.draining.load(Relaxed)) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.server_timing {
            headers.extend(server_timing(&context).map(|value| (SERVER_TIMING, value)));
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || length == Some(0) || context.meters.method == "HEAD" {
            exchange.complete(); // hyper never asks for its body
            return Ok(response);
        }
        Ok(response.map(|body| Outgoing::wrap(body, exchange, length)))
    }
}

/// Whose fault it is that the deadline has passed.
fn too_late(context: &context::Request) -> Problem {
    if context.account.give_up() == Phase::RequestBody {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time.")
    } else {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may.")
    }
}

/// Where the time went until now, in milliseconds; what follows the head cannot be in it.
fn server_timing(context: &context::Request) -> Option<HeaderValue> {
    let shares = context.account.shares();
    let phases = shares.taken().map(|(phase, time)| format!("{};dur={:.3}", phase.name(), millis(time)));
    HeaderValue::try_from(phases.collect::<Vec<_>>().join(", ")).ok()
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
