//! Middleware and tower services.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::{extract::{Request, State}, middleware::Next, response::Response};
use kit::store::{FileSink, Pacer, Sink, VecSink};
use tower::Service;

use crate::state::App;

pub async fn access_log(State(App(app)): State<App>, req: Request, next: Next) -> Response {
    let line = format!("{} {}\n", req.method(), req.uri());
    let log = app.root.join("access.log");
    let mut opts = std::fs::OpenOptions::new();
    opts.append(true).create(true); //~ OK builder only
    if let Ok(f) = opts.open(&log) { //~ BAD(method) OpenOptions::open
        let mut sink = FileSink(f);
        sink.emit(&line); //~ BAD(transitive) FileSink writes to a File
    }
    let mut mem = VecSink::default();
    mem.emit(&line); //~ OK memory sink
    kit::store::emit_all(&mut mem, &[line]); //~ OK generic over the memory sink
    next.run(req).await
}

/// Throttles with a pacer chosen by type.
#[derive(Clone)]
pub struct Throttle<S, P> {
    inner: S,
    pacer: Arc<P>,
}

impl<S, P> Throttle<S, P> {
    pub fn new(inner: S, pacer: P) -> Self {
        Self { inner, pacer: Arc::new(pacer) }
    }
}

impl<S, P, R> Service<R> for Throttle<S, P>
where
    S: Service<R>,
    P: Pacer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, req: R) -> S::Future {
        self.pacer.pace(); //~ BAD(dynamic) generic pacer, built with ThreadPacer in `throttled`
        self.inner.call(req)
    }
}

pub fn throttled<S>(inner: S) -> Throttle<S, kit::store::ThreadPacer> {
    Throttle::new(inner, kit::store::ThreadPacer(std::time::Duration::from_millis(3)))
}

/// Same service, a counter only.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    seen: Arc<kit::store::CountingPacer>,
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, req: R) -> S::Future {
        self.seen.pace(); //~ OK concrete CountingPacer
        self.inner.call(req)
    }
}

/// A service that authenticates against a file.
#[derive(Clone)]
pub struct FileAuth {
    path: std::path::PathBuf,
}

impl Service<String> for FileAuth {
    type Response = bool;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<bool, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, user: String) -> Self::Future {
        let allowed = std::fs::read_to_string(&self.path); //~ BAD(direct) in Service::call
        let path = self.path.clone();
        Box::pin(async move {
            let again = tokio::fs::read_to_string(&path).await?; //~ OK tokio fs
            let perms = std::fs::symlink_metadata(&path)?.permissions(); //~ BAD(direct) in the boxed async block
            Ok(allowed?.contains(&user) && again.contains(&user) && !perms.readonly())
        })
    }
}

/// tower::service_fn around a closure.
pub fn echo_service() -> impl Service<String, Response = String, Error = std::io::Error> {
    tower::service_fn(|name: String| async move {
        let canon = std::fs::canonicalize(&name)?; //~ BAD(direct) async block in service_fn
        let same = tokio::fs::canonicalize(&name).await?; //~ OK tokio fs
        Ok(format!("{} {}", canon.display(), same.display()))
    })
}

/// Called by the CLI, sync throughout.
pub fn warm(store: &dyn kit::store::BlobStore, keys: &[String]) -> usize {
    keys.iter().filter(|k| store.load(k).is_ok()).count() //~ OK sync function used by no async code
}
