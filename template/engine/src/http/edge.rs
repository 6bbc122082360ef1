//! What happens to every request, whatever its route?
//!
//! One layer gives the request its id and trace, its account, its deadline, its place, its metrics and its log line,
//! and turns a panic into a 500. The layer runs after routing, so that it knows the route's template.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
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
use super::refusal::{Refusals, Target, dress, reword};
use super::stopping::Endless;
use super::timing;
use crate::admission::{Admission, Shed};
use crate::config::Config;
use crate::ledger::Phase;
use crate::life::{Life, Stage};
use crate::links::Links;
use crate::request::{Followed, REQUEST, REQUEST_ID, Request as Record, Requests, TRACEPARENT};

/// What the layer needs to know. There is one for each service.
pub struct Edge {
    pub requests: Arc<Requests>,
    admission: Admission,
    refusals: Refusals,
    body_limit: u64,
    server_timing: bool,
    /// The setting `log.client_addr`.
    logs_client: bool,
    proxies: Proxies,
    in_flight: Gauge,
}

/// The facts about a request that the edge still needs when the handler has returned.
struct Asked {
    http1: bool,
    target: Target,
    /// None if the request has no body.
    limit: Option<Arc<Limit>>,
}

impl Asked {
    fn was_too_large(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| limit.was_exceeded())
    }
}

impl Edge {
    #[must_use]
    pub fn new(config: &Config, links: &Links, life: &Life, refusals: Refusals) -> Arc<Self> {
        Arc::new(Self {
            requests: Requests::new(config, &links.instruments, links.background.tasks(), life.clone()),
            admission: links.admission.clone(),
            refusals,
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

/// A route with the edge around it. This is a service of its own, because axum's `from_fn` costs twice as much.
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
        let (exchange, request, asked) = self.edge.open(request);
        let handler = self.route.call(request);
        let record = exchange.record();
        // The scope is around the whole answer, so that a handler that is given up is dropped within the scope, too.
        let answer = Box::pin(
            REQUEST.scope(exchange.record(), Arc::clone(&self.edge).answer(exchange, asked, handler)),
        );
        record.account.poll_ends(Some(Phase::LoopDelay)); // the request can go on, and waits for the event loop
        Followed::new(record, answer)
    }
}

impl Edge {
    /// Begins the account of a request whose head is parsed.
    fn open(&self, request: Request) -> (Exchange, Request, Asked) {
        let http1 = request.version() <= Version::HTTP_11;
        // Requests that match no route share one label. Otherwise scanners would make a series for each path they try.
        let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let target = Target::of(&request, template.is_some());
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let client = peer.map(|peer| self.proxies.client(peer.0.ip(), request.headers()));
        let (method, route) = (method(request.method()), template.unwrap_or("_unmatched"));
        let record = Record::open(&self.requests, request.headers(), method, route, client);
        let connection = request.extensions().get::<Activity>().cloned();
        let (request, limit) = self.limit(request, &record, http1);
        let exchange = Exchange::open(record, connection, &self.in_flight, self.logs_client);
        (exchange, request, Asked { http1, target, limit })
    }

    /// Counts the bytes of the request's body, if there is a body.
    fn limit(
        &self,
        mut request: Request,
        record: &Arc<Record>,
        http1: bool,
    ) -> (Request, Option<Arc<Limit>>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        DefaultBodyLimit::disable().apply(&mut request); // our limit holds for every reader of the body
        let limit = Limit::new(self.body_limit);
        request.extensions_mut().insert(Arc::clone(&limit));
        let waits = request.headers().contains_key(header::EXPECT);
        let wrap = |body| Incoming::wrap(body, record, Arc::clone(&limit), http1, waits);
        (request.map(wrap), Some(limit))
    }

    async fn answer(
        self: Arc<Self>,
        mut exchange: Exchange,
        asked: Asked,
        handler: impl Future<Output = Result<Response, Infallible>>,
    ) -> Result<Response, Infallible> {
        if exchange.is_unseen() {
            return Ok(exchange.without_an_answer());
        }
        let (response, outcome) = self.serve(&mut exchange, &asked, handler).await;
        Ok(self.send(exchange, &asked, response, outcome))
    }

    /// Lets the request in, and waits for its handler until the deadline. Returns an outcome only if the status of the
    /// response does not tell the outcome.
    async fn serve(
        &self,
        exchange: &mut Exchange,
        asked: &Asked,
        handler: impl Future<Output = Result<Response, Infallible>>,
    ) -> (Response, Option<&'static str>) {
        let record = exchange.record();
        // The handler is pinned where it is, because moving it into each wrapper costs more than the wrappers do.
        let handler = pin!(handler);
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let admitted = async {
            exchange.admitted(self.admission.enter().await?);
            Ok(handler.await)
        };
        let (response, outcome) = match timeout_at(record.deadline, admitted).await {
            Ok(Ok(Ok(Ok(response)))) if response.status().as_u16() < 400 => (response, None),
            Ok(Ok(Ok(Ok(response)))) if self.refusals == Refusals::Kept => (response, None),
            Ok(Ok(Ok(Ok(response)))) => (reword(response, asked.target, record.meters.method), None),
            Ok(Ok(Err(_panic))) => (Problem::internal().into_response(), None), // the panic hook has logged it
            Ok(Err(Shed)) => {
                (Problem::overloaded("Too many requests are being served.").into_response(), None)
            }
            Err(_) => (too_late(&record).into_response(), Some("timeout")),
        };
        if asked.was_too_large() {
            // This counts whatever the handler made of the error, and also if the handler still waited.
            return (dress(response, Problem::from(TooLarge).into_response()), None);
        }
        (response, outcome)
    }

    /// Completes the head of the response. From here on the exchange belongs to the body.
    fn send(
        &self,
        mut exchange: Exchange,
        asked: &Asked,
        mut response: Response,
        outcome: Option<&'static str>,
    ) -> Response {
        let record = exchange.record();
        let status = response.status();
        if let Some(pending) = response.extensions_mut().remove::<problem::Pending>() {
            let tells = self.server_timing && status.as_u16() >= 503;
            let length =
                pending.complete(record.id.as_str(), tells.then(|| timing::in_words(&record.account)));
            // A router within the owner's router has taken the body away before its length was known.
            if record.meters.method == "HEAD" && response.body().is_end_stream() {
                response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
            }
        }
        let is_endless = response.extensions().get::<Endless>().is_some();
        let stays_http = exchange.answered(status, outcome, is_endless);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, record.id.header());
        headers.insert(TRACEPARENT, record.trace.header());
        let is_last = || asked.was_too_large() || record.all.life.stage() >= Stage::Draining;
        if asked.http1 && stays_http && is_last() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.server_timing {
            headers.extend(timing::header(&record.account));
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || length == Some(0) || record.meters.method == "HEAD" {
            exchange.complete(); // hyper never asks for its body
            return response;
        }
        response.map(|body| Outgoing::wrap(body, exchange, length))
    }
}

/// The problem of a request whose deadline has passed. It says whether the client or the service was too slow.
fn too_late(record: &Record) -> Problem {
    if record.account.give_up() == Phase::RequestBody {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time.")
    } else {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may.")
    }
}

/// The method as a label. All methods that are not standard share `_OTHER`, because clients can send any word.
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
