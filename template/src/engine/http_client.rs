//! How does this service call others, and does it wait for a place to do so?
//!
//! Calls are made with reqwest, sent through here: with a bound on how many run at once, over all and for each
//! host, held until the answer's body is read. reqwest itself has no such bound, so one slow service would
//! gather all requests at itself. `http_client_wait_seconds` rising means that the bounds bind;
//! `http_client_request_seconds`, that the other service is slow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::metrics::{Gauge, Histogram, gauge, histogram};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use reqwest::{IntoUrl, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config;
use super::context::{self, REQUEST_ID, TRACEPARENT};
use super::http::problem::Problem;
use super::ledger::{self, Phase};
use super::metrics::{self, Counted};

/// Hosts with bounds and series of their own; further ones share [`OTHER`]. Higher: series for ever. Lower:
/// hosts that you want to tell apart share a bound.
const HOSTS: usize = 64;
const OTHER: &str = "_OTHER";

/// The client. Clones share it.
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reqwest: reqwest::Client,
    places: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    max_per_host: usize,
    timeout: Duration,
    body_limit: usize,
    example_url: String,
    in_flight: Gauge,
    waiting: Gauge,
}

#[derive(Debug)]
struct Host {
    name: String,
    places: Arc<Semaphore>,
    wait: Histogram,
}

/// A call that did not bring an answer.
#[derive(Debug)]
pub enum CallError {
    /// None within `http_client.timeout`, or the one that the call has set itself.
    TimedOut,
    /// The request could not be built or sent, or the answer not be read.
    Failed(reqwest::Error),
    /// The body is larger than `http_client.body_limit`.
    TooLarge,
    /// The body is not the JSON that was expected.
    NotJson(serde_json::Error),
}

impl HttpClient {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: &config::HttpClient) -> Result<Self, String> {
        // Once for the process; a second service in it finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .connect_timeout(config.connect_timeout)
                .read_timeout(config.read_timeout)
                .pool_max_idle_per_host(config.max_per_host)
                .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        };
        #[expect(clippy::disallowed_methods, reason = "this is the client that the ban points to")]
        let build = |client: reqwest::ClientBuilder| client.build();
        let reqwest = build(client()).or_else(|error| {
            // Enough for a service that calls nobody by https.
            tracing::warn!(error = ?error, "no certificates (package ca-certificates): calls by https will fail");
            build(client().tls_certs_only([]))
        });
        let reqwest = reqwest.map_err(|error| format!("http_client: {error:?}"))?;
        Ok(Self(Arc::new(Inner {
            reqwest,
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            hosts: Mutex::default(),
            max_per_host: config.max_per_host,
            timeout: config.timeout,
            body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
            example_url: config.example_url.clone(),
            in_flight: gauge!("http_client_in_flight"),
            waiting: gauge!("http_client_waiters"),
        })))
    }

    /// Begins a call as reqwest does; [`send`](Self::send) it here.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a call as reqwest does; [`send`](Self::send) it here.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.0.reqwest.request(method, url)
    }

    /// Waits for a place and for the head of the answer. The request's id and trace go along.
    ///
    /// # Errors
    /// As [`CallError`] says; an answer with any status is none. `?` makes it 504 or 502.
    pub async fn send(&self, call: RequestBuilder) -> Result<Reply, CallError> {
        let mut call = call.build().map_err(CallError::of)?;
        let host = self.host(call.url());
        let places = self.places(&host).await;
        context::with_current(|request| {
            call.headers_mut().insert(REQUEST_ID, request.id.header());
            call.headers_mut().insert(TRACEPARENT, request.trace.header());
        });
        // From here to the end of the body. The request's own deadline ends the call as well: it drops it.
        call.timeout_mut().get_or_insert(self.0.timeout);
        let mut timed =
            Timed { host, status: "cancelled".to_owned(), since: Instant::now(), _places: places };
        #[expect(clippy::disallowed_methods, reason = "this is the client that the ban points to")]
        let response = ledger::wait(Phase::HttpUpstream, self.0.reqwest.execute(call)).await;
        timed.status = response.as_ref().map_or("error".to_owned(), |it| it.status().as_str().to_owned());
        Ok(Reply { response: response.map_err(CallError::of)?, limit: self.0.body_limit, timed })
    }

    /// What the example asks: `http_client.example_url`.
    #[must_use]
    pub fn example_url(&self) -> &str {
        &self.0.example_url
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
            waiting
                .get_or_insert_with(|| (Counted::enter(&self.0.waiting), metrics::Timed::into(&host.wait)));
            // Never closed.
            places.extend(ledger::wait(Phase::HttpWait, Arc::clone(semaphore).acquire_owned()).await);
        }
        if waiting.is_none() {
            host.wait.record(0.0);
        }
        Places { _of_host_and_all: places, _counted: Counted::enter(&self.0.in_flight) }
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let name = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if hosts.contains_key(&name) || hosts.len() < HOSTS { name } else { OTHER.to_owned() };
        let host = hosts.entry(name).or_insert_with_key(|name| {
            let wait = histogram!("http_client_wait_seconds", "host" => name.clone());
            let places = Arc::new(Semaphore::new(self.0.max_per_host));
            Arc::new(Host { name: name.clone(), places, wait })
        });
        Arc::clone(host)
    }
}

/// The right to one call.
struct Places {
    _of_host_and_all: Vec<OwnedSemaphorePermit>,
    _counted: Counted,
}

/// Measures a call and holds its places until it ends, however it does.
struct Timed {
    host: Arc<Host>,
    status: String,
    since: Instant,
    _places: Places,
}

impl Drop for Timed {
    fn drop(&mut self) {
        let labels = [("host", self.host.name.clone()), ("status", std::mem::take(&mut self.status))];
        histogram!("http_client_request_seconds", &labels).record(self.since.elapsed());
    }
}

/// An answer whose body is not read yet. It holds its places: read it or drop it soon.
pub struct Reply {
    response: Response,
    limit: usize,
    timed: Timed,
}

impl Reply {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the body.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn bytes(mut self) -> Result<Bytes, CallError> {
        let read = self.read().await;
        if read.is_err() {
            self.timed.status = "error".to_owned();
        }
        read
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, CallError> {
        serde_json::from_slice(&self.bytes().await?).map_err(CallError::NotJson)
    }

    async fn read(&mut self) -> Result<Bytes, CallError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            ledger::wait(Phase::HttpUpstream, self.response.chunk()).await.map_err(CallError::of)?
        {
            if body.len() + chunk.len() > self.limit {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

impl CallError {
    fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.without_url()) }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::TimedOut => {
                tracing::warn!("another service took longer than http_client.timeout");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Another service took too long.")
            }
            CallError::Failed(error) => Self::bad_gateway(&error),
            CallError::TooLarge => Self::bad_gateway(&"an answer is larger than http_client.body_limit"),
            // Not the error itself, which quotes what was there.
            CallError::NotJson(error) => {
                Self::bad_gateway(&("not the JSON that was expected", error.line(), error.column()))
            }
        }
    }
}

impl Problem {
    fn bad_gateway(error: &dyn std::fmt::Debug) -> Self {
        tracing::warn!(error = ?error, "another service cannot be asked");
        Self::new(StatusCode::BAD_GATEWAY, "Another service does not answer as it should.")
    }
}
