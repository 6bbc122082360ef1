//! How does this service call others, and does it wait for a place to do so?
//!
//! Calls are built with reqwest and sent from here. There is a bound on how many calls run at once, over all hosts and
//! for each host, and a call counts until the body of its answer is read. reqwest itself has no such bound, so all
//! requests would end up waiting for one slow service. If `http_client_wait_seconds` rises, the bounds are reached. If
//! `http_client_request_seconds` rises, the other service is slow.
//!
//! A redirect is an answer like any other, and is not followed: the call to the next host would hold the place of the
//! first host, and would be counted for it. [`host`] says which hosts have bounds of their own, [`repeat`] says which
//! calls are sent once more, and [`reply`] has the answer and the errors.

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
/// [`get`](Self::get) or [`request`](Self::request) begins a call, the methods of reqwest's `RequestBuilder` add
/// headers and a body to it, and [`send`](Self::send) sends it. At most `http_client.max_in_flight` calls run at once
/// over all hosts, and at most `http_client.max_per_host` to one host; more calls wait. A host is a name with a port. The
/// first 64 hosts have a bound each, and all further hosts share one bound. Redirects are not followed: the reply is the
/// 3xx itself.
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
///
/// reqwest's own `json` on the call needs a feature that this crate does not enable. To send JSON, set the header and the
/// body:
///
/// ```
/// use axum::http::{Method, header};
/// use longpole::{CallError, HttpClient};
///
/// async fn order(http: &HttpClient) -> Result<(), CallError> {
///     let order = serde_json::json!({ "book": 7 }).to_string();
///     let call = http.request(Method::POST, "http://shop.internal/orders");
///     http.send(call.header(header::CONTENT_TYPE, "application/json").body(order)).await?;
///     Ok(())
/// }
/// ```
///
/// The variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` work as they do for curl. The certificates for
/// https are those of the system. If the system has none, the start logs a warning, and calls by https fail.
#[derive(Clone, Debug)]
pub struct HttpClient {
    reqwest: reqwest::Client,
    /// Opens a connection for each call. A call that is sent once more must not meet another connection that is
    /// closing. A client of the owner's has no such companion, so its calls are sent once.
    unpooled: Option<reqwest::Client>,
    bounds: Arc<Bounds>,
}

/// What all clients have in common.
#[derive(Debug)]
struct Bounds {
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
    pub(crate) fn new(config: &config::HttpClientConfig, identity: Identity) -> Result<Self, TlsError> {
        // The provider is installed once for the process, so a second service in the process uses the first service's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let proxies: Vec<_> = PROXIES.into_iter().filter(is_set).collect();
        if !proxies.is_empty() {
            tracing::info!(variables = ?proxies, "the environment sends calls to other services through a proxy");
        }
        let reqwest = build(config, identity, config.max_per_host)?;
        let unpooled = Some(build(config, identity, 0)?);
        let bounds = Arc::new(Bounds {
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            hosts: Hosts::new(config.max_per_host),
            timeout: config.timeout,
            body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
            in_flight: gauge!("http_client_in_flight"),
            waiting: gauge!("http_client_waiters"),
        });
        Ok(Self { reqwest, unpooled, bounds })
    }

    /// The same bounds and the same measuring, with a client of your own behind them, for what only you can set: a
    /// certificate of the client, an authority of your own, a proxy, a decompression. Make it once, in your
    /// [`Start`](crate::Start) function, with the version of reqwest that this crate has. It counts against the same
    /// places as all other calls.
    ///
    /// Your client brings its own `connect_timeout`, `read_timeout` and idle connections; `http_client.timeout` holds for
    /// each call that sets no timeout itself. A call is never sent a second time. If the client follows redirects, all
    /// of them count for the first host.
    ///
    /// ```
    /// use longpole::{HttpClient, Links};
    ///
    /// fn patient(links: &Links) -> Result<HttpClient, reqwest::Error> {
    ///     let client = reqwest::Client::builder().user_agent("shop").build()?;
    ///     Ok(links.http.with_client(client))
    /// }
    /// ```
    #[must_use]
    pub fn with_client(&self, client: reqwest::Client) -> Self {
        Self { reqwest: client, unpooled: None, bounds: Arc::clone(&self.bounds) }
    }

