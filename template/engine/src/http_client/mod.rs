//! How does this service call others, and does it wait for a place to do so?
//!
//! Calls are made with reqwest, sent through here: with a bound on how many run at once, over all and for each
//! host, held until the answer's body is read. reqwest itself has no such bound, so one slow service would
//! gather all requests at itself. `http_client_wait_seconds` rising means that the bounds bind;
//! `http_client_request_seconds`, that the other service is slow.
//!
//! A redirect is an answer like any other, and is not followed: the next hop would run in the place of the first
//! host, and be counted for it. Which hosts have bounds of their own is in [`host`], what is sent once more in [`repeat`].

mod host;
mod repeat;
mod reply;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Gauge, gauge};
use reqwest::redirect::Policy;
use reqwest::{IntoUrl, Method, Request, RequestBuilder, Response};
use tokio::sync::Semaphore;
use tower::util::MapResponseLayer;

use self::host::{End, Host, Hosts, Places, TimedCall};
use self::repeat::FailedAttempt;
pub use self::reply::{CallError, Reply};
use super::config;
use super::identity::Identity;
use super::ledger::Phase;
use super::measure::{Counted, Timed};
use super::request::{self, REQUEST_ID, TRACEPARENT};

/// Variables by which reqwest sends calls through a proxy, as curl does.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Calls other services, with bounds on how many calls run at once. Clones share connections and bounds.
///
/// A call is built with reqwest's `RequestBuilder`, and sent by [`send`](Self::send). The bounds are `http_client.max_in_flight`
/// over all and `http_client.max_per_host` for each host. Redirects are not followed.
///
/// ```
/// use axum::http::StatusCode;
/// use longpole::{HttpClient, Problem};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Quote {
///     text: String,
/// }
///
/// async fn quote(http: &HttpClient) -> Result<Quote, Problem> {
///     let reply = http.send(http.get("http://quotes.internal/today")).await?;
///     if !reply.status().is_success() {
///         return Err(Problem::new(StatusCode::BAD_GATEWAY, "The other service has no quote."));
///     }
///     Ok(reply.json().await?)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reqwest: reqwest::Client,
    /// Opens a connection for each call: what is sent once more must not meet a second one that is closing.
    unpooled: reqwest::Client,
    places: Arc<Semaphore>,
    hosts: Hosts,
    timeout: Duration,
    body_limit: usize,
    in_flight: Gauge,
    waiting: Gauge,
}

impl HttpClient {
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new(config: &config::HttpClientConfig, identity: Identity) -> Result<Self, NoTls> {
        // Once for the process; a second service in it finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let proxies: Vec<_> = PROXIES.into_iter().filter(is_set).collect();
        if !proxies.is_empty() {
            tracing::info!(variables = ?proxies, "the environment sends calls to other services through a proxy");
        }
        let reqwest = build(config, identity, config.max_per_host)?;
        let unpooled = build(config, identity, 0)?;
        Ok(Self(Arc::new(Inner {
            reqwest,
            unpooled,
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            hosts: Hosts::new(config.max_per_host),
            timeout: config.timeout,
            body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
            in_flight: gauge!("http_client_in_flight"),
            waiting: gauge!("http_client_waiters"),
        })))
    }

    /// Begins a GET as reqwest does; give it to [`send`](Self::send), not to its own `send`.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a call as reqwest does; give it to [`send`](Self::send), not to its own `send`. `method` is axum's
    /// `http::Method` as well.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.0.reqwest.request(method, url)
    }

    /// Waits for a place and for the head of the answer. The request's id and trace go along, in `x-request-id` and
    /// `traceparent`. The call has `http_client.timeout` to its last byte, unless it has set a timeout itself. If its
    /// connection was about to be closed, it is sent once more, provided that it may be: its method is idempotent, or
    /// it has the header `idempotency-key`.
    ///
    /// # Errors
    /// As [`CallError`] says; an answer with any status is none. `?` in a handler makes it 504 or 502.
    pub async fn send(&self, call: RequestBuilder) -> Result<Reply, CallError> {
        let mut call = call.build().map_err(CallError::of)?;
        let host = self.0.hosts.of(call.url());
        let places = self.places(&host).await;
        request::with_current(|request| {
            call.headers_mut().insert(REQUEST_ID, request.id.header());
            call.headers_mut().insert(TRACEPARENT, request.trace.header());
        });
        // From here to the end of the body. The request's own deadline ends the call as well: it drops it.
        call.timeout_mut().get_or_insert(self.0.timeout);
        let mut timed = TimedCall::start(host);
        let response = request::wait(Phase::HttpUpstream, self.execute(call, &timed)).await;
        timed.end = response.as_ref().map_or(End::Error, |it| End::Status(it.status()));
        Ok(Reply { response: response?, limit: self.0.body_limit, timed, _places: places })
    }

    /// Sends it, and once more if it met a connection that was closing; both within one place and one timeout.
    async fn execute(&self, call: Request, timed: &TimedCall) -> Result<Response, CallError> {
        let copy = repeat::copy(&call);
        #[expect(clippy::disallowed_methods, reason = "this is the client that the ban points to")]
        let execute = |client: &reqwest::Client, call| client.execute(call);
        match (repeat::attempt(execute(&self.0.reqwest, call)).await, copy) {
            (Ok(response), _) => Ok(response),
            (Err(FailedAttempt::Closed(_)), Some(mut copy)) => {
                timed.host.retries.increment(1);
                let left = copy.timeout().map(|timeout| timeout.saturating_sub(timed.since.elapsed()));
                *copy.timeout_mut() = left;
                execute(&self.0.unpooled, copy).await.map_err(CallError::of)
            }
            (Err(FailedAttempt::Closed(error)), None) => Err(CallError::Closed(error.without_url())),
            (Err(FailedAttempt::Other(error)), _) => Err(CallError::of(error)),
        }
    }

    /// Of the host first: who waits for a slow one takes no place from the others.
    async fn places(&self, host: &Host) -> Places {
        let mut waiting = None;
        let mut places = Vec::with_capacity(2);
        for semaphore in [&host.places, &self.0.places] {
            if let Ok(place) = Arc::clone(semaphore).try_acquire_owned() {
                places.push(place);
                continue;
            }
            waiting.get_or_insert_with(|| (Counted::enter(&self.0.waiting), Timed::into(&host.wait)));
            // Never closed.
            places.extend(request::wait(Phase::HttpWait, Arc::clone(semaphore).acquire_owned()).await);
        }
        if waiting.is_none() {
            host.wait.record(0.0);
        }
        Places::new(places, &self.0.in_flight)
    }
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("http_client: TLS cannot be set up")]
pub struct NoTls(#[source] reqwest::Error);

/// `pooled`: connections to each host that are kept for the next call.
fn build(
    config: &config::HttpClientConfig,
    identity: Identity,
    pooled: usize,
) -> Result<reqwest::Client, NoTls> {
    let client = || {
        reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.read_timeout)
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(pooled)
            .redirect(Policy::none())
            .connector_layer(MapResponseLayer::new(repeat::opened))
            .user_agent(format!("{}/{}", identity.package, identity.version))
    };
    #[expect(clippy::disallowed_methods, reason = "this is the client that the ban points to")]
    let build = |client: reqwest::ClientBuilder| client.build();
    let client = build(client()).or_else(|error| {
        // Enough for a service that calls nobody by https.
        tracing::warn!(error = ?error, "no certificates (package ca-certificates): calls by https will fail");
        build(client().tls_certs_only([]))
    });
    client.map_err(NoTls)
}
