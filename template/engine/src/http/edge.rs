//! What happens to every request, whatever its route?
//!
//! One layer gives it its id and trace, its account, its deadline, its place, its metrics and its log line, and
//! turns a panic into a 500. It runs after routing, so that it knows the route's template.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body::Body as _;
use metrics::{Gauge, gauge};
use tokio::time::timeout_at;
use tower_layer::layer_fn;
use tower_service::Service;

use super::activity::Activity;
use super::body::{Incoming, Outgoing};
use super::client::Proxies;
use super::exchange::Exchange;
use super::limit::{Limit, TooLarge};
use super::problem::{self, Problem};
use super::refusal::{Target, dress, reword};
use super::stopping::Endless;
use crate::admission::{Admission, Shed};
use crate::config::Config;
use crate::ledger::Phase;
use crate::life::{Life, Stage};
use crate::links::Links;
use crate::request::{Followed, REQUEST, REQUEST_ID, Request as Record, Requests, TRACEPARENT};
use crate::units::millis;

/// What the layer needs to know. One per service.
pub struct Edge {
    pub requests: Arc<Requests>,
    admission: Admission,
    body_limit: u64,
    server_timing: bool,
    /// `log.client_addr`.
    logs_client: bool,
    proxies: Proxies,
    in_flight: Gauge,
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
    pub fn new(config: &Config, links: &Links, life: &Life) -> Arc<Self> {
        Arc::new(Self {
            requests: Requests::new(config, &links.instruments, links.background.tasks(), life.clone()),
            admission: links.admission.clone(),
            body_limit: config.server.body_limit.as_u64(),
            server_timing: config.server.server_timing,
            logs_client: config.log.client_addr,
            proxies: Proxies::new(&config.server),
            in_flight: gauge!("http_requests_in_flight"),
        })
    }

    /// Puts the edge around the owner's routes.
    pub fn wrap(self: &Arc<Self>, routes: Router) -> Router {
        let edge = Arc::clone(self);
        routes.layer(layer_fn(move |route| Serve { edge: Arc::clone(&edge), route }))
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
        let record = exchange.record();
        // The whole answer is within the scope. So a handler that is given up is dropped within the scope, too.
        let answer =
            REQUEST.scope(exchange.record(), Arc::clone(&self.edge).answer(exchange, http1, asked, handler));
        let answer = Box::pin(answer);
        record.account.poll_ends(Some(Phase::LoopDelay)); // from here on it can go on
        Followed::new(record, answer)
    }
}

impl Edge {
    /// The head is parsed: the account of the request begins.
    fn open(&self, request: Request, http2: bool) -> (Exchange, Request, Asked) {
        // What matched no route shares one label, or scanners would make a series for each path they try.
        let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let target = Target::of(&request, template.is_some());
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let client = peer.map(|peer| self.proxies.client(peer.0.ip(), request.headers()));
        let (method, route) = (method(request.method()), template.unwrap_or("_unmatched"));
        let record = Record::open(&self.requests, request.headers(), method, route, client);
        let connection = request.extensions().get::<Activity>().cloned();
        let (request, limit) = self.limit(request, &record, http2);
        let exchange = Exchange::open(record, connection, &self.in_flight, self.logs_client);
        (exchange, request, Asked { target, limit })
    }

    /// Counts what comes in, if there is a body.
    fn limit(
        &self,
        mut request: Request,
        record: &Arc<Record>,
        http2: bool,
    ) -> (Request, Option<Arc<Limit>>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        DefaultBodyLimit::disable().apply(&mut request); // ours holds for every reader
        let limit = Limit::new(self.body_limit);
        request.extensions_mut().insert(Arc::clone(&limit));
        let waits = request.headers().contains_key(header::EXPECT);
        let wrap = |body| Incoming::wrap(body, record, Arc::clone(&limit), http2, waits);
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
        let record = exchange.record();
        // Pinned where it is: moving it into each of the wrappers costs more than they do.
        let handler = pin!(handler);
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let admitted = async {
            exchange.admitted(self.admission.enter().await?);
            Ok(handler.await)
        };
        let (mut response, mut outcome) = match timeout_at(record.deadline, admitted).await {
            Ok(Ok(Ok(Ok(response)))) if response.status().as_u16() < 400 => (response, None),
            Ok(Ok(Ok(Ok(response)))) => (reword(response, target, record.meters.method), None),
            Ok(Ok(Err(_panic))) => (Problem::internal().into_response(), None), // logged by the panic hook
            Ok(Err(Shed)) => {
                (Problem::overloaded("Too many requests are being served.").into_response(), None)
            }
            Err(_) => (too_late(&record).into_response(), Some("timeout")),
        };

        let too_large = limit.is_some_and(|limit| limit.was_exceeded());
        if too_large {
            // Whatever the handler made of it, and if it still waited.
            response = dress(response, Problem::from(TooLarge).into_response());
            outcome = None;
        }
        if let Some(pending) = response.extensions_mut().remove::<problem::Pending>() {
            let tells = self.server_timing && response.status().as_u16() >= 503;
            pending.complete(record.id.as_str(), tells.then(|| spent(&record)));
        }
        let is_endless = response.extensions().get::<Endless>().is_some();
        let stays_http = exchange.answered(response.status(), outcome, is_endless);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, record.id.header());
        headers.insert(TRACEPARENT, record.trace.header());
        if http1 && stays_http && (too_large || self.requests.life.stage() >= Stage::Draining) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.server_timing {
            headers.extend(server_timing(&record).map(|value| (SERVER_TIMING, value)));
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || length == Some(0) || record.meters.method == "HEAD" {
            exchange.complete(); // hyper never asks for its body
            return Ok(response);
        }
        Ok(response.map(|body| Outgoing::wrap(body, exchange, length)))
    }
}

/// Whose fault it is that the deadline has passed.
fn too_late(record: &Record) -> Problem {
    if record.account.give_up() == Phase::RequestBody {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time.")
    } else {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may.")
    }
}

/// Where the time went until now, in words.
fn spent(record: &Record) -> String {
    let (age, shares) = (record.account.age(), record.account.shares());
    let longest = shares.longest();
    let time = Duration::from_nanos(shares[longest]);
    format!("It took {:.3} s, {:.3} s of it {}.", age.as_secs_f64(), time.as_secs_f64(), longest.words())
}

/// Where the time went until now, in milliseconds; what follows the head cannot be in it.
fn server_timing(record: &Record) -> Option<HeaderValue> {
    let shares = record.account.shares();
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