    /// Begins a GET, as reqwest does. Pass the call to [`send`](Self::send). Do not call its own `send`, which nothing
    /// bounds or measures. If `url` is wrong, [`send`](Self::send) returns the error.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a call with any method, as reqwest does. Pass the call to [`send`](Self::send). Do not call its own
    /// `send`, which nothing bounds or measures. If `url` is wrong, [`send`](Self::send) returns the error. `method`
    /// can be `axum::http::Method`, which is the same type.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.reqwest.request(method, url)
    }

    /// Sends a call, and returns when the head of the answer has come. The body is not read yet: see [`Reply`]. This client
    /// sends the call, also if another client has begun it: see [`with_client`](Self::with_client).
    ///
    /// First the call waits for a place of its host, and then for a place among all calls. Only the deadline of the
    /// request (`server.request_timeout`) bounds this wait; in a background task nothing does. From the sending to the
    /// last byte of the answer, the call has `http_client.timeout`, or the timeout that the call sets itself.
    /// `http_client.connect_timeout` and `http_client.read_timeout` hold as well.
    ///
    /// Within a request, the call gets the headers `x-request-id` and `traceparent` of that request. If the other
    /// service closed the connection instead of answering, and the connection had been used before, the call is sent
    /// once more on a new connection. This is done only if the request may be repeated: its method is idempotent, or it
    /// has the header `idempotency-key`, and its body is not a stream.
    ///
    /// # Errors
    /// [`CallError`] if no answer has come. An answer with any status is a [`Reply`], a 500 as well as a 200. In a
    /// handler, `?` turns the error into 504 or 502.
    pub async fn send(&self, call: RequestBuilder) -> Result<Reply, CallError> {
        let mut call = call.build().map_err(CallError::of)?;
        let host = self.bounds.hosts.of(call.url());
        let places = self.places(&host).await;
        request::with_current(|request| {
            call.headers_mut().insert(REQUEST_ID, request.id.header());
            call.headers_mut().insert(TRACEPARENT, request.trace.header());
        });
        // This timeout counts from here to the end of the body. The request's deadline may come first, and drops the
        // call.
        call.timeout_mut().get_or_insert(self.bounds.timeout);
        let mut timed = TimedCall::start(host);
        let response = request::wait(Phase::HttpUpstream, self.execute(call, &timed)).await;
        timed.end = response.as_ref().map_or(End::Error, |it| End::Status(it.status()));
        Ok(Reply { response: response?, limit: self.bounds.body_limit, timed, _places: places })
    }

    /// Sends a call, and sends it once more if its connection was closing. Both attempts share the places and the
    /// timeout.
    async fn execute(&self, call: Request, timed: &TimedCall) -> Result<Response, CallError> {
        let copy = self.unpooled.as_ref().zip(repeat::copy(&call));
        #[expect(clippy::disallowed_methods, reason = "this is the client that the ban points to")]
        let execute = |client: &reqwest::Client, call| client.execute(call);
        match (repeat::attempt(execute(&self.reqwest, call)).await, copy) {
            (Ok(response), _) => Ok(response),
            (Err(FailedAttempt::Closed(_)), Some((unpooled, mut copy))) => {
                timed.host.retries.increment(1);
                let left = copy.timeout().map(|timeout| timeout.saturating_sub(timed.since.elapsed()));
                *copy.timeout_mut() = left;
                execute(unpooled, copy).await.map_err(CallError::of)
            }
            (Err(FailedAttempt::Closed(error)), None) if self.unpooled.is_some() => {
                Err(CallError::Closed(error.without_url()))
            }
            (Err(FailedAttempt::Closed(error) | FailedAttempt::Other(error)), _) => Err(CallError::of(error)),
        }
    }

    /// Waits for a place of the host, and then for a place among all calls. In this order, a call that waits for a slow
    /// host takes no place from calls to other hosts.
    async fn places(&self, host: &Host) -> Places {
        let mut waiting = None;
        let mut places = Vec::with_capacity(2);
        for semaphore in [&host.places, &self.bounds.places] {
            if let Ok(place) = Arc::clone(semaphore).try_acquire_owned() {
                places.push(place);
                continue;
            }
            waiting.get_or_insert_with(|| (Counted::enter(&self.bounds.waiting), Timed::into(&host.wait)));
            // The semaphore is never closed.
            places.extend(request::wait(Phase::HttpWait, Arc::clone(semaphore).acquire_owned()).await);
        }
        if waiting.is_none() {
            host.wait.record(0.0);
        }
        Places::new(places, &self.bounds.in_flight)
    }
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("http_client: TLS cannot be set up")]
pub struct TlsError(#[source] reqwest::Error);

/// Makes a client of reqwest's. It keeps up to `pooled` idle connections to each host for the next calls.
fn build(
    config: &config::HttpClientConfig,
    identity: Identity,
    pooled: usize,
) -> Result<reqwest::Client, TlsError> {
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
        // A client without certificates is enough for a service that calls nobody by https.
        tracing::warn!(error = ?error, "no certificates (package ca-certificates): calls by https will fail");
        build(client().tls_certs_only([]))
    });
    client.map_err(TlsError)
}
