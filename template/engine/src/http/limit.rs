//! How large may a request's body be, and what becomes of one that is larger?
//!
//! The bytes are counted where they come in, so whatever reads them, axum's extractors or a handler's own loop,
//! cannot read more than `server.body_limit`. A route has a limit of its own with the layer [`BodyLimit`]. The
//! reader gets the error [`TooLarge`], and the client 413, whatever the handler makes of it. If the head of the answer
//! is sent before, as by an echo, nothing but the end of the connection can tell the client.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytesize::ByteSize;
use futures_util::StreamExt;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

/// After a refusal, what a client of HTTP/1 still sends is read and thrown away for so long: many send a whole body
/// before they look for an answer, and one that is cut off sees no answer at all. Higher: bandwidth for nothing.
/// Lower: clients see a broken connection instead of 413.
const DRAIN: Duration = Duration::from_secs(2);

/// A layer that gives a route a limit of its own for the bodies of requests, above `server.body_limit` or below it. The
/// innermost counts.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use bytesize::ByteSize;
/// use longpole::{Body, BodyLimit};
///
/// async fn upload(Body(picture): Body) -> String {
///     format!("{} bytes", picture.len())
/// }
///
/// let routes: Router = Router::new().route("/pictures", post(upload).layer(BodyLimit(ByteSize::mib(50))));
/// ```
///
/// It holds for every reader. axum's `DefaultBodyLimit` is known to axum's extractors alone: it can make the limit
/// lower for them, but not higher.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub ByteSize);

impl<S> Layer<S> for BodyLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, most: self.0.as_u64() }
    }
}

/// What [`BodyLimit`] makes of a route.
#[derive(Clone, Copy, Debug)]
pub struct Limited<S> {
    inner: S,
    most: u64,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Limited<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        // There is none where there is no body.
        if let Some(limit) = request.extensions().get::<Arc<Limit>>() {
            limit.most.store(self.most, Relaxed);
        }
        self.inner.call(request)
    }
}

/// The limit of one body: known to the body, to the layers of its route and to the edge.
#[derive(Debug)]
pub(super) struct Limit {
    most: AtomicU64,
    exceeded: AtomicBool,
}

impl Limit {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most: AtomicU64::new(most), exceeded: AtomicBool::new(false) })
    }

    /// Whether so many bytes are too many; remembered.
    pub(super) fn refuses(&self, bytes: u64) -> bool {
        let refuses = bytes > self.most.load(Relaxed);
        if refuses {
            self.exceeded.store(true, Relaxed);
        }
        refuses
    }

    pub(super) fn was_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }
}

/// What a reader of a body sees that is larger than it may be.
#[derive(Clone, Copy, Debug)]
pub struct TooLarge;

impl TooLarge {
    /// Whether an error was this before it was wrapped.
    pub(super) fn is_behind(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_behind)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body is larger than it may be")
    }
}

impl Error for TooLarge {}

/// Reads what is left and forgets it, within [`DRAIN`].
pub(super) async fn drain(body: Body) {
    let mut rest = body.into_data_stream();
    let _ = timeout(DRAIN, async { while let Some(Ok(_)) = rest.next().await {} }).await;
}
