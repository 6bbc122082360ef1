use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use depot_base::audit::{AuditBuffer, AuditLog};
use tower::{Layer, Service};

pub async fn access_log(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let response = next.run(request).await;
    let logged = depot_util::journal!("/var/log/depot/access.log", "{line} {}", response.status()); //~ BAD(transitive) macro appends to a file
    if logged.is_err() {
        HINTS.fetch_add(1, Ordering::Relaxed);
    }
    response
}

static HINTS: AtomicUsize = AtomicUsize::new(0);

pub async fn require_token(request: Request, next: Next) -> Response {
    let labels = depot_util::labels!(path = request.uri(), method = request.method()); //~ OK macro builds a map in memory
    if labels.contains_key("path") {
        let known = tokens::read("/run/depot/token"); //~ BAD(transitive) own function reads the token file
        if known.is_empty() {
            return Response::new(Body::from("no token"));
        }
    }
    next.run(request).await
}

mod tokens {
    pub fn read(path: &str) -> Vec<u8> {
        std::fs::read(path).unwrap_or_default()
    }

    /// A token from the environment's text.
    pub fn parse(text: &str) -> Vec<u8> {
        text.trim().as_bytes().to_vec()
    }
}

pub async fn accept_token(header: &str) -> bool {
    !tokens::parse(header).is_empty() //~ OK parses a text
}

/// Records each request in the audit log before it is served.
#[derive(Clone)]
pub struct AuditLayer {
    pub log: AuditLog,
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Audited<S> {
        Audited { inner, log: self.log.clone() }
    }
}

#[derive(Clone)]
pub struct Audited<S> {
    inner: S,
    log: AuditLog,
}

impl<S> Service<Request> for Audited<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _ = self.log.record("layer", request.uri().path()); //~ BAD(transitive) file write in Service::call
        let log = self.log.clone();
        let future = self.inner.call(request);
        Box::pin(async move {
            let response = future.await?;
            let log2 = log.clone();
            let _ = tokio::task::spawn_blocking(move || log2.record("layer", "done")).await; //~ OK in the blocking pool
            let _ = log.record("layer", "sent"); //~ BAD(transitive) file write in the response future
            Ok(response)
        })
    }
}

/// Resolves the backend for each call.
#[derive(Clone)]
pub struct Balancer {
    backends: Arc<Vec<String>>,
    buffer: Arc<AuditBuffer>,
    turn: usize,
}

impl Service<String> for Balancer {
    type Response = Option<SocketAddr>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Option<SocketAddr>, std::io::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.turn = (self.turn + 1) % self.backends.len().max(1);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, path: String) -> Self::Future {
        self.buffer.record("balancer", &path); //~ OK AuditBuffer keeps entries in memory
        let host = self.backends[self.turn].clone();
        let found = (host.as_str(), 80).to_socket_addrs(); //~ BAD(method) DNS lookup of std in Service::call
        std::future::ready(found.map(|mut addrs| addrs.next()))
    }
}

pub async fn resolve(host: &str) -> std::io::Result<Option<SocketAddr>> {
    let mut found = tokio::net::lookup_host((host, 80)).await?; //~ OK tokio's resolver
    Ok(found.next())
}

/// Holds the answer back for a while.
pub struct Throttle<F> {
    inner: Pin<Box<F>>,
    polls: u32,
}

impl<F> Throttle<F> {
    pub fn new(inner: F) -> Self {
        Throttle { inner: Box::pin(inner), polls: 0 }
    }
}

impl<F: Future> Future for Throttle<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls += 1;
        if self.polls > 100 {
            std::thread::sleep(Duration::from_millis(1)); //~ BAD(direct) thread sleep in Future::poll
        }
        self.inner.as_mut().poll(cx)
    }
}

/// A way to choose whether a request passes.
pub trait Gate {
    fn admit(&mut self, path: &str) -> bool;
}

pub struct OpenGate;

impl Gate for OpenGate {
    fn admit(&mut self, _path: &str) -> bool {
        true
    }
}

/// Asks a list on disk.
pub struct ListGate {
    pub list: std::path::PathBuf,
}

impl Gate for ListGate {
    fn admit(&mut self, path: &str) -> bool {
        std::fs::read_to_string(&self.list).is_ok_and(|t| t.lines().any(|l| l == path))
    }
}

pub fn gate_of(list: Option<&str>) -> Box<dyn Gate + Send> {
    match list {
        Some(list) => Box::new(ListGate { list: list.into() }),
        None => Box::new(OpenGate),
    }
}

pub struct Admission {
    gate: Box<dyn Gate + Send>,
    path: String,
}

impl Admission {
    pub fn ask(list: Option<&str>, path: String) -> Self {
        Admission { gate: gate_of(list), path }
    }
}

impl Future for Admission {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        Poll::Ready(this.gate.admit(&this.path)) //~ BAD(dynamic) trait object in a hand-written future
    }
}

pub async fn admit_all<G: Gate>(gate: &mut G, paths: &[String]) -> usize {
    let mut admitted = 0;
    for path in paths {
        if gate.admit(path) { //~ BAD(dynamic) G is ListGate in admit_listed
            admitted += 1;
        }
        tokio::task::yield_now().await;
    }
    admitted
}

pub async fn admit_listed(paths: &[String]) -> usize {
    let mut gate = ListGate { list: "/etc/depot/list".into() };
    admit_all(&mut gate, paths).await
}

pub async fn admit_open(path: &str) -> bool {
    let mut gate = OpenGate;
    gate.admit(path) //~ OK OpenGate by its type
}
